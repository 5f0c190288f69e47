import { assert } from '../../assert.ts'
import type { Anchor } from '../../log/anchor.ts'
import type { EventLog } from '../../log/log.ts'
import type { Level } from '../../storage/level.ts'
import { STRETCH_MS, turn } from '../../turn.ts'
import type { BatchApplied, Projection } from '../projection.ts'
import {
  type ContinuityRecord,
  encodeAnchor,
  encodeNumber,
  encodeRecord,
  nextRecord,
  sealRow
} from '../tables/rows.ts'
import { RowsBase } from './base.ts'
import { Catches } from './catches.ts'
import { BatchChanges } from './changes.ts'
import type { Definition } from './define.ts'
import { type FoldTarget, foldEvents } from './fold-events.ts'
import type { ProjectionFiles } from './generation-files.ts'
import { LevelRows, META, type OnDamaged, recordKey } from './generation-rows.ts'
import { CLOSE_WAIT_MS, type Patience } from './patience.ts'
import { keyOfRowId } from './row-keys.ts'

export interface GenerationSetup {
  log: Pick<EventLog, 'read'>
  files: ProjectionFiles
  storeId: string
  definition: Definition
  /** Events of a batch, at most. */
  batchEventsMax: number
  /** With the definition's own code, that of other versions included. */
  patience: Patience
}

/** What a database holds: see `open-generation.ts`. */
export interface OpenedRows {
  number: number
  level: Level
  checkpoint: number
  /** Of which history; `undefined` where an older program wrote last. */
  anchor: Anchor | undefined
  record: ContinuityRecord | undefined
}

const MiB = 1024 * 1024
/** Estimated memory of the changes of a batch. */
const BATCH_BYTES_MAX = 16 * MiB
/** Where `apply` reads ranges, each looks through all changes of the batch. */
const RANGED_CHANGES_MAX = 512
/** Older ones say nothing that the checkpoint of the newest does not. */
export const RECORDS_KEPT = 64

/**
 * The rows that one version of a definition has made of the log so far, and the code that goes on
 * with them. Projects on the main thread, since functions cannot leave it, in short stretches.
 */
export class Generation implements Projection {
  /** What the pipeline knows it as: another name while it is built beside the one that answers. */
  name: string
  isAside = false
  readonly openedAt: number = performance.now()
  readonly number: number
  readonly definition: Definition
  readonly #setup: GenerationSetup
  readonly #level: Level
  readonly #catches = new Catches()
  #record: ContinuityRecord | undefined
  #base: RowsBase
  #bases = 0
  #isStopping = false
  /** By the monotonic clock, in milliseconds: when the last stretch ends, done or not. */
  #finishBy = Number.POSITIVE_INFINITY
  #closing: (() => void) | undefined
  #onDamaged: OnDamaged = () => {}

  constructor(setup: GenerationSetup, { number, level, checkpoint, record }: OpenedRows) {
    this.#setup = setup
    this.definition = setup.definition
    this.name = setup.definition.name
    this.number = number
    this.#level = level
    this.#record = record
    this.#base = this.#newBase(checkpoint)
  }

  get version(): number {
    return this.definition.version
  }

  get position(): number {
    return this.#base.checkpoint
  }

  get path(): string {
    return this.#setup.files.pathOf(this.number)
  }

  /** The newest rows that are stored. The caller holds them before anything else happens. */
  get base(): RowsBase {
    return this.#base
  }

  /** Readers that wait for it to come further. */
  get catches(): Catches {
    return this.#catches
  }

  /** Called for every damaged row that somebody meets. */
  whenDamaged(onDamaged: OnDamaged): void {
    this.#onDamaged = onDamaged
  }

  /**
   * Rows, checkpoint and continuity record change in one atomic batch: whatever instant the process
   * dies at, every event is applied exactly once. What the page cache loses with the machine is a
   * number of last batches: those events are applied again, to the rows of before.
   */
  async project(to: number): Promise<BatchApplied> {
    const started = performance.now()
    const from = this.position + 1
    const limit = this.#catches.limit(this.position, to)
    const changes = new BatchChanges()
    const { reached, checksum, failure } = await foldEvents(
      this.#setup.log,
      this.definition,
      this.#target(changes),
      { from, to: limit }
    )
    // It stops in front of the event that failed, which the next batch begins with.
    if (failure !== undefined && reached < from) throw failure
    if (reached >= from) await this.#write(changes, reached, checksum)
    const ms = performance.now() - started
    return { from, to: reached, events: reached - from + 1, ms }
  }

