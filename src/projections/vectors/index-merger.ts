import { setTimeout as sleep } from 'node:timers/promises'
import type { NewTelemetryEvent } from '../../telemetry/types.ts'
import type { IndexSaver } from './index-saver.ts'
import type { IndexState } from './index-state.ts'
import type { CancelFlag } from './pace.ts'
import type { VectorPool } from './pool.ts'
import type { Segment } from './segment.ts'
import { SharedSet } from './shared-set.ts'
import type { GraphShape } from './vector-index.ts'

/** Part of the vectors that may be dead, of the whole index and of a segment. */
const DEAD_SHARE = 0.25
/** Fewer dead ones than this slow no search down. */
const DEAD_MIN = 1_000
/** Fewer are not worth looking for before a graph is made. */
const BURY_MIN = 64
/** A segment that is closed with fewer rows than this part of what it could hold is small. */
const SMALL_SHARE = 1 / 4
const SMALL_MAX = 4
/** Rows added to a graph in one step; then whatever else waits has its turn. */
const STEP_ROWS = 1_000
/** A merge rests as long as it worked: nobody waits for it. */
const REST = 1
const REST_MAX_MS = 200

/** Before the dead are counted again: at least so long, and so many times as long as it took. */
const AGAIN_MS = 50
const AGAIN_REST = 20

/** What the index cannot know by itself: which of its vectors are still of use. */
export interface Liveness {
  /** How many vectors the newest state has. */
  vectors(): number
  /**
   * Buries those of the rows whose concepts do not have that revision any more, durably. Resolves
   * whether it looked at all of them.
   */
  bury(segment: Segment, rows: { from: number; to: number }): Promise<boolean>
}

export interface MergerSetup {
  pool: VectorPool
  state: IndexState
  saver: IndexSaver
  shape: GraphShape
  cancel: CancelFlag
  emit(event: NewTelemetryEvent): void
  saveGraph(segment: Segment): Promise<unknown>
  /** Whether there is something else to do, that somebody may wait for. */
  isNeeded(): boolean
  /** Up to which position the index may be saved. */
  limit(): number
  /** Asks for another step. */
  kick(): void
}

/** Segments that are being made into one. */
interface Merge {
  old: readonly Segment[]
  next: Segment
  set: SharedSet
  started: number
}

/**
 * Makes segments with many dead vectors, or several small ones, into one, in small steps. Nothing
 * changes for readers until the new one is complete; views from before go on reading the old ones.
 */
export class IndexMerger {
  readonly #setup: MergerSetup
  #liveness: Liveness | undefined
  #merge: Merge | undefined
  #resting = new AbortController()
  /** Rows there were when the dead were counted and found to be few. */
  #censusAt = 0
  /** When they may be counted again, where not all could be merged that were found. */
  #nextCensusAt = 0
  #timer: NodeJS.Timeout | undefined

  constructor(setup: MergerSetup) {
    this.#setup = setup
  }

  follow(liveness: Liveness): void {
    this.#liveness = liveness
  }

