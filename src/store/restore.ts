/**
 * Makes a store out of a backup, whole or up to a position or time.
 *
 * FORMAT is written last, and RESTORING lies in the directory from the first step to the last: a
 * crash leaves a directory that does not open as a store, and that another `restore` clears.
 */
import { mkdir, rm, rmdir, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { StoreError, throwIfAborted } from '../errors.ts'
import { HEAD_FILE, LOG_DIRECTORY } from '../log/level-log.ts'
import { SUBSCRIPTIONS_DIRECTORY } from '../pipeline/subscriptions/checkpoint.ts'
import { declareIndexes } from '../projections/tables/declared-indexes.ts'
import { TABLES_DIRECTORY } from '../projections/tables/generation.ts'
import { checkOptions, checkWhole, queryInvalid } from '../query/read-options.ts'
import { replaceFile, syncDirectory } from '../storage/files.ts'
import { isOwnerFile, Ownership } from '../storage/owner.ts'
import type { RestoreOptions, RestoreReport } from '../types.ts'
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
import { FORMAT_FILE, parseFormat, VECTORS_DIRECTORY } from './format.ts'
import { type Cut, restoreLog } from './restore-log.ts'

const MARKER = 'RESTORING'
/** What a restore makes. FORMAT first: without it, the rest is no store when a crash comes. */
const PARTS = [
  FORMAT_FILE,
  HEAD_FILE,
  LOG_DIRECTORY,
  TABLES_DIRECTORY,
  VECTORS_DIRECTORY,
  SUBSCRIPTIONS_DIRECTORY
]
const TEMPORARY = /^FORMAT\.[0-9a-f]+\.tmp$/

interface Restoration {
  backup: string
  manifest: BackupManifest
  directory: string
  cut: Cut
  options: RestoreOptions
}

/** @see restore of open.ts */
export async function restore(
  backup: string,
  directory: string,
  options: RestoreOptions
): Promise<RestoreReport> {
  checkOptions(options, ['toPosition', 'toTime', 'onProgress'])
  for (const [name, value] of Object.entries({ backup, directory })) {
    if (typeof value === 'string' && value !== '') continue
    throw new TypeError(`'${name}' must be a non-empty string, received ${String(value)}`)
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
    return await restoreInto({ backup: source, manifest, directory: target, cut, options })
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
  const ownership = await Ownership.take(directory)
  try {
    await assertEmpty(directory)
    return await attempt(restoration)
  } finally {
    await ownership.release()
    // Only where nothing was restored is it empty.
    if (made !== undefined) await rmdir(directory).catch(() => undefined)
  }
}

async function attempt(restoration: Restoration): Promise<RestoreReport> {
  const { directory } = restoration
  try {
    await writeFile(join(directory, MARKER), '')
    await syncDirectory(directory)
    await clear(directory)
    const report = await makeStore(restoration)
    // The store is there now. If the process dies before this, a marker is left that says nothing.
    await rm(join(directory, MARKER))
    return report
  } catch (error) {
    await takeBack(directory)
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
  // An index that is ahead of where the log ends now knows vectors that never were.
  if (manifest.vectors !== null && manifest.vectors.manifest.position <= log.position) {
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
  const isLeftover =
    names.includes(MARKER) &&
    !names.includes(FORMAT_FILE) &&
    names.every((name) => name === MARKER || PARTS.includes(name) || TEMPORARY.test(name))
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
    await rm(join(directory, MARKER), { force: true })
  } catch {
    // What made the restore fail is what the caller must see.
  }
}
