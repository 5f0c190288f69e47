import { assert } from '../../assert.ts'
import type { Anchors } from '../../log/anchor.ts'
import type { VectorsDeclared } from '../../log/event.ts'
import type { NewTelemetryEvent } from '../../telemetry/types.ts'
import type { IndexState } from './index-state.ts'
import {
  emptyManifest,
  filesOf,
  MANIFEST_FORMAT,
  type Manifest,
  publishManifest,
  removeFiles,
  type SegmentSeal
} from './manifest.ts'
import { BESIDE, type VectorPool } from './pool.ts'
import type { SavedGraphFile, Segment } from './segment.ts'

export interface SaverSetup {
  pool: VectorPool
  directory: string
  storeId: string
  declaration: VectorsDeclared
  state: IndexState
  anchors: Anchors
  emit(event: NewTelemetryEvent): void
}

/**
 * The files of an index. What a manifest named is never changed: rows are added behind those that it
 * names, a graph that has grown is a new file, and the next manifest names both. A crash leaves the
 * old or the new one, and files that nobody names, which the next open sweeps.
 */
export class IndexSaver {
  readonly #setup: SaverSetup
  #manifest: Manifest
  /** Files that the manifest does not name any more, or never did; somebody may still read them. */
  #retired: string[] = []
  /** One after the other: a flush of rows, a manifest. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(setup: SaverSetup, manifest?: Manifest) {
    this.#setup = setup
    this.#manifest = manifest ?? emptyManifest(setup.storeId, setup.declaration)
  }

  /** Checkpoint of what is on disk. */
  get position(): number {
    return this.#manifest.position
  }

  get manifest(): Manifest {
    return this.#manifest
  }

  /** Writes rows into the files of their segments, so that their memory may go. Not synced. */
  async flush(): Promise<void> {
    await this.#inTurn(async () => this.#flush())
  }

  /**
   * Makes the vectors up to a position durable, and the graphs that hold no others.
   *
   * @param position Not beyond the durable head, nor beyond what is in rows.
   */
  async save(position: number): Promise<void> {
    await this.#inTurn(async () => {
      if (position < this.position) return
      const started = performance.now()
      const { state, directory, anchors, emit } = this.#setup
      assert(position <= state.ingested, 'a manifest covers no more of the log than its rows')
      const anchor = await anchors.at(position)
      await this.#flush()
      const rows = state.rowsUpTo(position)
      const seals: SegmentSeal[] = []
      const saved: Segment[] = []
      for (const [at, segment] of [...state.segments].entries()) {
        const count = rows[at] ?? 0
        if (count === 0) continue
        seals.push(await this.#sealOf(segment, count))
        saved.push(segment)
      }
      const before = this.#manifest
      const { nextName } = state
      const format = MANIFEST_FORMAT
      const manifest = { ...before, format, position, anchor, nextName, segments: seals }
      if (isSame(before, manifest)) {
        // A graph that a search held when it was replaced may be let go of by now.
        await this.#tidy(before)
        return
      }
      // If the process dies before the rename within, the older manifest and its files are whole.
      await publishManifest(directory, manifest)
      this.#manifest = manifest
      for (const [at, segment] of saved.entries()) segment.saved = seals[at]
      await this.#tidy(before)
      const vectors = seals.reduce((sum, { rows: count }) => sum + count, 0)
      const bytes = newBytes(before, manifest)
      const ms = performance.now() - started
      emit({ type: 'index-saved', time: Date.now(), vectors, bytes, ms })
    })
  }

  /** A file that no segment uses any more. */
  retire(name: string): void {
    this.#retired.push(name)
  }

  async #flush(): Promise<void> {
    const { pool, state } = this.#setup
    for (const segment of [...state.segments]) {
      const upTo = segment.rows
      if (segment.flushed === upTo) continue
      await pool.run('flush', segment.toFlush(upTo), BESIDE)
      segment.flushed = upTo
    }
    state.evict()
  }

  async #sealOf(segment: Segment, rows: number): Promise<SegmentSeal> {
    const { pool, directory, declaration } = this.#setup
    const { name, path, ids, saved } = segment
    const graph = graphSeal(segment.graph, rows)
    if (saved !== undefined && saved.rows === rows) {
      const { graph: _, ...rest } = saved
      return { ...rest, ...graph }
    }
    const { dimensions } = declaration
    const task = { path, rows, dimensions, vectors: saved?.vectors, directory }
    const sealed = await pool.run('seal', task, BESIDE)
    assert(segment.flushed >= rows, 'rows are in the files before a manifest counts them')
    const [first, last] = [ids.revisionAt(0), ids.revisionAt(rows - 1)]
    return { name, rows, first, last, ...sealed, ...graph }
  }

  /** Removes what the manifest before named, unless somebody reads it. */
  async #tidy(before: Manifest): Promise<void> {
    const { directory, state } = this.#setup
    const named = new Set(this.#manifest.segments.flatMap(filesOf).map(({ name }) => name))
    const dropped = before.segments.flatMap(filesOf).map(({ name }) => name)
    const used = state.keeper.files(directory)
    for (const segment of state.segments) {
      if (segment.graph !== undefined) used.add(`${segment.graph.name}.usearch`)
      used.add(`${segment.name}.f32`).add(`${segment.name}.ids`)
    }
    const left = new Set([...this.#retired, ...dropped].filter((name) => !named.has(name)))
    this.#retired = [...left].filter((name) => used.has(name))
    await removeFiles(
      directory,
      [...left].filter((name) => !used.has(name))
    )
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(work)
    // A failure belongs to whoever asked; the next in turn starts all the same.
    this.#turn = mine.catch(() => undefined)
    await mine
  }
}

/** A graph may hold rows beyond what is saved: then the older files do without it. */
function graphSeal(graph: SavedGraphFile | undefined, rows: number): Pick<SegmentSeal, 'graph'> {
  if (graph === undefined || graph.rows > rows) return {}
  const { name, rows: made, vectors, scale, seal: file } = graph
  const some = vectors === made ? {} : { vectors }
  return { graph: { name, rows: made, ...some, ...(scale === 0 ? {} : { scale }), file } }
}

function isSame(a: Manifest, b: Manifest): boolean {
  return JSON.stringify({ ...a, nextName: 0 }) === JSON.stringify({ ...b, nextName: 0 })
}

function newBytes(before: Manifest, after: Manifest): number {
  const known = new Map(
    before.segments.flatMap(filesOf).map(({ name, seal }) => [name, seal.bytes])
  )
  return after.segments
    .flatMap(filesOf)
    .reduce((sum, { name, seal }) => sum + seal.bytes - (known.get(name) ?? 0), 0)
}
