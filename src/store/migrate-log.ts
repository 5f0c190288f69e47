/** The log of a store that is being migrated: read as it lies there, written anew beside it. */
import { copyFile, mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert } from '../assert.ts'
import { isStoreError, throwIfAborted } from '../errors.ts'
import { checkLogFiles } from '../log/damaged-files.ts'
import { type Frame, follows, frameKey } from '../log/frame.ts'
import { decodeFrame } from '../log/frame-decode.ts'
import { HEAD_FILE, LevelLog, LOG_DIRECTORY, LOG_TUNING } from '../log/level-log.ts'
import { FrameReader, logDamaged } from '../log/reader.ts'
import { findDamagedFile } from '../storage/database-files.ts'
import { namesIn, syncDirectory, syncFiles } from '../storage/files.ts'
import { Level } from '../storage/level.ts'
import { STRETCH_MS, turn } from '../turn.ts'
import type { LongOptions } from '../types.ts'
import type { StoreFormat } from './format.ts'
import type { MigrationStep } from './migration-step.ts'

const BATCH_BYTES = 8 * 1024 * 1024
const PROGRESS_EVENTS = 10_000

/** What was read or written of a log, from its beginning on. */
export interface Walked {
  frames: number
  /** Events that are there; those of gaps are not. */
  events: number
  position: number
  checksum: number
  time: number
}

/**
 * Opens the log for reading without a change to any of its files: LevelDB rewrites some of them
 * when it opens, so it gets a directory of its own. Table files never change, so links to them do.
 */
export async function withLog<T>(
  directory: string,
  { storeId, format }: StoreFormat,
  work: (log: LevelLog) => Promise<T>
): Promise<T> {
  await checkLogFiles(directory, storeId, Number.POSITIVE_INFINITY)
  const shadow = await mkdtemp(join(tmpdir(), 'sutra-migrate-'))
  try {
    await shadowFiles(directory, shadow)
    const log = await LevelLog.open(shadow, storeId, format)
    try {
      // A tail that was torn is not migrated; read-only, nothing is dropped here either.
      await log.recover(log.durableHead, true)
      return await work(log)
    } finally {
      await log.close()
    }
  } finally {
    await rm(shadow, { recursive: true, force: true })
  }
}

async function shadowFiles(directory: string, shadow: string): Promise<void> {
  const [from, to] = [join(directory, LOG_DIRECTORY), join(shadow, LOG_DIRECTORY)]
  await mkdir(to)
  await copyFile(join(directory, HEAD_FILE), join(shadow, HEAD_FILE))
  for (const name of await readdir(from)) {
    if (name === 'LOCK') continue
    const isTable = name.endsWith('.ldb') || name.endsWith('.sst')
    if (isTable && (await isLinked(join(from, name), join(to, name)))) continue
    await copyFile(join(from, name), join(to, name))
  }
}

/** Some systems let only administrators make links. */
async function isLinked(target: string, path: string): Promise<boolean> {
  try {
    await symlink(target, path)
    return true
  } catch {
    return false
  }
}

/**
 * Reads and checks every frame and the chain.
 *
 * @throws StoreError `LOG_DAMAGED`, `ABORTED`
 */
export async function checkLog(log: LevelLog, options: LongOptions): Promise<Walked> {
  const total = log.head
  let told = 0
  return walk(log.read(1), ({ last }) => {
    throwIfAborted(options.signal, 'migrate')
    if (last - told < PROGRESS_EVENTS && last < total) return
    told = last
    options.onProgress?.({ phase: 'check', done: last, total })
  })
}

/**
 * Writes the log in the next format into a directory of its own, synced. Goes on behind the last
 * frame that is there already: if the process dies here, nothing of that is done twice.
 */
