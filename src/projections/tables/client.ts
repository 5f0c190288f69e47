import { basename } from 'node:path'
import { findDamagedFile } from '../../storage/database-files.ts'
import { Level } from '../../storage/level.ts'
import { WorkerLink } from '../../storage/worker-link.ts'
import type { TelemetryEvent } from '../../telemetry/types.ts'
import type { BatchApplied, Projection } from '../projection.ts'
import { generationPath, readWriterState, tablesDamaged, tablesTuning } from './generation.ts'
import { declaredBy, type Indexes } from './index-states.ts'
import type { TablesNotice, TablesRequest, TablesWorkerData } from './protocol.ts'
import { TablesSnapshot } from './snapshot.ts'
import type { WriterState } from './tables-writer.ts'

/** About 25 ms of an open. Larger tables are checked whole by `verify` and the scrub. */
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
  onTelemetry(event: TelemetryEvent): void
}

/**
 * The main thread's side of one generation of the tables: reads through snapshots, and asks the
 * worker to project. Both threads share one LevelDB.
 */
export class Tables implements Projection {
  readonly name = 'tables'
  readonly generation: number
  /** What the tables held when they were opened. */
  readonly initial: WriterState
  /** Metadata fields that are indexed, or will be once that is built. */
  readonly indexes: Indexes
  readonly #level: Level
  readonly #link: WorkerLink | undefined
  #onBatch: (snapshot: TablesSnapshot) => Promise<void> = async (snapshot) => snapshot.release()
  #onDamaged: (error: Error) => void = () => {}
  #onChanged: ((swept: number | undefined) => Promise<void>) | undefined
  /** Indexes were built before anybody listened: the worker begins when it is started. */
  #isUnheard = false
  #indexProgress: Readonly<Record<string, number>> = {}
  #snapshots = 0
  #closing: (() => void) | undefined
  #position: number

  private constructor(
    level: Level,
    initial: WriterState,
    link: WorkerLink | undefined,
    { generation, indexes }: TablesOptions
  ) {
    this.#level = level
    this.#link = link
    this.initial = initial
    this.generation = generation
    this.indexes = indexes ?? declaredBy(initial.indexes)
    this.#position = initial.checkpoint
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
    const level = await Level.open(path, tablesTuning(options.cacheBytes))
    try {
      const initial = await readWriterState(level)
      // Callbacks are set before the first question is asked, and notices come after.
      let tables: Tables | undefined
      const link = options.readOnly
        ? undefined
        : new WorkerLink(
            new URL('./worker.js', import.meta.url),
            workerDataOf(options),
            (notice) =>
              // The worker sends nothing else of its own accord.
              tables === undefined ? undefined : tables.#noticed(notice as TablesNotice, options)
          )
      tables = new Tables(level, initial, link, options)
      return tables
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

  async project(to: number): Promise<BatchApplied> {
    const batch = (await this.#request({ do: 'project', to })) as BatchApplied
    const snapshot = this.snapshot()
    this.#position = snapshot.checkpoint
    await this.#onBatch(snapshot)
    return batch
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

  /** Ends the worker. With `flush`, the next open has nothing to replay. */
  async stop(options: { flush: boolean }): Promise<void> {
    if (this.#link === undefined) return
    await this.#request({ do: 'close', flush: options.flush })
    await this.#link.ended()
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

  async #request(request: TablesRequest): Promise<unknown> {
    if (this.#link === undefined) throw new Error('A read-only store projects nothing')
    return this.#link.request(request)
  }

  #noticed(notice: TablesNotice, options: TablesOptions): void {
    const time = Date.now()
    if (notice.about === 'index') {
      const { fields, ms, progress } = notice
      this.#indexProgress = progress
      if (fields.length === 0) return
      options.onTelemetry({ type: 'fields-indexed', time, fields, ms })
      this.#changed(undefined)
      return
    }
    const { ordinal, erased, done } = notice
    options.onTelemetry({ type: 'sweep', time, ordinal, erased, done })
    if (done) this.#changed(ordinal)
  }

  #changed(swept: number | undefined): void {
    // Releasing a snapshot is all that is awaited there, and it does not fail.
    if (this.#onChanged !== undefined) void this.#onChanged(swept)
    // A sweep that nobody heard of leaves a dead concept marked as such, which is as right.
    else if (swept === undefined) this.#isUnheard = true
  }
}

function workerDataOf(options: TablesOptions): TablesWorkerData {
  const { directory, generation, batchEventsMax, cacheBytes, indexes } = options
  const storeId = new Uint8Array(options.storeId)
  return { directory, storeId, generation, batchEventsMax, cacheBytes, indexes }
}
