import { join } from 'node:path'
import { StoreError, throwIfAborted } from '../../errors.ts'
import type { LogCommit } from '../../log/frame.ts'
import type { VectorStats } from '../../telemetry/types.ts'
import type { BatchApplied, Projection } from '../projection.ts'
import type { VectorChoice, VectorSearch, VectorsPin, VectorsStart } from './client-types.ts'
import { IndexBuilder } from './index-builder.ts'
import { IndexDamage } from './index-files.ts'
import { OPENING, openIndex } from './index-files-open.ts'
import type { Liveness } from './index-merger.ts'
import { amongSet, type Scope, searchSet, vectorsOf } from './index-reader.ts'
import type { IndexSaver } from './index-saver.ts'
import type { IndexState } from './index-state.ts'
import { LogFeed } from './log-feed.ts'
import { filesOf } from './manifest.ts'
import type { Candidates } from './nearest.ts'
import { CancelFlag } from './pace.ts'
import { VectorPool } from './pool.ts'
import { ProgressSignal } from './progress.ts'
import type { FilesChecked } from './protocol.ts'
import { Recovery } from './recovery.ts'
import { checkFiles, compareWithLog, type VectorTruth } from './verify-index.ts'
import { WriterRoom } from './writer-room.ts'

export type { VectorChoice, VectorSearch, VectorsPin, VectorsStart } from './client-types.ts'
export type { Candidates } from './nearest.ts'

/** Written at most when a store closes. */
const CLOSE_SAVE_MS = 400

/**
 * The vector index of one store. Vectors lie in segments; a search asks the graph of each and
 * compares the rows that are in none, so a vector is found as soon as it is appended. Everything that
 * takes time is done by the threads of the pool.
 */
export class VectorsClient implements Projection {
  readonly name = 'vectors'
  /** Where writers of vectors wait while too many of them are in no graph. */
  readonly room: WriterRoom
  readonly #options: VectorsStart
  readonly #pool: VectorPool
  readonly #state: IndexState
  readonly #saver: IndexSaver
  readonly #builder: IndexBuilder
  readonly #cancel = new CancelFlag()
  readonly #feed: LogFeed
  readonly #progress = new ProgressSignal()
  #position: number
  #running = 0
  #idle: (() => void) | undefined
  #closing: Promise<void> | undefined
  #onDamaged: () => void = () => {}
  #isDamageTold = false
  /** Graphs of the files are compared with their checksums before they are mapped. */
  #ready: Promise<void>
  readonly #recovery: Recovery

