import { InvariantError } from '../../assert.ts'
import type { NewTelemetryEvent } from '../../telemetry/types.ts'
import { BATCH_ROWS, isGrown, isWorthSaving } from './graph-growth.ts'
import { GraphSaver } from './graph-saver.ts'
import { isIndexDamage } from './index-files.ts'
import { IndexMerger, type Liveness } from './index-merger.ts'
import type { IndexSaver } from './index-saver.ts'
import type { IndexState } from './index-state.ts'
import { slabRows } from './layout.ts'
import { CancelFlag } from './pace.ts'
import type { VectorPool } from './pool.ts'
import { Retry, type Trouble } from './retry.ts'
import type { Segment } from './segment.ts'
import type { GraphShape } from './vector-index.ts'

/** So few rows wait for others before they go into a graph: a search compares them in no time. */
const LEFT_NUMBERS = 2 ** 17
const LEFT_ROWS = { min: 64, max: 1024 }
/** Full graphs that wait to be written, at most, while others are made. */
const FULL_MAX = 2
/** Rows that are in no file yet are written when they take so much memory. */
const FLUSH_BYTES = 4 * 1024 * 1024

export interface BuilderSetup {
  pool: VectorPool
  state: IndexState
  saver: IndexSaver
  shape: GraphShape
  readOnly: boolean
  /** Ends when the graphs of the files were checked. */
  ready: Promise<void>
  /** After a build that failed for the first time; by default a second. */
  retryMs: number | undefined
  emit(event: NewTelemetryEvent): void
  /** Something was built, or will not be. */
  onProgress(): void
  /** The files are not what was written. */
  onDamaged(error: unknown): void
}

interface Next {
  segment: Segment
  /** Up to here its rows may be built. */
  rows: number
}

/** Brings rows into graphs, one step after the other, and makes the graphs that searches use. */
export class IndexBuilder {
  readonly #setup: BuilderSetup
  readonly #cancel = new CancelFlag()
  readonly #left: number
  /** Rows that are built at once while others are still read from the log. */
  readonly #whole: number
  readonly #merger: IndexMerger
  #running: Promise<void> | undefined
  #isAskedAgain = false
  readonly #graphs: GraphSaver
  #limit = 0
  #broken: Error | undefined
  readonly #retry: Retry
  #unreported = { vectors: 0, ms: 0 }

