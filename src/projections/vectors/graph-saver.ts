import type { NewTelemetryEvent } from '../../telemetry/types.ts'
import { isWorthSaving } from './graph-growth.ts'
import { isIndexDamage } from './index-files.ts'
import type { IndexSaver } from './index-saver.ts'
import type { IndexState } from './index-state.ts'
import { BESIDE, type VectorPool } from './pool.ts'
import { graphBytes, nextNumber, type Segment } from './segment.ts'
import type { GraphShape } from './vector-index.ts'

/** Writing graphs takes at most this part of the time. */
const SAVE_SHARE = 1 / 10
/** After a save that failed, on a full disk perhaps. */
const RETRY_AFTER_MS = 10_000

export interface GraphSaverSetup {
  pool: VectorPool
  state: IndexState
  saver: IndexSaver
  shape: GraphShape
  emit(event: NewTelemetryEvent): void
  /** Up to which position the index may be saved. */
  limit(): number
  /** Asks for another step of the builder. */
  kick(): void
}

interface UnderWay {
  /** In the graph when its turn was asked for. */
  vectors: number
  saved: Promise<number>
}

/** Makes files of graphs that grow in the builder's memory; searches map them from then on. */
export class GraphSaver {
  readonly #setup: GraphSaverSetup
  readonly #underWay = new Map<Segment, UnderWay>()
  #beside: Promise<unknown> | undefined
  /** What a save beside met that no second one helps against. */
  #damage: Error | undefined
  #timer: NodeJS.Timeout | undefined
  #nextSaveAt = 0
  #retryAt = 0
  #bytesPerMs = 100_000

  constructor(setup: GraphSaverSetup) {
    this.#setup = setup
  }

  /** Whether enough time was spent on something else since the last one. */
  get isDue(): boolean {
    return performance.now() >= this.#nextSaveAt
  }

  /** Whether nothing is written for a while, because that failed. */
  get isResting(): boolean {
    return performance.now() < this.#retryAt
  }

  /** Whether one is written while something else is done. */
  get isBusy(): boolean {
    return this.#beside !== undefined
  }

  /** Writes graphs while others, or the same ones, go on growing: the builder is held up by the copies alone. */
  begin(segments: readonly Segment[]): void {
    this.#beside = this.try(async () => this.#saveAll(segments))
      .catch((error: unknown) => {
        this.#damage = error instanceof Error ? error : new Error(String(error))
      })
      .finally(() => {
        this.#beside = undefined
        this.#setup.kick()
      })
  }

  /** @throws IndexDamage that one beside met. */
  throwIfDamaged(): void {
    if (this.#damage !== undefined) throw this.#damage
  }

  /** Waits for what was begun. How it ended is told by `throwIfDamaged`. */
  async settled(): Promise<void> {
    await this.#beside
  }

  async stop(): Promise<void> {
    await this.#beside
    clearTimeout(this.#timer)
  }

  async #saveAll(segments: readonly Segment[]): Promise<void> {
    let ms = 0
    for (const segment of segments) ms += await this.saveGraph(segment)
    const started = performance.now()
    await this.#setup.saver.save(this.#setup.limit())
    ms += performance.now() - started
    this.#nextSaveAt = performance.now() + ms / SAVE_SHARE
    for (const segment of segments) {
      // The builder's own copy is not needed any more.
      if (segment.isFull && segment.graph?.rows === segment.rows) this.#letGo(segment)
    }
  }

  /** What is left is built again by the next open sooner than a large graph is written: rows are in the files. */
  async saveWorthwhile(withinMs: number = Number.POSITIVE_INFINITY): Promise<void> {
    for (const segment of this.#setup.state.segments) {
      if (!isWorthSaving(segment)) continue
      const ms = graphBytes(this.#setup.shape, segment.builtVectors) / this.#bytesPerMs
      if (ms < withinMs) await this.saveGraph(segment)
    }
  }

  /** Writes a graph as it is now. @returns Milliseconds, without those in which it waited for its turn. */
  async saveGraph(segment: Segment): Promise<number> {
    const { builtVectors: vectors } = segment
    const other = this.#underWay.get(segment)
    // A rebuild asks for what the builder has just begun by itself.
    if (other?.vectors === vectors) return other.saved
    // In turn: an older graph must not take the place of a newer one.
    const turn = other?.saved.catch(() => 0) ?? Promise.resolve(0)
    const saved = turn
      .then(async () => this.#saveGraph(segment))
      .finally(() => {
        if (this.#underWay.get(segment)?.saved === saved) this.#underWay.delete(segment)
      })
    this.#underWay.set(segment, { vectors, saved })
    return saved
  }

  async #saveGraph(segment: Segment): Promise<number> {
    const { pool, state, shape, saver, kick } = this.#setup
    const name = state.takeName()
    const path = `${segment.path.slice(0, -segment.name.length)}${name}.usearch`
    try {
      const ask = { segment: segment.number, path }
      const { rows, vectors, scale, ms } = await pool.run('save-graph', ask, { role: 'build' })
      const before = segment.graph
      if (vectors === 0) {
        // A worker that died may have written it nevertheless.
        saver.retire(`${name}.usearch`)
        // Of nothing there is no graph: all of it is dead. Or it went with its worker, and the next build
        // goes on from the graph that was saved before.
        if (rows === 0) {
          segment.setBuilt(before?.rows ?? 0, before?.vectors ?? 0)
          kick()
        }
        return ms
      }
      const started = performance.now()
      const written = { shape, graph: { path, vectors, scale } }
      const seal = await pool.run('seal-graph', written, BESIDE)
      if (before !== undefined) saver.retire(`${before.name}.usearch`)
      segment.setGraph({ graph: nextNumber(), path, name, rows, vectors, scale, seal })
      if (rows > segment.built) segment.setBuilt(rows, vectors)
      // What was left out stays so, as what is dead does: as many are the same ones. Others may be alive to a
      // view from before.
      const leftBefore = before === undefined ? 0 : before.rows - before.vectors
      if (rows - vectors !== leftBefore) state.leftOut()
      else state.changed()
      const took = ms + performance.now() - started
      this.#bytesPerMs = seal.bytes / Math.max(1, took)
      return took
    } catch (error) {
      // Not before: another save that ends meanwhile would take it away as a leftover.
      saver.retire(`${name}.usearch`)
      throw error
    }
  }

  /** What is not saved is in the log: a full disk stops no search. It is told, and tried again. */
  async try(work: () => Promise<void>): Promise<boolean> {
    try {
      await work()
      return true
    } catch (error) {
      if (isIndexDamage(error)) throw error
      const reason = error instanceof Error ? error.message : String(error)
      this.#setup.emit({ type: 'index-save-failed', time: Date.now(), reason })
      this.#retryAt = performance.now() + RETRY_AFTER_MS
      this.#nextSaveAt = this.#retryAt
      this.kickLater()
      return true
    }
  }

  kickLater(): void {
    clearTimeout(this.#timer)
    const wait = Math.max(1, this.#nextSaveAt - performance.now())
    this.#timer = setTimeout(() => this.#setup.kick(), wait)
    this.#timer.unref()
  }

  #letGo(segment: Segment): void {
    this.#setup.pool.forget({ do: 'forget', sets: [], segments: [segment.number], graphs: [] })
  }
}