  /** Whether there are dead rows that are not known to be. */
  get mayFindDead(): boolean {
    if (this.#liveness === undefined) return false
    const known = this.#setup.state.segments.reduce((sum, { dead }) => sum + dead, 0)
    const { rows, segmentRows } = this.#setup.state
    return rows - known - this.#liveness.vectors() >= Math.min(BURY_MIN, segmentRows / 4)
  }

  /** @param rows None that may be in no durable event. */
  async bury(segment: Segment, rows: { from: number; to: number }): Promise<boolean> {
    return (await this.#liveness?.bury(segment, rows)) ?? false
  }

  /** @returns Whether anything was done. */
  async step(): Promise<boolean> {
    const started = performance.now()
    const worked = this.#merge === undefined ? await this.#begin() : await this.#goOn(this.#merge)
    const ms = (performance.now() - started) * REST
    if (worked) await this.#rest(Math.min(ms, REST_MAX_MS))
    return worked
  }

  /** Ends a rest: somebody waits for it to end, and perhaps nothing else keeps the process alive. */
  wake(): void {
    this.#resting.abort()
  }

  async #rest(ms: number): Promise<void> {
    if (this.#setup.cancel.raised || this.#setup.isNeeded()) return
    this.#resting = new AbortController()
    const { signal } = this.#resting
    try {
      await sleep(ms, undefined, { ref: false, signal })
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  /** Lets go of what was not finished; the next open sweeps its files. */
  stop(): void {
    clearTimeout(this.#timer)
    if (this.#merge !== undefined) this.#setup.state.keeper.release(this.#merge.set)
    this.#merge = undefined
  }

  async #begin(): Promise<boolean> {
    const chosen = (await this.#chooseDead()) ?? this.#chooseSmall()
    if (chosen === undefined || this.#setup.cancel.raised) return false
    const { state, saver, pool, shape, cancel } = this.#setup
    const started = performance.now()
    const keeps: Uint8Array[] = []
    for (const segment of chosen) keeps.push((await this.#keep(segment)).keep)
    const rows = keeps.reduce((sum, keep) => sum + countBits(keep), 0)
    if (rows === 0) {
      this.#replace(chosen, undefined)
      await saver.save(this.#setup.limit())
      this.#report(chosen, 0, started)
      return true
    }
    const next = state.newSegment(rows)
    next.close()
    const source = state.keeper.hold(state.current())
    try {
      let row = 0
      for (const [at, segment] of chosen.entries()) {
        const to = { path: next.path, ids: next.ids.buffer, row }
        const part = source.segments.indexOf(segment)
        const common = { set: source.description.set, part, rows: segment.rows }
        const ask = { ...common, keep: keeps[at] ?? new Uint8Array(0), to, cancel: cancel.buffer }
        const merged = await pool.run('merge', ask, { role: 'build', set: source.description })
        row = merged.row
      }
      if (cancel.raised) return false
      next.adoptFlushed(row)
    } catch (error) {
      // Not before: a save that ends meanwhile would take them away as leftovers.
      for (const kind of ['f32', 'ids']) saver.retire(`${next.name}.${kind}`)
      throw error
    } finally {
      state.keeper.release(source)
    }
    const set = state.keeper.hold(new SharedSet(shape, [next]))
    this.#merge = { old: chosen, next, set, started }
    return true
  }

  async #goOn(merge: Merge): Promise<boolean> {
    const { pool, state, saver, cancel } = this.#setup
    const { old, next, set, started } = merge
    if (next.built < next.rows) {
      const rows = Math.min(next.rows, next.built + STEP_ROWS)
      const ask = { set: set.description.set, part: 0, rows, cancel: cancel.buffer }
      const built = await pool.run('build', ask, { role: 'build', set: set.description })
      next.setBuilt(built.rows, built.vectors)
      return true
    }
    await this.#setup.saveGraph(next)
    // Its graph went with its worker: built again from the beginning.
    if (next.graph === undefined) return true
    // Searches map the file; the builder's own copy is not needed any more.
    pool.forget({ do: 'forget', sets: [], segments: [next.number], graphs: [] })
    this.#merge = undefined
    this.#replace(old, next)
    state.keeper.release(set)
    // If the process dies before, the older manifest and the older segments are whole.
    await saver.save(this.#setup.limit())
    this.#report(old, next.rows, started)
    return true
  }

  #report(old: readonly Segment[], vectors: number, started: number): void {
    const before = old.reduce((sum, { rows }) => sum + rows, 0)
    const ms = performance.now() - started
    const counts = { segments: old.length, vectors, dropped: before - vectors }
    this.#setup.emit({ type: 'index-merged', time: Date.now(), ...counts, ms })
  }

  #replace(old: readonly Segment[], next: Segment | undefined): void {
    const { state, saver } = this.#setup
    state.replace(old, next)
    for (const { name, graph } of old) {
      saver.retire(`${name}.f32`)
      saver.retire(`${name}.ids`)
      if (graph !== undefined) saver.retire(`${graph.name}.usearch`)
    }
  }

  /** A segment with too many dead vectors, if the index as a whole has many. */
  async #chooseDead(): Promise<Segment[] | undefined> {
    const { state } = this.#setup
    if (this.#liveness === undefined || state.rows < this.#censusAt * (1 + DEAD_SHARE / 2)) {
      return undefined
    }
    const dead = state.rows - this.#liveness.vectors()
    const min = Math.min(DEAD_MIN, state.segmentRows)
    if (dead < min || dead < state.rows * DEAD_SHARE) return undefined
    const began = performance.now()
    if (began < this.#nextCensusAt) return undefined
    let isWhole = this.#setup.limit() >= state.ingested
    for (const segment of [...state.segments]) {
      const { keep, sawAll } = await this.#keep(segment)
      // A view from before this index may hold it up: what was not looked at is not known to live.
      isWhole &&= sawAll
      const live = countBits(keep)
      if (segment.rows - live < segment.rows * DEAD_SHARE) continue
      isWhole &&= state.filling !== segment
      if (state.filling === segment) continue
      // Rows to come go into another one; those here must be in the files first.
      segment.close()
      if (await this.#isSaved(segment)) return [segment]
      isWhole = false
    }
    if (isWhole) this.#censusAt = state.rows
    else this.#countLater(performance.now() - began)
    return undefined
  }

  /** What is not projected yet can neither be counted nor saved: perhaps it was all that was missing. */
  #countLater(ms: number): void {
    const wait = Math.max(AGAIN_MS, ms * AGAIN_REST)
    this.#nextCensusAt = performance.now() + wait
    clearTimeout(this.#timer)
    // Nobody waits for a merge.
    this.#timer = setTimeout(() => this.#setup.kick(), wait + 1)
    this.#timer.unref()
  }

  /** Several small segments that follow each other. */
  #chooseSmall(): Segment[] | undefined {
    const run: Segment[] = []
    let rows = 0
    for (const segment of this.#setup.state.segments) {
      const isSmall = segment.isFull && segment.rows < segment.capacity * SMALL_SHARE
      if (!isSmall || segment.saved?.rows !== segment.rows) {
        run.length = 0
        rows = 0
        continue
      }
      run.push(segment)
      rows += segment.rows
      if (run.length >= SMALL_MAX && rows <= segment.capacity) return [...run]
    }
    return undefined
  }

  async #isSaved(segment: Segment): Promise<boolean> {
    if (segment.saved?.rows !== segment.rows) await this.#setup.saver.save(this.#setup.limit())
    return segment.saved?.rows === segment.rows
  }

  /** A bit for each row: whether it goes along. */
  async #keep(segment: Segment): Promise<{ keep: Uint8Array; sawAll: boolean }> {
    const { state } = this.#setup
    const at = state.segments.indexOf(segment)
    const to = state.rowsUpTo(Math.min(this.#setup.limit(), state.ingested))[at] ?? 0
    const sawAll = await this.bury(segment, { from: 0, to })
    const keep = new Uint8Array(Math.ceil(segment.rows / 8))
    for (let row = 0; row < segment.rows; row++) {
      if (!segment.deaths.isDead(row)) keep[row >> 3] = (keep[row >> 3] ?? 0) | (1 << (row & 7))
    }
    return { keep, sawAll }
  }
}

function countBits(bits: Uint8Array): number {
  let count = 0
  for (let byte of bits) for (; byte !== 0; byte &= byte - 1) count += 1
  return count
}
