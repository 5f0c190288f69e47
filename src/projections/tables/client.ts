import { basename } from 'node:path'
import { findDamagedFile } from '../../storage/database-files.ts'
import { Level } from '../../storage/level.ts'
import type { NewTelemetryEvent } from '../../telemetry/types.ts'
import type { BatchApplied, Projection } from '../projection.ts'
import {
  checkTablesOwner,
  generationPath,
  readWriterState,
  tablesDamaged,
  tablesTuning,
  type WriterState
} from './generation.ts'
import { declaredBy, type Indexes, type IndexState, isBuilt } from './index-states.ts'
import { TablesPool } from './pool.ts'
import type { TablesSessionLink } from './pool-session.ts'
import type { SessionData, TablesNotice } from './protocol.ts'
import type { DigestSlice } from './range-digest.ts'
import type { Sums } from './row-sums.ts'
import { TablesSnapshot } from './snapshot.ts'

/** Some 8 ms of an open. Larger tables are checked whole by `verify` and the scrub. */
const OPEN_CHECK_BYTES = 16 * 1024 * 1024

export interface TablesOptions {
  directory: string
  storeId: Buffer
  generation: number
  batchEventsMax: number
  cacheBytes: number
  /** Without a worker: nothing is projected. For read-only stores. */
  readOnly: boolean
  /** Metadata fields to index; `undefined`: those that this generation indexes. */
  indexes: Indexes | undefined
  onTelemetry(event: NewTelemetryEvent): void
  /** By default the one that all stores of the process share. */
  pool?: TablesPool
}

/**
 * The main thread's side of one generation of the tables: reads through snapshots, and asks a
 * worker of the pool to project. Both threads share one LevelDB.
 */
export class Tables implements Projection {
  readonly name = 'tables'
  readonly generation: number
  /** What the tables held when they were opened. */
  readonly initial: WriterState
  /** Metadata fields that are indexed, or will be once that is built. */
  readonly indexes: Indexes
  readonly #level: Level
  readonly #session: TablesSessionLink | undefined
  #onBatch: (snapshot: TablesSnapshot) => Promise<void> = async (snapshot) => snapshot.release()
  #onDamaged: (error: Error) => void = () => {}
  #onChanged: ((swept: number | undefined) => Promise<void>) | undefined
  /** Indexes were built before anybody listened: the worker may begin before that. */
  #isUnheard = false
  #indexProgress: Readonly<Record<string, number>> = {}
  #snapshots = 0
  #closing: (() => void) | undefined
  #position: number

