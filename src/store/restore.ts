/**
 * Makes a store out of a backup, whole or up to a position or time.
 *
 * RESTORING lies in the directory from the first step to the last, the comparison of the state
 * included: a crash leaves a directory that does not open as a store, and that another `restore`
 * clears. FORMAT is written behind all else, for the program that compares and for older ones.
 */
import { mkdir, open, rm, rmdir } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { StoreError, show, throwIfAborted } from '../errors.ts'
import { HEAD_FILE, LOG_DIRECTORY } from '../log/level-log.ts'
import { SUBSCRIPTIONS_DIRECTORY } from '../pipeline/subscriptions/checkpoint.ts'
import { PROJECTIONS_DIRECTORY } from '../projections/custom/generation-files.ts'
import { declareIndexes } from '../projections/tables/declared-indexes.ts'
import { TABLES_DIRECTORY } from '../projections/tables/generation.ts'
import { checkOptions, checkWhole, queryInvalid } from '../query/read-options.ts'
import { replaceFile, syncDirectory } from '../storage/files.ts'
import { isOwnerFile, Ownership } from '../storage/owner.ts'
import type { RestoreOptions, RestoreReport, Store } from '../types.ts'
import {
  asBackupError,
  assertApart,
  type BackupManifest,
  backupDamaged,
  checkSizes,
  namesOrRefusal,
  readBackup,
  refused
} from './backup-directory.ts'
import { restoreCheckpoints } from './backup-subscriptions.ts'
import { restoreIndex } from './backup-vectors.ts'
import { FORMAT_FILE, isHalfRestored, parseFormat, RESTORING, VECTORS_DIRECTORY } from './format.ts'
import { type Cut, restoreLog } from './restore-log.ts'

/** Told to who looks into the directory. */
const MARK = 'A restore into this directory has begun and not ended: run it again.\n'
/** What a restore makes. FORMAT first: without it, the rest is no store when a crash comes. */
const PARTS = [
  FORMAT_FILE,
  HEAD_FILE,
  LOG_DIRECTORY,
  TABLES_DIRECTORY,
  VECTORS_DIRECTORY,
  SUBSCRIPTIONS_DIRECTORY,
  PROJECTIONS_DIRECTORY
]
const TEMPORARY = /^FORMAT\.[0-9a-f]+\.tmp$/

interface Restoration {
  backup: string
  manifest: BackupManifest
  directory: string
  cut: Cut
  options: RestoreOptions
  openUnfinished: OpenUnfinished
}

/** Opens a store that nobody else can open yet. */
type OpenUnfinished = (directory: string) => Promise<Store>

/** @see restore of open.ts */
export async function restore(
  backup: string,
  directory: string,
  options: RestoreOptions,
  openUnfinished: OpenUnfinished
): Promise<RestoreReport> {
  checkOptions(options, ['toPosition', 'toTime', 'compare', 'onProgress'])
  const { compare = false } = options
  if (typeof compare !== 'boolean') {
    throw new TypeError(`'compare' must be true or false, received ${show(compare)}`)
  }
  for (const [name, value] of Object.entries({ backup, directory })) {
    if (typeof value === 'string' && value !== '') continue
    throw new TypeError(`'${name}' must be a non-empty string, received ${show(value)}`)
  }
  try {
    const source = resolve(backup)
    const manifest = await readBackup(source)
    if (manifest === undefined) {
      const message = `There is no backup in '${backup}', or none that was finished`
      throw new StoreError('BACKUP_NOT_FOUND', message, { directory: backup })
    }
    const cut = checkCut(options, manifest.position)
    if (!parseFormat(manifest.storeFormat).storeId.equals(Buffer.from(manifest.storeId, 'hex'))) {
      throw backupDamaged('BACKUP', 'it names two stores')
    }
    await checkSizes(source, manifest)
    const target = resolve(directory)
    await assertApart(target, source)
    const asked = { backup: source, manifest, directory: target, cut, options, openUnfinished }
    return await restoreInto(asked)
  } catch (error) {
    throw asBackupError(error, 'restore', directory)
  }
}

/** @throws StoreError `QUERY_INVALID` */
function checkCut({ toPosition, toTime }: RestoreOptions, last: number): Cut {
  if (toPosition !== undefined && toTime !== undefined) {
    throw queryInvalid('toTime', toTime, 'absent where toPosition is given')
  }
  const position = checkWhole('toPosition', toPosition, 0, last)
  const time = toTime instanceof Date ? toTime.getTime() : toTime
  if (time !== undefined && !Number.isFinite(time)) {
    throw queryInvalid('toTime', toTime, 'a valid date or milliseconds since 1970')
  }
  return { position: position ?? Number.POSITIVE_INFINITY, time: time ?? Number.POSITIVE_INFINITY }
}

async function restoreInto(restoration: Restoration): Promise<RestoreReport> {
  const { directory, options } = restoration
  throwIfAborted(options.signal, 'restore')
  // Once before anything is touched, and once when nobody else can write there any more.
  await assertEmpty(directory)
  const made = await mkdir(directory, { recursive: true })
  if (made !== undefined) await syncDirectory(dirname(made))
  try {
    const report = await owned(directory, async () => {
      await assertEmpty(directory)
      return attempt(restoration)
    })
    if (options.compare !== true) return report
    return await compareState(restoration, report)
  } finally {
    // Only where nothing was restored is it empty.
    if (made !== undefined) await rmdir(directory).catch(() => undefined)
  }
}

