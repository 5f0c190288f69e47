/** The log of a restored store: the frames of a backup as they are, up to where it is cut. */
import { join } from 'node:path'
import { throwIfAborted } from '../errors.ts'
import { encodeBody, type FrameHeader, frameKey, type LogCommit, sealFrame } from '../log/frame.ts'
import type { RawFrame } from '../log/frame-decode.ts'
import { decodeFrame } from '../log/frame-decode.ts'
import { HeadFile } from '../log/head-file.ts'
import { HEAD_FILE, LOG_DIRECTORY, LOG_TUNING } from '../log/level-log.ts'
import { syncDirectory, syncFiles } from '../storage/files.ts'
import { Level, type LevelBatch } from '../storage/level.ts'
import { STRETCH_MS, turn } from '../turn.ts'
import type { Progress } from '../types.ts'
import { checkedFrames, decoded, endsElsewhere } from './backup-check.ts'
import type { BackupManifest } from './backup-directory.ts'
import type { Link } from './backup-frames.ts'

const BATCH_BYTES = 4 * 1024 * 1024

/** What is kept: commits that end at or before both. Infinity for no cut. */
export interface Cut {
  position: number
  /** Milliseconds since 1970. */
  time: number
}

export interface LogRestoration {
  backup: string
  manifest: BackupManifest
  directory: string
  cut: Cut
  signal: AbortSignal | undefined
  onProgress: ((progress: Progress) => void) | undefined
}

export interface RestoredLog {
  position: number
  frames: number
  bytes: number
}

/** @throws StoreError `BACKUP_DAMAGED`, `ABORTED`. */
export async function restoreLog(restoration: LogRestoration): Promise<RestoredLog> {
  const { directory, manifest, cut, signal, onProgress } = restoration
  const total = Math.min(manifest.position, cut.position)
  const restored = { position: 0, frames: 0, bytes: 0, checksum: 0 }
  const writer = await LogWriter.create(directory)
  let began = performance.now()
  try {
    for await (const frame of keptFrames(restoration)) {
      await writer.add(frame)
      restored.position = frame.last
      restored.checksum = frame.checksum
      restored.frames += 1
      restored.bytes += frame.value.length
      if (performance.now() - began < STRETCH_MS) continue
      onProgress?.({ phase: 'log', done: frame.last, total })
      await turn()
      throwIfAborted(signal, 'restore')
      began = performance.now()
    }
    await writer.finish()
  } finally {
    await writer.close()
  }
  onProgress?.({ phase: 'log', done: restored.position, total })
  await makeDurable(directory, Buffer.from(manifest.storeId, 'hex'), restored)
  const { position, frames, bytes } = restored
  return { position, frames, bytes }
}

async function makeDurable(
  directory: string,
  storeId: Buffer,
  head: { position: number; checksum: number }
): Promise<void> {
  const path = join(directory, LOG_DIRECTORY)
  // LevelDB does not sync all that it writes when a database is made. It is closed by now.
  await syncFiles(path, (name) => name !== 'LOCK')
  await syncDirectory(path)
  const headFile = HeadFile.create(join(directory, HEAD_FILE), storeId)
  try {
    headFile.write(head)
    await headFile.sync()
  } finally {
    headFile.close()
  }
}

type Kept = Pick<RawFrame, 'first' | 'last' | 'checksum' | 'value'>

/**
 * Every frame that is kept, each checked and held against the one before. The frame that the cut
 * goes through is sealed anew with the commits that stay.
 */
async function* keptFrames({ backup, manifest, cut }: LogRestoration): AsyncGenerator<Kept> {
  const storeId = Buffer.from(manifest.storeId, 'hex')
  let before: Link | undefined
  for (const file of manifest.frames) {
    for await (const frame of checkedFrames(backup, file, storeId, before)) {
      const { first, last, value } = frame
      const commitsOf = (): LogCommit[] => decodeFrame(frameKey(first), value, storeId).commits
      const kept = isWithin(frame, cut) ? undefined : within(decoded(file, first, commitsOf), cut)
      if (kept !== undefined && endOf(kept) < last) {
        if (kept.length > 0) yield sealKept(kept, frame, storeId)
        return
      }
      yield frame
      before = frame.link
    }
  }
  const [end, sum] = [before?.last ?? 0, before?.checksum ?? 0]
  if (end !== manifest.position || sum !== manifest.checksum) {
    throw endsElsewhere(end, manifest.position)
  }
}

/** Whether the header alone says that all of a frame is kept. */
function isWithin({ kind, last, time }: FrameHeader, cut: Cut): boolean {
  if (last > cut.position) return false
  if (cut.time === Number.POSITIVE_INFINITY) return true
  // What is lost in a gap has no time; it goes with what was committed before it.
  return kind === 'gap' || (time !== undefined && time <= cut.time)
}

function within(commits: readonly LogCommit[], cut: Cut): LogCommit[] {
  const end = commits.findIndex(
    ({ first, events, time }) => first + events.length - 1 > cut.position || time > cut.time
  )
  return end === -1 ? [...commits] : commits.slice(0, end)
}

function endOf(commits: readonly LogCommit[]): number {
  const last = commits.at(-1)
  return last === undefined ? 0 : last.first + last.events.length - 1
}

function sealKept(commits: readonly LogCommit[], header: FrameHeader, storeId: Buffer): Kept {
  const { format, first, previous } = header
  const last = endOf(commits)
  const time = commits.at(-1)?.time ?? 0
  const count = last - first + 1
  const seal = { format, first, count, time, previous, storeId }
  const { value, checksum } = sealFrame(encodeBody(commits), seal)
  return { first, last, checksum, value }
}

/** Fills the LevelDB of a new log. Nothing of it counts before FORMAT is there. */
class LogWriter {
  readonly #level: Level
  #batch: LevelBatch
  #pending = 0

  private constructor(level: Level) {
    this.#level = level
    this.#batch = level.batch()
  }

  static async create(directory: string): Promise<LogWriter> {
    return new LogWriter(await Level.create(join(directory, LOG_DIRECTORY), LOG_TUNING))
  }

  async add({ first, value }: Kept): Promise<void> {
    this.#batch.put(frameKey(first), value)
    this.#pending += value.length
    if (this.#pending < BATCH_BYTES) return
    await this.#batch.write({ sync: false })
    this.#batch = this.#level.batch()
    this.#pending = 0
  }

  /** What a clean close of a store leaves: nothing in the write-ahead log to be replayed. */
  async finish(): Promise<void> {
    if (this.#batch.length > 0) await this.#batch.write({ sync: false })
    await this.#level.flush()
  }

  async close(): Promise<void> {
    await this.#level.close()
  }
}
