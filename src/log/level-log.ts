import { join } from 'node:path'
import { assert } from '../assert.ts'
import { StoreError } from '../errors.ts'
import { onAbort } from '../on-abort.ts'
import { isMisplaced, isMissing, syncDirectory, syncFiles } from '../storage/files.ts'
import { isRefusal, Level, type LevelTuning } from '../storage/level.ts'
import { Anchors } from './anchor.ts'
import {
  encodeFrame,
  type Frame,
  type FrameFormat,
  follows,
  frameKey,
  type LogCommit,
  positionOfKey
} from './frame.ts'
import { HeadFile } from './head-file.ts'
import type { AppendedFrame, EventLog, TornTail } from './log.ts'
import { FrameReader, logDamaged } from './reader.ts'

const MiB = 1024 * 1024

/** Frames are written once and read in order, so the block cache can be small. */
export const LOG_TUNING: LevelTuning = {
  cacheBytes: 2 * MiB,
  writeBufferBytes: 16 * MiB,
  maxFileBytes: 32 * MiB
}

const NEWEST: FrameFormat = 2
export const LOG_DIRECTORY = 'log'
export const HEAD_FILE = 'HEAD'

/** Fewer events are kept as objects for less than it costs to tell where they lie. */
const WRITTEN_EVENTS_MIN = 16

/** The log in a LevelDB of its own, whose write-ahead log makes the frames durable. */
export class LevelLog implements EventLog {
  readonly #level: Level
  readonly #headFile: HeadFile
  readonly #reader: FrameReader
  readonly #storeId: Buffer
  readonly #format: FrameFormat
  readonly #waiters = new Set<() => void>()
  /** By which derived state is told from that of another history. */
  readonly anchors: Anchors
  /** Told how long each synced write took, in milliseconds. */
  onSynced: (ms: number) => void = () => {}
  #head = 0
  #durableHead = 0
  #checksum = 0
  #poison: Error | undefined
  #appending = false
  #closed = false
  #framesChecked = 0

