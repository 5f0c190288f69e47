/**
 * Repairs a store whose log is damaged: keeps every intact frame, puts a gap frame where something is
 * lost, and leaves the damaged files aside. Never done by itself: it settles what is lost for good.
 *
 * The new log is made beside the old one. If the process dies before the old one is moved away, the
 * next repair starts over from it; after that, it goes on with the switch, whose every step may be
 * repeated. Nothing opens the store from when `HEAD.repaired` is there.
 */
import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isStoreError, StoreError, throwIfAborted } from '../errors.ts'
import type { LogEvent } from '../log/event.ts'
import {
  type EncodedFrame,
  encodeBody,
  type FrameFormat,
  sealFrame,
  sealGap
} from '../log/frame.ts'
import { HeadFile, readWatermark, storeIdOfHead, type Watermark } from '../log/head-file.ts'
import { HEAD_FILE, LOG_DIRECTORY, LOG_TUNING } from '../log/level-log.ts'
import {
  type LostRange,
  type SalvagedFrame,
  type Survey,
  salvagedBytes,
  survey
} from '../log/salvage.ts'
import { PROJECTIONS_DIRECTORY } from '../projections/custom/generation-files.ts'
import { takeTables } from '../projections/tables/declared-indexes.ts'
import { TABLES_DIRECTORY } from '../projections/tables/generation.ts'
import { isDirectory, isMisplaced, isMissing, syncDirectory, syncFiles } from '../storage/files.ts'
import { Level } from '../storage/level.ts'
import { Ownership } from '../storage/owner.ts'
import type { RepairOptions, RepairReport } from '../types.ts'
import {
  FORMAT_FILE,
  NEWEST_FORMAT,
  notAStore,
  REPAIRED_HEAD,
  readFormat,
  refuseHalfRestored,
  type StoreFormat,
  VECTORS_DIRECTORY,
  writeFormat
} from './format.ts'
import { type FoundDeclaration, findLostDeclaration } from './lost-declaration.ts'
import { findUnsound, mendSubscriptions, reportUnsound } from './mend-subscriptions.ts'
import { findMisplaced, putAside } from './misplaced.ts'
import { promisedByDerived } from './promised.ts'
import { levelDbSees, remadeFiles, UNSEEN } from './remade-files.ts'
import { leaveTrace } from './torn-checkpoints.ts'

const NEW_LOG = `${LOG_DIRECTORY}.repaired`
const BATCH_BYTES = 8 * 1024 * 1024

/**
 * @throws StoreError `STORE_NOT_FOUND` when nothing of a store is left, `STORE_LOCKED`,
 *   `FORMAT_UNSUPPORTED`, `ABORTED`: the store is as it was then.
 */
export async function repairLog(directory: string, options: RepairOptions): Promise<RepairReport> {
  const started = performance.now()
  const { dryRun = false } = options
  const isThere = await isDirectory(directory)
  if (isThere !== true) throw isThere === undefined ? nothingLeft(directory) : notAStore(directory)
  const ownership = await Ownership.take(directory)
  if (dryRun) leaveTrace(directory, ownership)
  try {
    // Its log may lack frames that the backup has, and nothing in it would tell.
    await refuseHalfRestored(directory)
    const resumed = hasBegunToSwitch(directory)
    const written = await knownFormat(directory)
    const found = await findFrames(directory, written, resumed, options)
    const { storeId } = found
    if (storeId === undefined) throw nothingLeft(directory)
    const known = written?.storeId.equals(storeId) === true ? written : undefined
    const head = readWatermark(join(directory, HEAD_FILE), storeId)
    const isWhole = known !== undefined && head !== undefined && found.lost.length === 0
    const declaration = await findLostDeclaration(directory, storeId, found)
    const made = reportOf(found, declaration, resumed, started)
    const log = logPath(directory, resumed)
    const { position } = made
    const { signal } = options
    const unsound = await findUnsound(found, { directory, log, storeId, position, signal })
    const misplaced = await findMisplaced(directory)
    const left = { hasFormat: known !== undefined, hasHead: head !== undefined }
    const files = [...made.files, ...misplaced, ...remadeFiles(directory, left)]
    const report = { ...made, files, subscriptions: reportUnsound(unsound) }
    const isSound = isWhole && found.files.length === 0 && !resumed
    if (dryRun) {
      if (isSound && !(await levelDbSees(directory, found, { readOnly: true }))) files.push(UNSEEN)
      return report
    }
    // A repair that died before it moved anything leaves a log that is as old as that: it is made anew.
    if (!resumed) await removeRepaired(directory)
    if (isSound && (await levelDbSees(directory, found))) {
      if (unsound.length === 0 && misplaced.length === 0) return report
      const aside = await makeAside(directory)
      await putAside(directory, misplaced, aside)
      await mendSubscriptions(directory, unsound, aside)
      return { ...report, changed: true, aside, seconds: secondsSince(started) }
    }

    const format = known ?? formatFor(found, storeId)
    if (!resumed) {
      const frames = madeFrames(found, declaration?.event, format)
      await writeNewLog(directory, format, found.frames, frames, options)
    }
    // From here on the repair goes forward, in this run or the next: nothing opens the store before.
    const aside = await makeAside(directory).catch(async (error: unknown) => {
      // Unless it has done nothing yet: the store is as it was.
      if (!resumed) await removeRepaired(directory)
      throw error
    })
    await putAside(directory, misplaced, aside)
    await switchLogs(directory, format, aside)
    await mendSubscriptions(directory, unsound, aside)
    return { ...report, changed: true, aside, seconds: secondsSince(started) }
  } finally {
    await ownership.release()
  }
}

