/** One generation of the tables in a worker: reads frames from the log, folds them, writes the tables. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { assert } from '../../assert.ts'
import type { RawFrame } from '../../log/frame-decode.ts'
import { LOG_DIRECTORY, LOG_TUNING } from '../../log/level-log.ts'
import { FrameReader } from '../../log/reader.ts'
import { Level } from '../../storage/level.ts'
import { turn } from '../../turn.ts'
import type { Gate } from './gate.ts'
import { generationPath, readWriterState, tablesTuning } from './generation.ts'
import type { ProjectedBatch, SessionData, TablesNotice } from './protocol.ts'
import { type DigestSlice, differingIn } from './range-digest.ts'
import type { Sums } from './row-sums.ts'
import { TablesWriter } from './tables-writer.ts'

/** Encoded bytes of frames gathered for one batch, at most, unless one frame is larger. */
const BATCH_BYTES = 8 * 1024 * 1024

/** A sweep rests this many times as long as it worked: erasing is never urgent. */
const SWEEP_REST = 4

/** An index is waited for, but not before the program's own threads and the next batch. */
const INDEX_REST = 1

/** What all sessions of a thread share. */
export interface SessionHost {
  gate: Gate
  tell(notice: TablesNotice): void
}

interface Databases {
  log: Level
  tables: Level
}

export class TablesSession {
  readonly #data: SessionData
  readonly #databases: Databases
  readonly #reader: FrameReader
  readonly #writer: TablesWriter
  readonly #host: SessionHost
  /** Batches, sweeps and steps of indexes take turns: there is one writer of the tables. */
  #turn: Promise<unknown> = Promise.resolve()
  #isSweeping = false
  #isClosing = false

  private constructor(
    data: SessionData,
    databases: Databases,
    writer: TablesWriter,
    host: SessionHost
  ) {
    this.#data = data
    this.#databases = databases
    this.#reader = new FrameReader(databases.log, Buffer.from(data.storeId))
    this.#writer = writer
    this.#host = host
  }

  /** Opens what the main thread has open already: both share one LevelDB. */
  static async open(data: SessionData, host: SessionHost): Promise<TablesSession> {
    const log = await Level.open(join(data.directory, LOG_DIRECTORY), LOG_TUNING)
    let tables: Level | undefined
    try {
      const path = generationPath(data.directory, data.generation)
      tables = await Level.open(path, tablesTuning(data.cacheBytes))
      const writer = new TablesWriter(tables, await readWriterState(tables), data.indexes)
      const session = new TablesSession(data, { log, tables }, writer, host)
      if (writer.hasDead) void session.#sweepAll()
      if (writer.hasIndexWork) void session.#indexAll()
      return session
    } catch (error) {
      await tables?.close()
      await log.close()
      throw error
    }
  }

  /** Whether there is something left to do between batches. */
  get busy(): boolean {
    return this.#writer.hasDead || this.#writer.hasIndexWork
  }