  private constructor(level: Level, headFile: HeadFile, storeId: Buffer, format: FrameFormat) {
    this.#level = level
    this.#headFile = headFile
    this.#storeId = storeId
    this.#format = format
    this.#reader = new FrameReader(level, storeId)
    this.anchors = new Anchors(this.#reader, () => ({
      position: this.#head || this.#durableHead,
      checksum: this.#checksum
    }))
  }

  /** Makes an empty log. The store's FORMAT file, written later, marks it complete. */
  static async create(
    directory: string,
    storeId: Buffer,
    format: FrameFormat = NEWEST
  ): Promise<LevelLog> {
    const level = await Level.create(join(directory, LOG_DIRECTORY), LOG_TUNING)
    let headFile: HeadFile | undefined
    try {
      headFile = HeadFile.create(join(directory, HEAD_FILE), storeId)
      await headFile.sync()
      await syncDirectory(join(directory, LOG_DIRECTORY))
      return new LevelLog(level, headFile, storeId, format)
    } catch (error) {
      // Left open, the next database at this path would share it and write into deleted files.
      headFile?.close()
      await level.close()
      throw error
    }
  }

  /**
   * Opens a log, finds its head and compares it with the watermark.
   *
   * @param format Of the frames it appends: that of the store. It reads every one.
   * @throws StoreError `LOG_DAMAGED` when acknowledged frames are missing, `STORE_DAMAGED`.
   */
  static async open(
    directory: string,
    storeId: Buffer,
    format: FrameFormat = NEWEST,
    readOnly: boolean = false
  ): Promise<LevelLog> {
    const level = await openLevel(directory, readOnly)
    try {
      const { file, watermark } = openHead(directory, storeId, readOnly)
      const log = new LevelLog(level, file, storeId, format)
      if (watermark === undefined) {
        file.close()
        throw damaged(HEAD_FILE, 'neither slot is whole')
      }
      log.#durableHead = watermark.position
      log.#checksum = watermark.checksum
      return log
    } catch (error) {
      await level.close()
      throw error
    }
  }

  /** Where LevelDB has it open, for other threads of this process. */
  get databasePath(): string {
    return this.#level.path
  }

  /**
   * Walks the chain from the frame that holds `from` to the end.
   * Must be called once after `open`, before anything else.
   *
   * What is wrong at or below the watermark was acknowledged as durable: `LOG_DAMAGED`. What is
   * wrong beyond it was never promised to survive a power cut: it is dropped, with all behind it.
   * Readers of the log's other part check it when they read it.
   *
   * @param suspect Where LevelDB's files were seen to lack frames, which may be below `from`.
   */
  async recover(
    from: number,
    readOnly: boolean,
    suspect: number = from
  ): Promise<TornTail | undefined> {
    const durable = this.#durableHead
    const durableChecksum = this.#checksum
    let before: Frame | undefined
    let problem: StoreError<'LOG_DAMAGED'> | undefined
    try {
      for await (const frame of this.#reader.framesFrom(Math.max(Math.min(from, suspect), 1))) {
        // What stands before the first one read is not looked at, unless that is the very first.
        if ((before !== undefined || frame.first === 1) && !follows(before, frame)) {
          throw logDamaged(frame.first, frame.last, 'the chain is broken')
        }
        if (frame.last === durable && frame.checksum !== durableChecksum) {
          throw logDamaged(frame.first, frame.last, 'the frame is not the one HEAD names')
        }
        this.#framesChecked += 1
        before = frame
      }
    } catch (error) {
      // A checkpoint was durable too, whatever HEAD remembers after a power cut.
      const promised = Math.max(durable, from)
      if (!isLogDamage(error) || error.details.from <= promised) throw error
      problem = error
    }
    let last = before?.last ?? 0
    if (last === 0 && from > 0) last = await this.#lastBefore(from)
    if (last < durable) {
      throw logDamaged(last + 1, durable, 'acknowledged frames are missing at the end')
    }
    this.#head = last
    this.#checksum = before?.checksum ?? durableChecksum
    if (problem === undefined) return undefined
    return this.#dropTail(last + 1, problem.details.reason, readOnly)
  }

  get head(): number {
    return this.#head
  }

  get durableHead(): number {
    return this.#durableHead
  }

  get poison(): Error | undefined {
    return this.#poison
  }

  /** Frames that opening has read, and found in their chain. */
  get framesChecked(): number {
    return this.#framesChecked
  }

  get reader(): FrameReader {
    return this.#reader
  }

  async append(
    commits: readonly LogCommit[],
    options: { durable: boolean }
  ): Promise<AppendedFrame> {
    assert(!this.#appending, 'one append at a time')
    this.#assertUsable()
    const first = this.#head + 1
    const count = commits.reduce((sum, commit) => sum + commit.events.length, 0)
    assert(commits[0]?.first === first, 'a commit begins behind the head (invariant 1)')
    const header = {
      format: this.#format,
      first,
      count,
      time: commits.at(-1)?.time ?? 0,
      previous: this.#checksum,
      storeId: this.#storeId
    }
    const starts = count < WRITTEN_EVENTS_MIN ? undefined : new Uint32Array(count)
    const frame = encodeFrame(commits, header, starts)
    const last = first + count - 1

    this.#appending = true
    const started = options.durable ? performance.now() : 0
    try {
      if (options.durable) await this.#syncRotated()
      await this.#level.put(frame.key, frame.value, { sync: options.durable })
      // The process may die here: the frame is in the log, nobody was told. That is `unknown`.
      if (options.durable) this.#headFile.write({ position: last, checksum: frame.checksum })
    } catch (cause) {
      // LevelDB goes on after a failed write and loses what follows (invariant 7).
      throw this.#fail(cause, first, last)
    } finally {
      this.#appending = false
    }

    // Readers see the new head only after the events behind it are in the log.
    this.#head = last
    this.#checksum = frame.checksum
    if (options.durable) {
      this.#durableHead = last
      this.onSynced(performance.now() - started)
    }
    this.#wake()
    const { value } = frame
    if (starts === undefined) return { first, last, bytes: value.length }
    const times = commits.map((commit) => ({ first: commit.first, time: commit.time }))
    const written = { value, first, starts, commits: times }
    return { first, last, bytes: value.length, written }
  }

  async sync(): Promise<void> {
    this.#assertUsable()
    if (this.#durableHead === this.#head) return
    const head = this.#head
    const checksum = this.#checksum
    const started = performance.now()
    try {
      // A frame counted in the head was handed to the file before; syncing the files keeps it.
      await this.#syncLogFiles()
      if (head > this.#durableHead) {
        this.#headFile.write({ position: head, checksum })
        this.#durableHead = head
      }
      this.onSynced(performance.now() - started)
    } catch (cause) {
      throw this.#fail(cause, this.#durableHead + 1, head)
    }
  }

  async *read(from: number, to: number = this.#head): AsyncGenerator<Frame> {
    // LevelDB shows a frame before its append has resolved, when it is not acknowledged yet.
    yield* this.#reader.framesFrom(Math.max(from, 1), Math.min(to, this.#head))
  }

  async *tail(from: number, signal: AbortSignal): AsyncGenerator<Frame> {
    let next = Math.max(from, 1)
    while (!signal.aborted) {
      if (next > this.#head) {
        if (!(await this.#appended(signal))) return
        continue
      }
      for await (const frame of this.read(next)) {
        if (signal.aborted) return
        yield frame
        next = frame.last + 1
      }
    }
  }

  async checkpoint(): Promise<void> {
    await this.sync()
    await this.#headFile.sync()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#wake()
    this.#headFile.close()
    await this.#level.close()
  }

  /** A clean close leaves no write-ahead log behind, so that the next open replays nothing. */
  async flush(): Promise<void> {
    await this.#level.flush()
  }

  async #syncRotated(): Promise<void> {
    // LevelDB never syncs the log file that it rotates away from. A sync of the newest file alone
    // would let the new frame survive a power cut behind a hole.
    if (this.#durableHead < this.#head) await this.#syncLogFiles()
  }

  async #syncLogFiles(): Promise<void> {
    // A file that vanishes meanwhile was compacted into a table file, which LevelDB does sync.
    await syncFiles(this.#level.directory, (name) => name.endsWith('.log'))
  }

  /** Resolves `true` after the next append, `false` when there will be none for this reader. */
  async #appended(signal: AbortSignal): Promise<boolean> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#waiters.delete(done)
        leave()
        resolve()
      }
      this.#waiters.add(done)
      const leave = onAbort(signal, done)
      if (this.#closed) done()
    })
    return !signal.aborted && !this.#closed
  }

  #wake(): void {
    for (const waiter of [...this.#waiters]) waiter()
  }

  #assertUsable(): void {
    if (this.#closed) {
      throw new StoreError('STORE_CLOSED', 'The log is closed', { operation: 'append' })
    }
    if (this.#poison !== undefined) throw poisoned(this.#poison, this.#durableHead)
  }

  #fail(cause: unknown, first: number, last: number): StoreError<'WRITE_FAILED'> {
    const message = `Writing positions ${first} to ${last} failed; whether they are kept is unknown`
    const error = new StoreError('WRITE_FAILED', message, { first, last }, { cause })
    this.#poison ??= error
    return error
  }

  async #lastBefore(from: number): Promise<number> {
    const row = await this.#level.first({ reverse: true })
    if (row === undefined) return 0
    const first = positionOfKey(row[0])
    assert(first <= from, 'a frame beyond the checkpoint was read')
    return this.#reader.frameAt(first)?.last ?? 0
  }

  async #dropTail(from: number, reason: string, readOnly: boolean): Promise<TornTail> {
    const batch = this.#level.batch()
    for await (const rows of this.#level.blocks({ gte: frameKey(from) })) {
      for (const [key] of rows) batch.del(key)
    }
    const frames = batch.length
    // Deleting is synced: a dropped frame must not come back behind frames written later.
    if (readOnly || frames === 0) await batch.discard()
    else await batch.write({ sync: true })
    return { from, frames, reason }
  }
}