  constructor(setup: BuilderSetup) {
    this.#setup = setup
    const rows = Math.floor(LEFT_NUMBERS / setup.shape.dimensions)
    const left = Math.min(LEFT_ROWS.max, Math.max(LEFT_ROWS.min, rows))
    this.#left = Math.min(left, setup.state.segmentRows)
    this.#whole = Math.min(BATCH_ROWS, slabRows(setup.shape.dimensions))
    const { pool, state, saver, shape } = setup
    this.#retry = new Retry(() => this.kick(), setup.retryMs)
    const common = {
      pool,
      state,
      saver,
      shape,
      emit: (event: NewTelemetryEvent) => setup.emit(event),
      // Rows behind it may still be on their way from the log.
      limit: () => Math.min(this.#limit, state.ingested),
      kick: () => this.kick()
    }
    this.#graphs = new GraphSaver(common)
    this.#merger = new IndexMerger({
      ...common,
      cancel: this.#cancel,
      saveGraph: async (segment) => this.#graphs.saveGraph(segment),
      isNeeded: () => this.#isNeeded()
    })
  }

  /** Why nothing is built: for now, as `trouble` tells, or for good. */
  get error(): Error | undefined {
    return this.#broken ?? this.#retry.trouble?.error
  }

  /** Why nothing is built at present, and when it will be tried again. */
  get trouble(): Trouble | undefined {
    return this.#broken === undefined ? this.#retry.trouble : undefined
  }

  /** The files are not what was written: another index takes the place of this one. */
  get isDamaged(): boolean {
    return this.#broken !== undefined && isIndexDamage(this.#broken)
  }

  /** Stands for now, where it is asked later whether building has failed since. */
  get attempt(): number {
    return this.#retry.attempt
  }

  /** Whether it is in vain to wait for what is built, for somebody who began to at an attempt. */
  hasFailedSince(attempt: number): boolean {
    return this.#broken !== undefined || this.#retry.hasFailedSince(attempt)
  }

  /** Rows that are in no graph and are not known to be dead. */
  get pending(): number {
    return this.#setup.state.segments.reduce((sum, { pending }) => sum + pending, 0)
  }

  /** Rows that no graph was made of yet, whether dead or alive. */
  get unbuilt(): number {
    return this.#setup.state.segments.reduce((sum, { rows, built }) => sum + rows - built, 0)
  }

  /** Rows that searches compare one by one. */
  get scanned(): number {
    return this.#setup.state.segments.reduce((sum, { scanned }) => sum + scanned, 0)
  }

  /** From now on segments with many dead vectors are merged. */
  follow(liveness: Liveness): void {
    this.#merger.follow(liveness)
  }

  /** Whether the vectors up to a position need nothing more: the few that are left are compared. */
  isDone(position: number): boolean {
    return this.#nextToBuild(position) === undefined
  }

  /** Whether nothing more will be built, of what there is now. */
  get isDrained(): boolean {
    return this.isDone(Number.POSITIVE_INFINITY)
  }

  /** The same by what the files promise, before they were looked at. */
  isPromised(position: number): boolean {
    return this.#nextToBuild(position, true) === undefined
  }

  /** Builds up to a position, in the background. */
  buildUpTo(position: number): void {
    this.#limit = Math.max(this.#limit, position)
    this.kick()
  }

  /** Looks whether there is something to do. */
  kick(): void {
    if (this.#cancel.raised || this.#broken !== undefined) return
    if (this.#running !== undefined) {
      // It may have looked for the last time already.
      this.#isAskedAgain = true
      if (this.#isNeeded()) this.#merger.wake()
      return
    }
    this.#running = this.#run().finally(() => {
      this.#running = undefined
      if (!this.#isAskedAgain) return
      this.#isAskedAgain = false
      this.kick()
    })
  }

  /** Lets the piece that is being built end, and starts no other. */
  async stop(): Promise<void> {
    this.#cancel.raise()
    this.#retry.stop()
    this.#merger.wake()
    await this.#running
    await this.#graphs.stop()
    // What was running may have failed just now.
    this.#retry.stop()
    this.#merger.stop()
  }

  /** Makes graphs of what is built, and all of it durable up to a position. */
  async save(position: number, withinMs?: number): Promise<void> {
    await this.#graphs.saveWorthwhile(withinMs)
    await this.#setup.saver.save(position)
  }

  async #run(): Promise<void> {
    try {
      // Graphs that were saved are gone on with, once they are known to be whole.
      await this.#setup.ready
      while (!this.#cancel.raised && (await this.#step())) this.#setup.onProgress()
    } catch (error) {
      this.#broken = toError(error)
      this.#setup.onDamaged(error)
    }
    this.#reportBuilt()
    this.#setup.onProgress()
  }

  /** @returns Whether anything was done. */
  async #step(): Promise<boolean> {
    const { state, readOnly } = this.#setup
    const graphs = this.#graphs
    graphs.throwIfDamaged()
    const unflushed = state.segments.reduce((sum, segment) => sum + segment.unflushedBytes, 0)
    if (!readOnly && unflushed >= FLUSH_BYTES && !graphs.isResting) {
      return graphs.try(async () => this.#setup.saver.flush())
    }
    if (!readOnly && this.#saveBeside()) {
      // Each is in memory until it is in a file.
      await graphs.settled()
      return true
    }
    const next = await this.#withoutDead(this.#next())
    // Stopped meanwhile, rests are over too.
    if (this.#cancel.raised) return false
    if (next !== undefined && !this.#retry.isResting) {
      await this.#tryBuilding(next.segment, next.rows)
      return true
    }
    // When a save ends there may be more to do: it asks for another step.
    if (readOnly || graphs.isBusy) return false
    const changed = state.segments.filter(
      ({ builtVectors, graph }) => builtVectors > (graph?.vectors ?? 0)
    )
    // Each save of a graph that has grown so much is paid for by what searches need not compare.
    const isWorth = graphs.isDue || changed.some(isWorthSaving)
    if (changed.length > 0 && !graphs.isResting && isWorth) {
      graphs.begin(changed)
      return false
    }
    if (changed.length > 0) graphs.kickLater()
    return next === undefined && this.#merge()
  }

  /** @returns Whether so many full graphs wait for it that no other should be made. */
  #saveBeside(): boolean {
    const graphs = this.#graphs
    const grown = this.#setup.state.segments.filter((segment) => isGrown(segment))
    // A full one is written once; one that grows is written so often that it takes a part of the time.
    const full = grown.filter(({ isFull }) => isFull)
    const chosen = full[0] ?? (graphs.isDue ? grown[0] : undefined)
    if (chosen !== undefined && !graphs.isBusy && !graphs.isResting) graphs.begin([chosen])
    return graphs.isBusy && full.length > FULL_MAX
  }

  #isNeeded(): boolean {
    return this.#next() !== undefined
  }

  /** What to build now: while rows come from the log, pieces as they would be if all had been read. */
  #next(): Next | undefined {
    const next = this.#nextToBuild(this.#limit)
    if (next === undefined || this.#limit <= this.#setup.state.ingested) return next
    const { segment, rows } = next
    return segment.isFull || rows - segment.built >= this.#whole ? next : undefined
  }

  /** The first segment of which enough rows are in no graph. */
  #nextToBuild(position: number, isBySaved = false): Next | undefined {
    const { state } = this.#setup
    const allowed = state.rowsUpTo(Math.min(position, state.ingested))
    for (const [at, segment] of state.segments.entries()) {
      const rows = allowed[at] ?? 0
      const built = isBySaved ? (segment.saved?.graph?.rows ?? 0) : segment.built
      const left = isBySaved ? rows - built : segment.pendingUpTo(rows)
      const isRest = segment.isFull && rows === segment.rows && rows > built
      const isEnough = left >= this.#left || (isRest && segment.rows >= this.#left)
      if (isEnough) return { segment, rows }
    }
    return undefined
  }

  /** What is dead by now goes into no graph. Of what is replaced all the time, little is left then. */
  async #withoutDead(next: Next | undefined): Promise<Next | undefined> {
    if (next === undefined) return next
    const { segment, rows } = next
    try {
      if (!this.#merger.mayFindDead) return next
      const to = segment.endOfBatch(BATCH_ROWS, rows)
      await this.#merger.bury(segment, { from: segment.built, to })
    } catch (error) {
      if (isIndexDamage(error) || error instanceof InvariantError) throw error
      // The tables could not tell, and are told so by whoever read them: they heal. What is dead is
      // built meanwhile, which costs time alone.
      return next
    }
    return this.#next()
  }

  /**
   * Searches compare what is not built, so threads that die over it cost no answer: it is told, and
   * tried again after a rest, in which what memory holds is still written to the files.
   */
  async #tryBuilding(segment: Segment, upTo: number): Promise<void> {
    try {
      await this.#build(segment, upTo)
      this.#retry.succeeded()
    } catch (error) {
      if (isIndexDamage(error) || error instanceof InvariantError) throw error
      const { failures, retryMs } = this.#retry.failed(toError(error))
      const { message: reason } = toError(error)
      this.#setup.emit({
        type: 'index-build-failed',
        time: Date.now(),
        reason,
        failures,
        retryMs
      })
    }
  }

  async #build(segment: Segment, upTo: number): Promise<void> {
    const { pool, state } = this.#setup
    const set = state.keeper.hold(state.current())
    try {
      const started = performance.now()
      const part = set.segments.indexOf(segment)
      const rows = segment.endOfBatch(BATCH_ROWS, upTo)
      const ask = { set: set.description.set, part, rows, cancel: this.#cancel.buffer }
      const built = await pool.run('build', ask, { role: 'build', set: set.description })
      this.#unreported.vectors += Math.max(0, built.vectors - segment.builtVectors)
      this.#unreported.ms += performance.now() - started
      segment.setBuilt(built.rows, built.vectors)
    } finally {
      state.keeper.release(set)
    }
  }

  async #merge(): Promise<boolean> {
    if (this.#graphs.isResting) return false
    let worked = false
    const isTried = await this.#graphs.try(async () => {
      worked = await this.#merger.step()
    })
    return isTried && worked
  }

  #reportBuilt(): void {
    if (this.#unreported.vectors === 0) return
    this.#setup.emit({ type: 'index-built', time: Date.now(), ...this.#unreported })
    this.#unreported = { vectors: 0, ms: 0 }
  }
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