  private constructor(options: VectorsStart, opened: Awaited<ReturnType<typeof openIndex>>) {
    const { pool, state, saver, checked } = opened
    this.#options = options
    this.#pool = pool
    this.#state = state
    this.#saver = saver
    this.#ready = checked
    const { log, storeId, declaration, readOnly } = options
    const { space, dimensions } = declaration
    const files = { pool, state, saver, readOnly }
    this.#feed = new LogFeed({
      ...files,
      log,
      storeId,
      space,
      dimensions,
      cancel: this.#cancel,
      head: () => options.head(),
      onFilled: () => this.#builder.kick(),
      onFailed: () => this.#progress.notify()
    })
    this.#builder = new IndexBuilder({
      ...files,
      shape: declaration,
      ready: checked,
      retryMs: options.retryMs,
      emit: (event) => options.onTelemetry(event),
      onProgress: () => this.#progress.notify(),
      onDamaged: (error) => {
        if (!(error instanceof IndexDamage)) return
        this.#tellDamage(error)
        this.#onDamaged()
      }
    })
    const work = { builder: this.#builder, progress: this.#progress, cancel: this.#cancel }
    this.room = new WriterRoom({
      ...work,
      dimensions,
      unread: () => this.#feed.unread,
      readError: () => this.#feed.readError,
      position: () => this.#position
    })
    this.#recovery = new Recovery({
      ...work,
      retryMs: options.retryMs,
      read: async () => this.#readLog(),
      emit: (event) => options.onTelemetry(event)
    })
    const { position } = saver
    const isPromised = readOnly || this.#builder.isPromised(position)
    this.#position = isPromised ? position : 0
    if (readOnly) return
    // A graph that is gone, or was not written when the store closed, is made without a new vector.
    this.#ready = checked.then(() => {
      if (!this.#builder.isDone(position)) this.#position = 0
      this.#builder.buildUpTo(position)
    })
  }

  /**
   * Opens what was saved, or starts from nothing where it is absent, damaged or foreign.
   *
   * @throws StoreError `VECTORS_UNAVAILABLE` where the graph engine does not load.
   */
  static async start(options: VectorsStart): Promise<VectorsClient> {
    const pool = options.pool?.hold() ?? VectorPool.hold()
    try {
      await pool.run('hello', { shape: options.declaration }, OPENING)
      return new VectorsClient(options, await openIndex(pool, options))
    } catch (error) {
      await pool.release()
      throw error
    }
  }

  /** Every vector up to here is in a graph, but for a few that are compared one by one. */
  get position(): number {
    return this.#position
  }

  /** Then it is known whether the graphs that the files promise are there. */
  get checked(): Promise<void> {
    return this.#ready
  }

  /** Checkpoint of the files. */
  get savedPosition(): number {
    return this.#saver.position
  }

  get diskBytes(): number {
    const files = this.#saver.manifest.segments.flatMap(filesOf)
    return files.reduce((sum, { seal }) => sum + seal.bytes, 0)
  }

  stats(): VectorStats {
    const { pending, scanned } = this.#builder
    const { unread } = this.#feed
    return {
      declared: true,
      dimensions: this.#options.declaration.dimensions,
      indexed: this.#state.rows - pending,
      pending: pending + unread,
      pendingMax: this.room.max,
      scanned,
      segments: this.#state.segments.length,
      position: this.#position,
      savedPosition: this.savedPosition,
      readers: this.#pool.readers,
      workerRestarts: this.#pool.restarts,
      ...this.#recovery.stats()
    }
  }

  /** Takes the vectors of commits that were just written, before anybody is told of them. */
  appended(commits: readonly LogCommit[], first: number, last: number): void {
    this.#feed.appended(commits, first, last)
  }

  /** Threads that died may live the next time. What is damaged, or in no way to be read, stays so. */
  recovered(error: Error): Promise<boolean> | undefined {
    return this.#recovery.after(error)
  }

  /** Brings the graphs up to a position, or some of the way. */
  async project(to: number): Promise<BatchApplied> {
    const started = performance.now()
    const from = this.#position + 1
    await this.#use(async () => {
      await this.#ready
      // Rows go into graphs while others are still read from the log.
      this.#builder.buildUpTo(to)
      await this.#feed.upTo(to, () => this.#throwIfBroken('project'))
      const target = Math.min(to, this.#state.ingested)
      const before = this.#builder.unbuilt
      this.#builder.buildUpTo(target)
      for (;;) {
        this.#throwIfBroken('project')
        if (this.#builder.isDone(target)) {
          this.#position = target
          return
        }
        const reached = this.#state.timeline.positionAt(this.#builtRows())
        if (reached > this.#position && before > this.#builder.unbuilt) {
          this.#position = Math.min(reached, target)
          return
        }
        await this.#progress.next
      }
    })
    const ms = performance.now() - started
    return { from, to: this.#position, events: this.#position - from + 1, ms }
  }

  async search(query: Float32Array, options: VectorSearch): Promise<Candidates> {
    const { k, ef, exact = false, position } = options
    const wanted = Math.max(k, ef ?? this.#options.expansionSearch)
    return this.#read('search', options, async (scope) =>
      searchSet(scope, query, { k, wanted, exact, position })
    )
  }

  /** Compares with the given vectors alone, exactly. */
  async among(query: Float32Array, options: VectorChoice): Promise<Candidates> {
    return this.#read('among', options, async (scope) => amongSet(scope, query, options))
  }

  /** The vectors bit for bit as they were given; `undefined` for a revision that is unknown. */
  async vectors(
    revisions: readonly number[],
    options: { position: number; pin?: VectorsPin }
  ): Promise<(Float32Array | undefined)[]> {
    return this.#read('vectors', options, async (scope) => vectorsOf(scope, revisions))
  }

  /** Holds what is there now, for a view. Each pin is let go of once. */
  pin(): VectorsPin {
    const { keeper, merges, ingested } = this.#state
    const set = keeper.hold(this.#state.current())
    return { set, rows: set.rows(), merges, ingested }
  }

  unpin({ set }: VectorsPin): void {
    this.#state.keeper.release(set)
  }

  /** From now on vectors that nobody needs are dropped when they become many. */
  follow(liveness: Liveness): void {
    this.#builder.follow(liveness)
    this.#builder.kick()
  }

  /** There may be fewer vectors of use than the last time. */
  recount(): void {
    this.#builder.kick()
  }

  /** @param onDamaged Told when a build meets files that are not what was written. */
  whenDamaged(onDamaged: () => void): void {
    this.#onDamaged = onDamaged
  }

  /** Makes the index durable, with its graphs, as far as the log is. */
  async save(durableHead: number): Promise<void> {
    await this.#save(durableHead, Number.POSITIVE_INFINITY)
  }

  /** As `save`, without what would take long: the next open builds it again. */
  async saveQuickly(durableHead: number): Promise<void> {
    await this.#save(durableHead, CLOSE_SAVE_MS)
  }

  /** Checks every file of the saved index. */
  async check(): Promise<FilesChecked> {
    return this.#use(async () => {
      await this.#ready
      const directory = join(this.#options.directory, 'vectors')
      return checkFiles(this.#pool, directory, () => this.#saver.manifest)
    })
  }

  /** @see compareWithLog */
  async compare(truth: VectorTruth): Promise<string[]> {
    const { log, storeId, declaration } = this.#options
    const index = { log, storeId, space: declaration.space, cancel: this.#cancel }
    return this.#read('verify', truth, async ({ pool, set, rows }) =>
      compareWithLog({ ...index, pool, set, rows }, truth)
    )
  }

  /** What is being built ends early. Nothing that a save has promised is lost. */
  interrupt(): void {
    this.#cancel.raise()
    // Whoever waits for a batch hears of it; what the builder does ends by itself.
    void this.#builder.stop()
    this.#recovery.stop()
    this.#progress.notify()
  }

  async close(): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  async #close(): Promise<void> {
    this.interrupt()
    await this.#builder.stop()
    await this.#ready
    if (this.#running > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve
      })
    }
    this.#state.close()
    await this.#pool.release()
  }

  async #save(durableHead: number, withinMs: number): Promise<void> {
    if (this.#options.readOnly) return
    await this.#use(async () => {
      await this.#ready
      const position = Math.min(durableHead, this.#state.ingested)
      await this.#builder.save(position, withinMs)
    })
  }

  /** Reads what there is at a position, from files and memory that stay while it does. */
  async #read<T>(
    operation: string,
    { position, pin, signal }: { position: number; pin?: VectorsPin; signal?: AbortSignal },
    work: (scope: Scope) => Promise<T>
  ): Promise<T> {
    if (this.#closing !== undefined) throw storeClosed(operation)
    throwIfAborted(signal, operation)
    return this.#use(async () => {
      await this.#ready
      await this.#feed.upTo(position, () => {
        throwIfAborted(signal, operation)
        if (this.#cancel.raised) throw storeClosed(operation)
      })
      const { keeper, merges } = this.#state
      // Nothing that a state needs is left out before its vectors were all there, and pinned.
      const isCurrent = pin === undefined || pin.merges === merges || pin.ingested < position
      const set = keeper.hold(isCurrent ? this.#state.current() : pin.set)
      try {
        const rows = isCurrent ? set.rows() : pin.rows
        return await work({ pool: this.#pool, set, rows, signal })
      } catch (error) {
        if (error instanceof IndexDamage) this.#tellDamage(error)
        throw error
      } finally {
        keeper.release(set)
      }
    })
  }

  async #readLog(): Promise<void> {
    const { head } = this.#options
    await this.#use(async () => {
      await this.#ready
      await this.#feed.upTo(head(), () => {
        if (this.#cancel.raised) throw storeClosed('project')
      })
    })
  }

  #builtRows(): number {
    return this.#state.counted - this.#builder.unbuilt
  }

  #tellDamage({ message: reason }: IndexDamage): void {
    // Many may meet it at once; it is one damage.
    if (this.#isDamageTold) return
    this.#isDamageTold = true
    const time = Date.now()
    this.#options.onTelemetry({ type: 'damage-found', time, part: 'vectors', reason })
  }

  #throwIfBroken(operation: string): void {
    if (this.#cancel.raised) throw storeClosed(operation)
    const { error } = this.#builder
    if (error !== undefined) throw error
  }

  /** Counts what uses threads and files, so that closing waits for it. */
  async #use<T>(work: () => Promise<T>): Promise<T> {
    this.#running += 1
    try {
      return await work()
    } finally {
      this.#running -= 1
      if (this.#running === 0) this.#idle?.()
    }
  }
}

function storeClosed(operation: string): StoreError<'STORE_CLOSED'> {
  const message = `The store was closed before '${operation}' was done`
  return new StoreError('STORE_CLOSED', message, { operation })
}
