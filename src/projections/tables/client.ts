import { basename } from 'node:path'
import { findDamagedFile } from '../../storage/database-files.ts'
import { Level } from '../../storage/level.ts'
import { WorkerLink } from '../../storage/worker-link.ts'
import type { TelemetryEvent } from '../../telemetry/types.ts'
import type { BatchApplied, Projection } from '../projection.ts'
import { generationPath, readWriterState, tablesDamaged, tablesTuning } from './generation.ts'
import type { SweepNotice, TablesRequest, TablesWorkerData } from './protocol.ts'
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
  readonly #level: Level
  readonly #link: WorkerLink | undefined
  #onBatch: (snapshot: TablesSnapshot) => Promise<void> = async (snapshot) => snapshot.release()
  #onDamaged: (error: Error) => void = () => {}
  #onSwept: (ordinal: number) => Promise<void> = async () => {}
  #snapshots = 0
  #closing: (() => void) | undefined
  #position: number

  private constructor(
    level: Level,
    initial: WriterState,
    link: WorkerLink | undefined,
    generation: number
  ) {
    this.#level = level
    this.#link = link
    this.initial = initial
    this.generation = generation
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
              tables === undefined ? undefined : tables.#noticed(notice as SweepNotice, options)
          )
      tables = new Tables(level, initial, link, options.generation)
      return tables
    } catch (error) {
      await level.close()
      throw error
    }
  }

  get position(): number {
    return this.#position
  }

  /** Called with a fresh snapshot after each batch, before `project` resolves. */
  whenProjected(
    onBatch: (snapshot: TablesSnapshot) => Promise<void>,
    onSwept: (ordinal: number) => Promise<void>
  ): void {
    this.#onBatch = onBatch
    this.#onSwept = onSwept
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

  #noticed(notice: SweepNotice, options: TablesOptions): void {
    const { ordinal, erased, done } = notice
    options.onTelemetry({ type: 'sweep', time: Date.now(), ordinal, erased, done })
    // Releasing a snapshot is all that is awaited there, and it does not fail.
    if (done) void this.#onSwept(ordinal)
  }
}

function workerDataOf(options: TablesOptions): TablesWorkerData {
  const { directory, storeId, generation, batchEventsMax, cacheBytes } = options
  return { directory, storeId: new Uint8Array(storeId), generation, batchEventsMax, cacheBytes }
}