async function owned<T>(directory: string, work: () => Promise<T>): Promise<T> {
  const ownership = await Ownership.take(directory)
  try {
    return await work()
  } finally {
    await ownership.release()
  }
}

async function attempt(restoration: Restoration): Promise<RestoreReport> {
  const { directory, options } = restoration
  try {
    await clear(directory)
    await mark(directory)
    const report = await makeStore(restoration)
    if (options.compare !== true) await unmark(directory)
    return report
  } catch (error) {
    await takeBack(directory)
    throw error
  }
}

/** What a leftover held is gone by now, surely: its marker was the one thing that told of it. */
async function mark(directory: string): Promise<void> {
  await syncDirectory(directory)
  const handle = await open(join(directory, RESTORING), 'w')
  try {
    await handle.writeFile(MARK)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await syncDirectory(directory)
}

/** From here on it is a store. A marker that came back after a power cut would take it away again. */
async function unmark(directory: string): Promise<void> {
  await rm(join(directory, RESTORING))
  await syncDirectory(directory)
}

/** Opening the store makes its tables; the hash then covers them and the vectors. */
async function compareState(
  { directory, options, openUnfinished }: Restoration,
  report: RestoreReport
): Promise<RestoreReport> {
  const { signal, onProgress } = options
  const started = performance.now()
  onProgress?.({ phase: 'state hash', done: 0 })
  try {
    const store = await openUnfinished(directory)
    try {
      throwIfAborted(signal, 'restore')
      const restoredHash = await store.stateHash({ ...(signal === undefined ? {} : { signal }) })
      // While the directory is still ours. Closing has nothing to do that the next open could not.
      await unmark(directory)
      const seconds = report.seconds + (performance.now() - started) / 1000
      return { ...report, restoredHash, seconds }
    } finally {
      await store.close()
    }
  } catch (error) {
    // Unless the state was compared. Where somebody else restores by now, it is theirs: `owned` fails.
    await owned(directory, async () => {
      if (await isHalfRestored(directory)) await takeBack(directory)
    }).catch(() => undefined)
    throw error
  }
}

async function makeStore(restoration: Restoration): Promise<RestoreReport> {
  const started = performance.now()
  const { backup, manifest, directory, cut, options } = restoration
  const { signal, onProgress } = options
  const log = await restoreLog({ backup, manifest, directory, cut, signal, onProgress })
  await mkdir(join(directory, TABLES_DIRECTORY))
  // The tables are made from the log when the store is opened, and know of no indexes but these.
  if (manifest.indexes !== undefined) await declareIndexes(directory, manifest.indexes)
  await mkdir(join(directory, VECTORS_DIRECTORY))
  let { bytes } = log
  let vectors = false
  // What is cut off may have buried vectors that were of use before it: such an index is made anew.
  if (manifest.vectors !== null && manifest.position === log.position) {
    const onCopied = (more: number): void => {
      bytes += more
      onProgress?.({ phase: 'vectors', done: bytes - log.bytes })
    }
    vectors = await restoreIndex(backup, manifest.vectors, directory, { signal, onCopied })
  }
  await restoreCheckpoints(manifest.subscriptions ?? [], directory, log.position)
  throwIfAborted(signal, 'restore')
  await syncDirectory(directory)
  await replaceFile(join(directory, FORMAT_FILE), manifest.storeFormat)
  const { position, frames } = log
  const isWhole = position === manifest.position
  return {
    position,
    backupPosition: manifest.position,
    frames,
    events: position,
    bytes,
    vectors,
    ...(isWhole && manifest.stateHash !== null ? { stateHash: manifest.stateHash } : {}),
    seconds: (performance.now() - started) / 1000
  }
}

/** @throws StoreError `BACKUP_TARGET_REFUSED` for anything but the leftovers of a restore that died. */
async function assertEmpty(directory: string): Promise<void> {
  const names = (await namesOrRefusal(directory)).filter((name) => !isOwnerFile(name))
  const isUnfinished = !names.includes(FORMAT_FILE) || (await isHalfRestored(directory))
  const isLeftover =
    names.includes(RESTORING) &&
    isUnfinished &&
    names.every((name) => name === RESTORING || PARTS.includes(name) || TEMPORARY.test(name))
  if (names.length === 0 || isLeftover) return
  throw refused(directory, `it is not empty: it holds ${names.slice(0, 5).join(', ')}`)
}

async function clear(directory: string): Promise<void> {
  const temporary = (await namesOrRefusal(directory)).filter((name) => TEMPORARY.test(name))
  for (const name of [...PARTS, ...temporary]) {
    await rm(join(directory, name), { recursive: true, force: true })
  }
}

/** A failed attempt leaves nothing; a marker that stays lets the next one clear the rest. */
async function takeBack(directory: string): Promise<void> {
  try {
    await clear(directory)
    await rm(join(directory, RESTORING), { force: true })
  } catch {
    // What made the restore fail is what the caller must see.
  }
}