/** While both logs are in their places the old one may have gone on. */
function hasBegunToSwitch(directory: string): boolean {
  const areBoth = [NEW_LOG, LOG_DIRECTORY].every((name) => existsSync(join(directory, name)))
  return existsSync(join(directory, REPAIRED_HEAD)) && !areBoth
}

/** FORMAT, or `undefined` if it is lost: its id is in every frame. */
async function knownFormat(directory: string): Promise<StoreFormat | undefined> {
  try {
    return await readFormat(directory)
  } catch (error) {
    const isLost = isMissing(error) || isMisplaced(error)
    if (!isLost && !isStoreError(error, 'STORE_DAMAGED')) throw error
    return undefined
  }
}

async function findFrames(
  directory: string,
  format: StoreFormat | undefined,
  resumed: boolean,
  { onProgress, signal }: RepairOptions
): Promise<Survey> {
  const log = logPath(directory, resumed)
  const onFile = (done: number, total: number): void =>
    onProgress?.({ phase: 'survey', done, total })
  const framesOf = async (storeId: Buffer): Promise<Survey> => {
    const head = readWatermark(join(directory, HEAD_FILE), storeId)
    // What was derived may remember more than HEAD: what it holds was acknowledged.
    const promised = Math.max(head?.position ?? 0, await promisedByDerived(directory, storeId))
    return survey(log, { storeId, promised, signal, onFile })
  }
  const written = format?.storeId
  const ofHead = storeIdOfHead(join(directory, HEAD_FILE))
  const first = written ?? ofHead
  let found = first && (await framesOf(first))
  if (found !== undefined && found.frames.length > 0) return found
  // FORMAT has no checksum: one flipped bit of its id must not make strangers of all frames. HEAD
  // has one, and where both name a store that no frame is of, the frames are the strangers.
  if (found !== undefined && written && ofHead?.equals(written)) return found
  const any = await survey(log, { storeId: undefined, promised: 0, signal, onFile })
  if (any.storeId !== undefined && any.frames.length > 0) found = await framesOf(any.storeId)
  return found ?? any
}

/** The new log of a repair that died during the switch is whole, wherever it stands by now. */
function logPath(directory: string, resumed: boolean): string {
  const isBeside = resumed && existsSync(join(directory, NEW_LOG))
  return join(directory, isBeside ? NEW_LOG : LOG_DIRECTORY)
}

function formatFor(found: Survey, storeId: Buffer): StoreFormat {
  const [first] = found.frames
  return {
    format: first?.format ?? NEWEST_FORMAT,
    storeId,
    createdAt: first?.time ?? Date.now()
  }
}

async function writeNewLog(
  directory: string,
  { storeId }: StoreFormat,
  frames: readonly SalvagedFrame[],
  made: readonly EncodedFrame[],
  { onProgress, signal }: RepairOptions
): Promise<void> {
  const path = join(directory, NEW_LOG)
  // A repair that died left one behind; nothing names it yet.
  await removeRepaired(directory)
  const level = await Level.create(path, LOG_TUNING)
  try {
    let batch = level.batch()
    let bytes = 0
    let done = 0
    for (const { key, value } of made) batch.put(key, value)
    for await (const { key, value } of salvagedBytes(
      join(directory, LOG_DIRECTORY),
      frames,
      signal
    )) {
      batch.put(key, value)
      bytes += value.length
      done += 1
      if (bytes < BATCH_BYTES) continue
      await batch.write({ sync: false })
      throwIfAborted(signal, 'repair')
      onProgress?.({ phase: 'copy', done, total: frames.length })
      batch = level.batch()
      bytes = 0
    }
    await batch.write({ sync: true })
    await level.flush()
  } finally {
    await level.close()
  }
  await syncFiles(path, () => true)
  await syncDirectory(path)
  await writeHead(directory, storeId, lastOf(frames, made))
}

/** Written last and synced: its presence says that the new log is whole. */
async function writeHead(directory: string, storeId: Buffer, watermark: Watermark): Promise<void> {
  const head = HeadFile.create(join(directory, `${REPAIRED_HEAD}.tmp`), storeId)
  try {
    head.write(watermark)
    await head.sync()
  } finally {
    head.close()
  }
  await rename(join(directory, `${REPAIRED_HEAD}.tmp`), join(directory, REPAIRED_HEAD))
  await syncDirectory(directory)
}

