import { join } from 'node:path'
import { assert } from '../../assert.ts'
import { newSlab } from './layout.ts'
import type { SegmentSeal } from './manifest.ts'
import type { Notice } from './protocol.ts'
import { RowsTimeline } from './rows-timeline.ts'
import { Segment, segmentRows } from './segment.ts'
import { SetKeeper, SharedSet } from './shared-set.ts'
import type { GraphShape } from './vector-index.ts'

/** How much of the exact vectors may be in memory beside those that are in no file yet. */
export interface StateSetup {
  directory: string
  shape: GraphShape
  cacheBytes: number
  /** Rows of a segment; by default chosen by the size of its graph. */
  segmentRows: number | undefined
  forget(notice: Extract<Notice, { do: 'forget' }>): void
}

/**
 * The segments of one index, in the order of the log, and the set that searches read now.
 * Everything here happens within one turn of the event loop.
 */
export class IndexState {
  readonly keeper: SetKeeper
  /** Rows of the log are on their way into this segment. */
  filling: Segment | undefined
  readonly #setup: StateSetup
  readonly #residentMax: number
  #segments: Segment[] = []
  #timeline = new RowsTimeline(0, 0)
  /** Rows that were ever counted by the timeline. */
  #counted = 0
  #current: SharedSet | undefined
  #nextName = 1
  #merges = 0

  constructor(setup: StateSetup) {
    this.#setup = setup
    this.keeper = new SetKeeper(setup.forget)
    const slabBytes = newSlab(setup.shape.dimensions).byteLength
    this.#residentMax = Math.floor(setup.cacheBytes / slabBytes)
  }

  get segments(): readonly Segment[] {
    return this.#segments
  }

  get timeline(): RowsTimeline {
    return this.#timeline
  }

  /** Every vector up to here is in a row. */
  get ingested(): number {
    return this.#timeline.position
  }

  get counted(): number {
    return this.#counted
  }

  /** How often rows that are dead were left out: views from before hold what they read. */
  get merges(): number {
    return this.#merges
  }

  get rows(): number {
    return this.#segments.reduce((sum, { rows }) => sum + rows, 0)
  }

  /** Rows after which a segment is full. */
  get segmentRows(): number {
    return this.#setup.segmentRows ?? segmentRows(this.#setup.shape)
  }

  get nextName(): number {
    return this.#nextName
  }

  takeName(): string {
    return String(this.#nextName++)
  }

  /** Begins with what a manifest names. */
  adopt(seals: readonly SegmentSeal[], position: number, nextName: number): void {
    this.#nextName = nextName
    for (const seal of seals) {
      const segment = this.#newSegment(seal.name, seal.rows)
      segment.adopt(seal, this.#residentMax - this.#resident())
      this.#segments.push(segment)
    }
    this.#counted = this.rows
    this.#timeline = new RowsTimeline(position, this.#counted)
    this.changed()
  }

  /** @param position Of the event that brought it. */
  append(ordinal: number, revision: number, bytes: Uint8Array): void {
    const segment = this.segmentToFill()
    if (segment.append(ordinal, revision, bytes)) this.changed()
    this.#counted += 1
  }

  /** Every vector up to a position at which a frame ends is appended. */
  passed(position: number): void {
    this.#timeline.add(position, this.#counted)
  }

  /** Rows that somebody else put into the room of the last segment, and where they came from. */
  filled(segment: Segment, row: number, ends: Float64Array, position: number): void {
    const before = segment.rows
    for (let i = 0; i + 1 < ends.length; i += 2) {
      this.#timeline.add(ends[i] ?? 0, this.#counted + (ends[i + 1] ?? 0) - before)
    }
    segment.rows = row
    this.#counted += row - before
    if (position > this.ingested) this.#timeline.add(position, this.#counted)
  }

  /** The last segment, or a new one if that is full. */
  segmentToFill(): Segment {
    let segment = this.#segments.at(-1)
    if (segment === undefined || segment.isFull) {
      segment = this.#newSegment(this.takeName(), 0)
      this.#segments.push(segment)
      this.changed()
    }
    return segment
  }

  /** How many rows of each segment are vectors up to a position. */
  rowsUpTo(position: number): number[] {
    let beyond = this.#counted - this.#timeline.rowsAt(position)
    const rows: number[] = []
    for (const segment of this.#segments.toReversed()) {
      const cut = Math.min(beyond, segment.rows)
      rows.unshift(segment.rows - cut)
      beyond -= cut
    }
    assert(beyond === 0, 'rows that are counted are in segments')
    return rows
  }

  /** Puts one segment in the place of several that follow each other. */
  replace(old: readonly Segment[], next: Segment | undefined): void {
    const at = this.#segments.indexOf(old[0] as Segment)
    assert(at !== -1, 'what is replaced is there')
    const dropped = old.reduce((sum, { rows }) => sum + rows, 0) - (next?.rows ?? 0)
    this.#segments.splice(at, old.length, ...(next === undefined ? [] : [next]))
    this.#counted -= dropped
    this.#merges += 1
    this.#timeline = this.#timeline.without(dropped)
    this.changed()
  }

  /** A graph without some dead rows took the place of another. */
  leftOut(): void {
    this.#merges += 1
    this.changed()
  }

  newSegment(rows: number): Segment {
    return this.#newSegment(this.takeName(), rows)
  }

  /** Memory for rows that are in the files is given back as far as there is too much of it. */
  evict(): void {
    let over = this.#resident() - this.#residentMax
    for (const segment of this.#segments) {
      if (over <= 0) return
      const evicted = segment.evict(over)
      if (evicted > 0) this.changed()
      over -= evicted
    }
  }

  /** What searches that begin now read. */
  current(): SharedSet {
    this.#current ??= this.keeper.hold(new SharedSet(this.#setup.shape, this.#segments))
    return this.#current
  }

  /** From now on searches read another set: a segment, its memory or its graph is another. */
  changed(): void {
    const old = this.#current
    if (old === undefined) return
    // The next one first: what both name stays open, and graphs that grow stay in memory.
    this.#current = this.keeper.hold(new SharedSet(this.#setup.shape, this.#segments))
    this.keeper.release(old)
  }

  /** Nobody reads it any more, but for what somebody holds. */
  close(): void {
    const old = this.#current
    this.#current = undefined
    if (old !== undefined) this.keeper.release(old)
  }

  #resident(): number {
    return this.#segments.reduce((sum, { residentSlabs }) => sum + residentSlabs, 0)
  }

  #newSegment(name: string, rows: number): Segment {
    const { directory, shape } = this.#setup
    const capacity = Math.max(rows, this.segmentRows)
    return new Segment(join(directory, name), name, capacity, shape.dimensions)
  }
}