export function poisoned(cause: Error, durableHead: number): StoreError<'STORE_POISONED'> {
  const message = 'An earlier write failed, so nothing is written until the store is reopened'
  return new StoreError('STORE_POISONED', message, { durableHead }, { cause })
}

function isLogDamage(error: unknown): error is StoreError<'LOG_DAMAGED'> {
  return error instanceof StoreError && error.code === 'LOG_DAMAGED'
}

function openHead(
  directory: string,
  storeId: Buffer,
  readOnly: boolean
): ReturnType<typeof HeadFile.open> {
  try {
    return HeadFile.open(join(directory, HEAD_FILE), storeId, readOnly)
  } catch (cause) {
    // What the system refused says nothing about the file, and a repair would be the wrong advice.
    if (!isMissing(cause) && !isMisplaced(cause)) throw cause
    throw damaged(HEAD_FILE, 'it cannot be read', cause)
  }
}

async function openLevel(directory: string, readOnly: boolean): Promise<Level> {
  try {
    return await Level.open(join(directory, LOG_DIRECTORY), LOG_TUNING, { readOnly })
  } catch (cause) {
    // A disk that is full says nothing about the log, and a repair would be the wrong advice.
    if (isRefusal(cause) || cause instanceof StoreError) throw cause
    throw damaged(LOG_DIRECTORY, 'LevelDB cannot open it', cause)
  }
}

function damaged(file: string, reason: string, cause?: unknown): StoreError<'STORE_DAMAGED'> {
  return new StoreError('STORE_DAMAGED', `${file}: ${reason}`, { file, reason }, { cause })
}