  /** Ends the running batch at the event at hand. */
  interrupt(): void {
    this.#isStopping = true
  }

  /**
   * The last stretch of a store that closes, if it is a short one. What is left of it is applied after
   * the next open, and so is an event whose `apply` was given up.
   */
  async finish(to: number, eventsMax: number): Promise<void> {
    const { patience } = this.#setup
    if (to - this.position > eventsMax || patience.isSpent) return
    this.#isStopping = false
    this.#finishBy = performance.now() + CLOSE_WAIT_MS
    while (this.position < to && !patience.isSpent && !this.#isLate()) await this.project(to)
  }

  /** What is written survives a power cut. */
  async flush(): Promise<void> {
    await this.#level.flush()
  }

  /**
   * Closes the database once nobody reads it any more. Nothing may be projected by now.
   *
   * @param options With `flush`, the next open has nothing to replay.
   */
  async close(options: { flush: boolean } = { flush: false }): Promise<void> {
    await this.#base.release()
    if (this.#bases > 0) {
      await new Promise<void>((resolve) => {
        this.#closing = resolve
      })
    }
    try {
      if (options.flush) await this.flush()
    } finally {
      await this.#level.close()
    }
  }

  /** The same, and removes its files. */
  async discard(): Promise<void> {
    await this.close()
    await this.#setup.files.remove(this.number)
  }

  #newBase(checkpoint: number): RowsBase {
    this.#bases += 1
    return new RowsBase({
      level: this.#level,
      log: this.#setup.log,
      definition: this.definition,
      patience: this.#setup.patience,
      checkpoint,
      onDamaged: (error) => this.#onDamaged(error),
      onClosed: () => {
        this.#bases -= 1
        if (this.#bases === 0) this.#closing?.()
      }
    })
  }

  #target(changes: BatchChanges): FoldTarget {
    const projection = this.definition.name
    const source = new LevelRows(this.#level, projection, (error) => this.#onDamaged(error))
    return {
      patience: this.#setup.patience,
      layers: { projection, source, changes },
      put: (id, payload) => changes.set(id, payload),
      applied: () => changes.keep(),
      failed: () => changes.takeBack(),
      isEnough: (events) => this.#isStopping || this.#isFull(changes, events)
    }
  }

  #isLate(): boolean {
    return Number.isFinite(this.#finishBy) && performance.now() >= this.#finishBy
  }

  #isFull({ bytes, size, ranges }: BatchChanges, events: number): boolean {
    if (events >= this.#setup.batchEventsMax || bytes >= BATCH_BYTES_MAX) return true
    if (this.#isLate()) return true
    return ranges > 0 && size >= RANGED_CHANGES_MAX
  }

  async #write(
    changes: BatchChanges,
    checkpoint: number,
    checksum: number | undefined
  ): Promise<void> {
    assert(checkpoint > this.position, 'a checkpoint only moves forward (invariant 4)')
    const batch = this.#level.batch()
    const put = (key: Buffer, payload: Buffer): void => batch.put(key, sealRow(key, payload))
    const record = nextRecord(this.#record, this.position + 1, checkpoint)
    try {
      let began = performance.now()
      for (const [id, payload] of changes.entries()) {
        const key = keyOfRowId(id)
        if (payload === null) batch.del(key)
        else put(key, payload)
        if (performance.now() - began < STRETCH_MS) continue
        await turn()
        began = performance.now()
      }
      put(META.checkpoint, encodeNumber(checkpoint))
      if (checksum !== undefined) put(META.anchor, encodeAnchor(checkpoint, checksum))
      put(recordKey(record.batch), encodeRecord(record))
      if (record.batch > RECORDS_KEPT) batch.del(recordKey(record.batch - RECORDS_KEPT))
    } catch (error) {
      await batch.discard()
      throw error
    }
    await batch.write({ sync: false })
    // The process may die here: the next open finds the batch, and begins behind it.
    this.#record = record
    const before = this.#base
    this.#base = this.#newBase(checkpoint)
    this.#catches.reached(this.#base)
    await before.release()
  }
}