  private constructor(level: Level, initial: WriterState, options: TablesOptions) {
    const { generation, indexes, readOnly, onTelemetry } = options
    this.#level = level
    this.initial = initial
    this.generation = generation
    this.indexes = indexes ?? declaredBy(initial.indexes)
    this.#position = initial.checkpoint
    if (readOnly) return
    const pool = options.pool?.hold() ?? TablesPool.hold()
    this.#session = pool.session(sessionDataOf(options), {
      onNotice: (notice) => this.#noticed(notice, onTelemetry)
    })
  }

  /** @throws StoreError `TABLES_DAMAGED`: rebuild them into a new generation. */
  static async open(options: TablesOptions): Promise<Tables> {
    const path = generationPath(options.directory, options.generation)
    // A damaged file may make LevelDB end the process as soon as it reads there.
    const damage = await findDamagedFile(path, OPEN_CHECK_BYTES)
    if (damage !== undefined) {
      const { file, offset, reason } = damage
      throw tablesDamaged(basename(file), `${basename(file)}, byte ${offset}: ${reason}`)
    }
    const { readOnly } = options
    const level = await Level.open(path, tablesTuning(options.cacheBytes), { readOnly })
    try {
      // First what tells older tables, which may not say whose they are.
      const state = await readWriterState(level)
      checkTablesOwner(level, options.storeId)
      return new Tables(level, state, options)
    } catch (error) {
      await level.close()
      throw error
    }
  }

  /** How far indexes are that are being built, from 0 to 1. */
  get indexProgress(): Readonly<Record<string, number>> {
    return this.#indexProgress
  }

  get position(): number {
    return this.#position
  }

  /**
   * @param onBatch Called with a fresh snapshot after each batch, before `project` resolves.
   * @param onChanged Called when a fresh snapshot would show something else at the same position:
   *   the associations of a dead concept are erased, or indexes are built.
   */
  whenProjected(
    onBatch: (snapshot: TablesSnapshot) => Promise<void>,
    onChanged: (swept: number | undefined) => Promise<void>
  ): void {
    this.#onBatch = onBatch
    this.#onChanged = onChanged
    if (this.#isUnheard) this.#changed(undefined)
    this.#isUnheard = false
  }

  /** Called for every damaged row that a snapshot meets. */
  whenDamaged(onDamaged: (error: Error) => void): void {
    this.#onDamaged = onDamaged
  }

  /**
   * Goes on with sweeps and indexes that were begun; a store that is opened to be read starts no
   * thread without any. The log is known to be whole by now: the thread opens it, too.
   */
  begin(): void {
    const { dead, indexes } = this.initial
    if (dead.size > 0 || hasIndexWork(indexes, this.indexes)) this.#session?.begin()
  }

  async project(to: number): Promise<BatchApplied> {
    if (this.#session === undefined) throw new Error('A read-only store projects nothing')
    const { from, to: reached, events, ms } = await this.#session.project(to)
    const snapshot = this.snapshot()
    this.#position = snapshot.checkpoint
    await this.#onBatch(snapshot)
    return { from, to: reached, events, ms }
  }

  /** As `differingIn`, in the thread that projects; `undefined` where there is none now. */
  async compare(slice: DigestSlice): Promise<readonly number[] | undefined> {
    return this.#session?.compare(slice)
  }

  /** Sums of the rows, where one thread wrote all of them. */
  async sums(): Promise<Sums | undefined> {
    return this.#session?.sums()
  }

  /** The caller releases it. */
  snapshot(): TablesSnapshot {
    const snapshot = new TablesSnapshot(this.#level, {
      onClosed: () => {
        this.#snapshots -= 1
        if (this.#snapshots === 0) this.#closing?.()
      },
      onDamaged: (error) => this.#onDamaged(error)
    })
    this.#snapshots += 1
    return snapshot
  }

  /** Nothing is projected any more. With `flush`, the next open has nothing to replay. */
  async stop(options: { flush: boolean }): Promise<void> {
    if (this.#session === undefined) return
    await this.#session.close()
    if (options.flush && this.#session.wasOpened) await this.#level.flush()
  }

  /** Closes the database once the last snapshot is released. */
  async close(): Promise<void> {
    if (this.#snapshots > 0) {
      await new Promise<void>((resolve) => {
        this.#closing = resolve
      })
    }
    await this.#level.close()
  }

  #noticed(notice: TablesNotice, onTelemetry: (event: NewTelemetryEvent) => void): void {
    const time = Date.now()
    if (notice.about === 'index') {
      const { fields, ms, progress } = notice
      this.#indexProgress = progress
      if (fields.length === 0) return
      onTelemetry({ type: 'fields-indexed', time, fields, ms })
      this.#changed(undefined)
      return
    }
    const { ordinal, erased, done } = notice
    onTelemetry({ type: 'sweep', time, ordinal, erased, done })
    if (done) this.#changed(ordinal)
  }

  #changed(swept: number | undefined): void {
    // Releasing a snapshot is all that is awaited there, and it does not fail.
    if (this.#onChanged !== undefined) void this.#onChanged(swept)
    // A sweep that nobody heard of leaves a dead concept marked as such, which is as right.
    else if (swept === undefined) this.#isUnheard = true
  }
}

function sessionDataOf(options: TablesOptions): SessionData {
  const { directory, generation, batchEventsMax, cacheBytes, indexes } = options
  const storeId = new Uint8Array(options.storeId)
  return { directory, storeId, generation, batchEventsMax, cacheBytes, indexes }
}

/** Whether there are indexes to build or to remove. */
function hasIndexWork(states: readonly IndexState[], declared: Indexes): boolean {
  if (states.some((state) => !isBuilt(state))) return true
  const there = new Map(states.map(({ field, type }) => [field, type]))
  const fields = Object.entries(declared)
  return fields.length !== there.size || fields.some(([field, type]) => there.get(field) !== type)
}