function lastOf(frames: readonly SalvagedFrame[], made: readonly EncodedFrame[]): Watermark {
  const frame = frames.at(-1)
  const other = made.at(-1)
  if (other !== undefined && other.first > (frame?.last ?? 0)) {
    return { position: other.first + other.count - 1, checksum: other.checksum }
  }
  return { position: frame?.last ?? 0, checksum: frame?.checksum ?? 0 }
}

/** What the new log holds beside the intact frames, in order. */
function madeFrames(
  { frames, lost }: Survey,
  declaration: LogEvent | undefined,
  { format, storeId }: StoreFormat
): EncodedFrame[] {
  const made = gapsFor(frames, lost, format, storeId)
  if (declaration === undefined) return made
  const { position, checksum } = lastOf(frames, made)
  const first = position + 1
  // Behind all others: positions are never used again, and time never decreases.
  const time = Math.max(Date.now(), frames.at(-1)?.time ?? 0)
  const body = encodeBody([{ time, first, meta: undefined, events: [declaration] }])
  return [...made, sealFrame(body, { format, first, count: 1, time, previous: checksum, storeId })]
}

function gapsFor(
  frames: readonly SalvagedFrame[],
  lost: readonly LostRange[],
  format: FrameFormat,
  storeId: Buffer
): EncodedFrame[] {
  let index = 0
  return lost.map(({ from, to, reason }) => {
    while (index < frames.length && (frames[index]?.first ?? 0) < from) index += 1
    const before = frames[index - 1]
    return sealGap({
      format,
      first: from,
      count: to - from + 1,
      time: before?.time ?? 0,
      previous: before?.checksum ?? 0,
      storeId,
      next: frames[index]?.previous,
      reason
    })
  })
}

/** Puts the new log in the place of the old one. Every step may be repeated. */
async function switchLogs(directory: string, format: StoreFormat, aside: string): Promise<void> {
  if (existsSync(join(directory, NEW_LOG))) {
    await moveIfThere(join(directory, LOG_DIRECTORY), join(aside, LOG_DIRECTORY))
    // If the process dies here there is no log: FORMAT without one is refused, a repair goes on.
    await rename(join(directory, NEW_LOG), join(directory, LOG_DIRECTORY))
  }
  // Derived state is made again. It may remember what the log lost, so it is kept to look at.
  await takeTables(directory, async (name) => {
    await mkdir(join(aside, TABLES_DIRECTORY), { recursive: true })
    await rename(join(directory, TABLES_DIRECTORY, name), join(aside, TABLES_DIRECTORY, name))
  })
  for (const name of [VECTORS_DIRECTORY, PROJECTIONS_DIRECTORY, HEAD_FILE]) {
    await moveIfThere(join(directory, name), join(aside, name))
  }
  const written = await knownFormat(directory)
  if (written?.storeId.equals(format.storeId) !== true) {
    await moveIfThere(join(directory, FORMAT_FILE), join(aside, FORMAT_FILE))
    await writeFormat(directory, format)
  }
  await rename(join(directory, REPAIRED_HEAD), join(directory, HEAD_FILE))
  await syncDirectory(directory)
}

async function removeRepaired(directory: string): Promise<void> {
  // First what says that the log beside it is whole.
  await rm(join(directory, REPAIRED_HEAD), { force: true })
  await syncDirectory(directory)
  await rm(join(directory, NEW_LOG), { recursive: true, force: true })
}

async function makeAside(directory: string): Promise<string> {
  const aside = join(directory, `damaged-${new Date().toISOString().replace(/[:.]/g, '-')}`)
  await mkdir(aside, { recursive: true })
  return aside
}

function nothingLeft(directory: string): StoreError<'STORE_NOT_FOUND'> {
  const message = `Nothing of a store is left in '${directory}'`
  return new StoreError('STORE_NOT_FOUND', message, { directory })
}

async function moveIfThere(from: string, to: string): Promise<void> {
  if (existsSync(from)) await rename(from, to)
}

function reportOf(
  found: Survey,
  declaration: FoundDeclaration | undefined,
  resumed: boolean,
  started: number
): RepairReport {
  const { files } = found
  const frames = found.frames.filter(({ gap }) => gap === undefined)
  const gaps = found.frames.filter(({ gap }) => gap !== undefined)
  // A repair that goes on with the switch tells of what the one that died has lost.
  const lost = resumed
    ? gaps.map(({ first, last, gap }) => ({ from: first, to: last, reason: gap?.reason ?? '' }))
    : found.lost
  const last = Math.max(found.frames.at(-1)?.last ?? 0, lost.at(-1)?.to ?? 0)
  return {
    changed: false,
    position: declaration?.event === undefined ? last : last + 1,
    frames: frames.length,
    events: frames.reduce((sum, { count }) => sum + count, 0),
    eventsLost: lost.reduce((sum, { from, to }) => sum + to - from + 1, 0),
    lost,
    files,
    declaration: declaration?.from,
    subscriptions: [],
    aside: undefined,
    seconds: secondsSince(started)
  }
}

function secondsSince(started: number): number {
  return (performance.now() - started) / 1000
}