  async project(to: number): Promise<ProjectedBatch> {
    const batch = await this.#inTurn(async () => this.#project(to))
    if (this.#writer.hasDead) void this.#sweepAll()
    return { ...batch, busy: this.busy }
  }

  /** Compares some of its rows with digests of other tables. Batches of other stores go on beside it. */
  async compare(slice: DigestSlice): Promise<number[]> {
    const { tables } = this.#databases
    return this.#inTurn(async () => differingIn(tables, slice, async () => turn()))
  }

  async sums(): Promise<Sums> {
    return this.#inTurn(async () => this.#writer.sums)
  }

  /** What works in the background ends before its next step. */
  async close(): Promise<void> {
    this.#isClosing = true
    await this.#inTurn(async () => {
      await this.#writer.close()
      await this.#databases.tables.close()
      await this.#databases.log.close()
    })
  }

  async #project(to: number): Promise<Omit<ProjectedBatch, 'busy'>> {
    const started = performance.now()
    const from = this.#writer.checkpoint + 1
    const writer = this.#writer
    const frames = writer.isAhead ? [] : await this.#framesFrom(from, to)
    if (frames.length === 0 && !writer.isAhead) {
      return { from, to: from - 1, events: 0, ms: performance.now() - started }
    }
    const events = await writer.apply(frames, (next) => this.#framesAhead(next, to))
    return { from, to: writer.checkpoint, events, ms: performance.now() - started }
  }

  /** Those of the next batch. @throws StoreError on a hole in the log. */
  async #framesFrom(from: number, to: number): Promise<RawFrame[]> {
    const { frames, hole } = this.#gather(from, to)
    if (hole !== undefined) throw await this.#reader.holeAt(hole)
    return frames
  }

  /**
   * Those of the batch behind the next one, if they fill it: more may come until its turn, and a batch of
   * few costs nearly as much. Nor does a thread gather for many stores at once.
   */
  #framesAhead(from: number, to: number): RawFrame[] {
    if (to - from + 1 < this.#data.batchEventsMax || this.#host.gate.isCrowded) return []
    try {
      const { frames, hole } = this.#gather(from, to)
      return hole === undefined ? frames : []
    } catch {
      // Read again when it is its turn, and told then.
      return []
    }
  }

  #gather(from: number, to: number): { frames: RawFrame[]; hole: number | undefined } {
    // Not decoded yet: twenty thousand events as objects would outlive the young generation.
    const frames: RawFrame[] = []
    let next = from
    let bytes = 0
    while (next <= to && next - from < this.#data.batchEventsMax && bytes < BATCH_BYTES) {
      const frame = this.#reader.rawFrameAt(next)
      if (frame === undefined) return { frames, hole: next }
      assert(frame.last <= to, 'a batch never passes the durable head (invariant 3)')
      frames.push(frame)
      bytes += frame.value.length
      next = frame.last + 1
    }
    return { frames, hole: undefined }
  }

  async #sweepAll(): Promise<void> {
    if (this.#isSweeping) return
    this.#isSweeping = true
    try {
      while (!this.#isClosing && this.#writer.hasDead) {
        const started = performance.now()
        const step = await this.#step(async () => this.#writer.sweep())
        if (step !== undefined) {
          const { checkpoint } = this.#writer
          this.#host.tell({ about: 'sweep', ...step, checkpoint, busy: this.busy })
        }
        await rest((performance.now() - started) * SWEEP_REST)
      }
    } catch {
      // Nobody asked for the sweep. The writer remembers why it failed and tells the next batch.
    } finally {
      this.#isSweeping = false
    }
  }

  async #indexAll(): Promise<void> {
    const began = performance.now()
    try {
      while (!this.#isClosing && this.#writer.hasIndexWork) {
        const started = performance.now()
        const fields = await this.#step(async () => this.#writer.index())
        if (fields !== undefined) {
          const progress = this.#writer.indexProgress
          const ms = performance.now() - began
          this.#host.tell({ about: 'index', fields, progress, ms, busy: this.busy })
        }
        await rest((performance.now() - started) * INDEX_REST)
      }
    } catch {
      // Nobody asked for it. The writer remembers why it failed and tells the next batch.
    }
  }

  /** Work that nobody waits for: none is begun once the session closes. */
  async #step<T>(work: () => Promise<T>): Promise<T | undefined> {
    return this.#inTurn(async () => (this.#isClosing ? undefined : work()))
  }

  /** Waits for this session's own work first, so that it never holds two places of the gate. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(async () => this.#host.gate.through(work))
    // A failure belongs to whoever asked; the next in turn starts all the same.
    this.#turn = mine.catch(() => undefined)
    return mine
  }
}

/** A thread that is to end does not wait for the rest. */
async function rest(ms: number): Promise<void> {
  await sleep(ms, undefined, { ref: false })
}