export async function writeNextLog(
  source: LevelLog,
  path: string,
  step: MigrationStep,
  storeId: Buffer,
  options: LongOptions
): Promise<Walked> {
  const { level, before } = await openNext(path, step, storeId)
  try {
    await copyFrames(source, level, step, storeId, before, options)
    await level.flush()
    // Read back, as a whole: what is about to take the place of the only original.
    const written = await walk(new FrameReader(level, storeId).framesFrom(1), () => {})
    assert(written.position === before.position, 'every event was written')
    assert(written.checksum === before.checksum, 'what is read back is what was written')
  } finally {
    await level.close()
  }
  await syncFiles(path, (name) => name !== 'LOCK')
  await syncDirectory(path)
  return before
}

/** @param before What the new log holds; moved on with every frame. */
async function copyFrames(
  source: LevelLog,
  level: Level,
  step: MigrationStep,
  storeId: Buffer,
  before: Walked,
  { signal, onProgress }: LongOptions
): Promise<void> {
  const total = source.head
  let batch = level.batch()
  let bytes = 0
  let began = performance.now()
  for await (const { first, value } of source.reader.rawFramesFrom(before.position + 1, total)) {
    assert(first === before.position + 1, 'a frame follows the last one that was written')
    const frame = decodeFrame(frameKey(first), value, storeId)
    const next = step.rewrite(frame, value, before.time, { previous: before.checksum, storeId })
    batch.put(next.key, next.value)
    bytes += next.value.length
    note(before, { ...frame, checksum: next.checksum })
    if (bytes >= BATCH_BYTES) {
      await batch.write({ sync: false })
      batch = level.batch()
      bytes = 0
      onProgress?.({ phase: 'copy', done: frame.last, total })
    }
    if (performance.now() - began < STRETCH_MS) continue
    throwIfAborted(signal, 'migrate')
    await turn()
    began = performance.now()
  }
  await batch.write({ sync: true })
  onProgress?.({ phase: 'copy', done: before.position, total })
}

/** What an earlier migration wrote is gone on with if it is whole, and made anew otherwise. */
async function openNext(
  path: string,
  step: MigrationStep,
  storeId: Buffer
): Promise<{ level: Level; before: Walked }> {
  if ((await namesIn(path)).includes('CURRENT')) {
    const level = await reopened(path)
    try {
      if (level !== undefined) {
        const frames = new FrameReader(level, storeId).framesFrom(1)
        const before = await walk(frames, ({ format }) => assert(format === step.to, 'one format'))
        return { level, before }
      }
    } catch (error) {
      await level?.close()
      // A power cut may leave a hole: LevelDB does not sync every file that it writes.
      if (!isStoreError(error, 'LOG_DAMAGED')) throw error
    }
  }
  await rm(path, { recursive: true, force: true })
  const level = await Level.create(path, LOG_TUNING)
  return { level, before: { frames: 0, events: 0, position: 0, checksum: 0, time: 0 } }
}

async function reopened(path: string): Promise<Level | undefined> {
  if ((await findDamagedFile(path, Number.POSITIVE_INFINITY)) !== undefined) return undefined
  try {
    return await Level.open(path, LOG_TUNING)
  } catch {
    // The process died while LevelDB made it; it is made anew.
    return undefined
  }
}

async function walk(
  frames: AsyncIterable<Frame>,
  onFrame: (frame: Frame) => void
): Promise<Walked> {
  const walked: Walked = { frames: 0, events: 0, position: 0, checksum: 0, time: 0 }
  let before: Frame | undefined
  let began = performance.now()
  for await (const frame of frames) {
    if (!follows(before, frame)) throw logDamaged(frame.first, frame.last, 'the chain is broken')
    note(walked, frame)
    onFrame(frame)
    before = frame
    if (performance.now() - began < STRETCH_MS) continue
    await turn()
    began = performance.now()
  }
  return walked
}

function note(
  walked: Walked,
  { count, last, checksum, time, gap }: Pick<Frame, 'count' | 'last' | 'checksum' | 'time' | 'gap'>
): void {
  walked.frames += 1
  walked.events += gap === undefined ? count : 0
  walked.position = last
  walked.checksum = checksum
  walked.time = time ?? walked.time
}
