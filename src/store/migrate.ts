/**
 * Moves a store whose log has an older format to the newest one, step by step.
 *
 * A step writes the new log beside the old one and then switches. FORMAT is the journal: from before
 * the first byte of the new log until the last step of the switch it says that a migration is under
 * way, and nobody opens the store.
 *
 * | FORMAT says   | the process dies                     | the next migration                     |
 * | ------------- | ------------------------------------ | -------------------------------------- |
 * | the old one   | while the log is checked or backed up | starts over; the store is as it was    |
 * | phase `copy`  | while `log.next` is written          | goes on behind its last whole frame     |
 * | phase `switch`| between any two steps of the switch  | does the steps that are not done        |
 * | the new one   |                                      | finds nothing to do                     |
 */
import { existsSync, readFileSync } from 'node:fs'
import { copyFile, mkdir, open as openFile, rename, rm } from 'node:fs/promises'
import { isAbsolute, join, relative, resolve, sep } from 'node:path'
import { StoreError } from '../errors.ts'
import { HeadFile } from '../log/head-file.ts'
import { HEAD_FILE, LOG_DIRECTORY } from '../log/level-log.ts'
import { PROJECTIONS_DIRECTORY } from '../projections/custom/generation-files.ts'
import { takeTables } from '../projections/tables/declared-indexes.ts'
import { INDEXES_FILE, TABLES_DIRECTORY } from '../projections/tables/generation.ts'
import { checkOptions } from '../query/read-options.ts'
import { namesIn, syncDirectory, syncFiles } from '../storage/files.ts'
import { Ownership } from '../storage/owner.ts'
import type { MigrateOptions, MigrationReport } from '../types.ts'
import {
  FORMAT_FILE,
  inspectDirectory,
  isTemporaryFormat,
  migrationUnfinished,
  NEWEST_FORMAT,
  notFound,
  readFormat,
  readStoredFormat,
  refuseHalfRepaired,
  refuseHalfRestored,
  type StoreFormat,
  VECTORS_DIRECTORY,
  writeFormat
} from './format.ts'
import { checkLog, type Walked, withLog, writeNextLog } from './migrate-log.ts'
import { type MigrationStep, migrationSteps } from './migration-step.ts'
import { leaveTrace } from './torn-checkpoints.ts'

const COMPARED_BYTES = 1024 * 1024
const NEXT_LOG = `${LOG_DIRECTORY}.next`
const OLD_LOG = `${LOG_DIRECTORY}.old`
const NEXT_HEAD = `${HEAD_FILE}.next`

/** @see migrate of open.ts */
export async function migrate(path: string, options: MigrateOptions): Promise<MigrationReport> {
  checkOptions(options, ['backup', 'dryRun', 'onProgress'])
  const { backup } = options
  if (backup !== false && typeof backup !== 'string') {
    throw new TypeError(`backup must be a directory or false, received ${typeof backup}`)
  }
  const directory = resolve(path)
  if ((await inspectDirectory(directory)) !== 'store') throw notFound(directory)
  // A newer store is refused before even the file of the owner is written.
  await readStoredFormat(directory)
  refuseHalfRepaired(directory)
  const ownership = await Ownership.take(directory)
  leaveTrace(directory, ownership)
  try {
    await refuseHalfRestored(directory)
    return await migrateOwned(directory, options)
  } finally {
    await ownership.release()
  }
}

async function migrateOwned(directory: string, options: MigrateOptions): Promise<MigrationReport> {
  const started = performance.now()
  const steps = await migrationSteps()
  const found = await readStoredFormat(directory)
  const report: MigrationReport = {
    changed: false,
    from: found.format,
    to: NEWEST_FORMAT,
    steps: steps.filter(({ from }) => from >= found.format).map(({ what }) => what),
    resumed: found.migration !== undefined,
    backup: undefined,
    position: 0,
    frames: 0,
    events: 0,
    seconds: 0
  }
  if (found.migration !== undefined && options.dryRun !== true) {
    report.backup = await backedUp(directory, options.backup)
  }
  let format = found
  for (const step of steps) {
    if (step.from !== format.format) continue
    if (options.dryRun === true) {
      if (format.migration?.phase === 'switch') throw migrationUnfinished(format)
      tell(report, await withLog(directory, format, async (log) => checkLog(log, options)))
      break
    }
    if (format.migration === undefined && report.backup === undefined) {
      tell(report, await withLog(directory, format, async (log) => checkLog(log, options)))
      report.backup = await backUp(directory, options.backup)
    }
    const walked = await prepare(directory, step, format, options)
    if (walked !== undefined) tell(report, walked)
    format = await switchLogs(directory, step, format)
    report.changed = true
  }
  report.seconds = (performance.now() - started) / 1000
  return report
}

function tell(report: MigrationReport, { frames, events, position }: Walked): void {
  Object.assign(report, { frames, events, position })
}

/** Writes the new log and its HEAD, all but the switch; nothing if an earlier migration has. */
async function prepare(
  directory: string,
  step: MigrationStep,
  format: StoreFormat,
  options: MigrateOptions
): Promise<Walked | undefined> {
  if (format.migration?.phase === 'switch') return undefined
  const { migration: resumed, ...before } = format
  if (resumed === undefined) await removeNext(directory)
  await writeFormat(directory, { ...before, migration: { to: step.to, phase: 'copy' } })
  let walked: Walked
  try {
    const path = join(directory, NEXT_LOG)
    walked = await withLog(directory, format, async (log) =>
      writeNextLog(log, path, step, format.storeId, options)
    )
    await writeHead(join(directory, NEXT_HEAD), format.storeId, walked)
  } catch (error) {
    // What can be told is taken back: the store opens as before. A crash leaves it to be resumed.
    await removeNext(directory)
    await writeFormat(directory, before)
    throw error
  }
  await syncDirectory(directory)
  await writeFormat(directory, { ...before, migration: { to: step.to, phase: 'switch' } })
  return walked
}

async function removeNext(directory: string): Promise<void> {
  await rm(join(directory, NEXT_LOG), { recursive: true, force: true })
  await rm(join(directory, NEXT_HEAD), { force: true })
}

async function writeHead(path: string, storeId: Buffer, head: Walked): Promise<void> {
  const file = HeadFile.create(path, storeId)
  try {
    file.write(head)
    await file.sync()
  } finally {
    file.close()
  }
}

/** Puts the new log in the place of the old one. Each step may be repeated, and is until all are. */
async function switchLogs(
  directory: string,
  step: MigrationStep,
  { storeId, createdAt }: StoreFormat
): Promise<StoreFormat> {
  const at = (name: string): string => join(directory, name)
  if (existsSync(at(NEXT_LOG))) {
    if (existsSync(at(LOG_DIRECTORY))) await rename(at(LOG_DIRECTORY), at(OLD_LOG))
    await rename(at(NEXT_LOG), at(LOG_DIRECTORY))
  }
  if (existsSync(at(NEXT_HEAD))) await rename(at(NEXT_HEAD), at(HEAD_FILE))
  await syncDirectory(directory)
  // The old log goes only when the new one surely stands in its place.
  const strays = (await namesIn(directory)).filter(isTemporaryFormat)
  const derived = [VECTORS_DIRECTORY, PROJECTIONS_DIRECTORY]
  await takeTables(directory, async (name) => {
    await rm(join(directory, TABLES_DIRECTORY, name), { recursive: true, force: true })
  })
  for (const name of [OLD_LOG, ...derived, ...strays]) {
    await rm(at(name), { recursive: true, force: true })
  }
  const format = { format: step.to, storeId, createdAt }
  await writeFormat(directory, format)
  return format
}

/**
 * Copies what cannot be made anew, file by file, into a directory of its own. FORMAT comes last: a
 * copy that was cut short is no store.
 */
async function backUp(directory: string, target: string | false): Promise<string | undefined> {
  if (target === false) return undefined
  const to = resolve(target)
  if (isWithin(directory, to)) throw refused(to, 'it lies within the store')
  if ((await isBackupOf(directory, to)) && sameHead(directory, to)) return to
  await removeUnfinished(directory, to)
  if ((await namesIn(to)).length > 0) throw refused(to, 'it is not empty')
  try {
    await mkdir(join(to, LOG_DIRECTORY), { recursive: true })
    const logFiles = (await namesIn(join(directory, LOG_DIRECTORY))).filter((it) => it !== 'LOCK')
    for (const file of [...logFiles.map((name) => join(LOG_DIRECTORY, name)), HEAD_FILE]) {
      await copyFile(join(directory, file), join(to, file))
    }
    await syncFiles(join(to, LOG_DIRECTORY), () => true)
    await syncDirectory(join(to, LOG_DIRECTORY))
    await copyDeclaration(directory, to)
    await copyFile(join(directory, FORMAT_FILE), join(to, FORMAT_FILE))
    await syncFiles(to, (name) => name !== LOG_DIRECTORY && name !== TABLES_DIRECTORY)
    await syncDirectory(to)
    await syncDirectory(join(to, '..'))
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    const message = `The backup into '${to}' failed: ${reason}`
    throw new StoreError('BACKUP_FAILED', message, { directory: to, reason }, { cause })
  }
  return to
}

/** A migration that died has made its backup before it began to write: there is none to be made now. */
async function backedUp(directory: string, target: string | false): Promise<string | undefined> {
  if (target === false) return undefined
  const to = resolve(target)
  if (await isBackupOf(directory, to)) return to
  throw refused(to, 'the migration has begun without it; go on with none')
}

/** FORMAT comes last there, so it says that the copy is whole. */
async function isBackupOf(directory: string, to: string): Promise<boolean> {
  if (!(await namesIn(to)).includes(FORMAT_FILE)) return false
  try {
    const [copied, own] = [await readFormat(to), await readStoredFormat(directory)]
    return copied.storeId.equals(own.storeId) && copied.format === own.format
  } catch {
    // Whatever it is, it is no backup that this migration has made.
    return false
  }
}

/** An older copy of a store that went on is no backup of it. During the switch HEAD is another one. */
function sameHead(directory: string, to: string): boolean {
  const copied = join(to, HEAD_FILE)
  return existsSync(copied) && readFileSync(copied).equals(readFileSync(join(directory, HEAD_FILE)))
}

/**
 * What a migration has copied that died over it: nothing but the beginnings of this store's own files.
 * Another store that has lost its FORMAT has files of the same names.
 */
async function removeUnfinished(directory: string, to: string): Promise<void> {
  const names = await namesIn(to)
  const copied = [LOG_DIRECTORY, HEAD_FILE, TABLES_DIRECTORY]
  if (names.some((name) => !copied.includes(name))) return
  const inFolder = async (folder: string): Promise<string[]> =>
    (await namesIn(join(to, folder))).map((name) => join(folder, name))
  const files = [...(await inFolder(LOG_DIRECTORY)), ...(await inFolder(TABLES_DIRECTORY))]
  if (names.includes(HEAD_FILE)) files.push(HEAD_FILE)
  for (const file of files) {
    if (!(await isBeginningOf(join(to, file), join(directory, file)))) return
  }
  for (const name of names) await rm(join(to, name), { recursive: true })
}

async function isBeginningOf(path: string, whole: string): Promise<boolean> {
  if (!existsSync(whole)) return false
  await using copy = await openFile(path, 'r')
  await using own = await openFile(whole, 'r')
  const [a, b] = [Buffer.alloc(COMPARED_BYTES), Buffer.alloc(COMPARED_BYTES)]
  for (let at = 0; ; ) {
    const { bytesRead } = await copy.read(a, 0, COMPARED_BYTES, at)
    if (bytesRead === 0) return true
    const found = await own.read(b, 0, bytesRead, at)
    if (!a.subarray(0, bytesRead).equals(b.subarray(0, found.bytesRead))) return false
    at += bytesRead
  }
}

function isWithin(directory: string, path: string): boolean {
  const way = relative(directory, path)
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}

/** Which fields are indexed is in no log. */
async function copyDeclaration(directory: string, to: string): Promise<void> {
  const from = join(directory, TABLES_DIRECTORY, INDEXES_FILE)
  if (!existsSync(from)) return
  const tables = join(to, TABLES_DIRECTORY)
  await mkdir(tables)
  await copyFile(from, join(tables, INDEXES_FILE))
  await syncFiles(tables, () => true)
  await syncDirectory(tables)
}

function refused(directory: string, reason: string): StoreError<'BACKUP_TARGET_REFUSED'> {
  const message = `'${directory}' cannot take the backup: ${reason}`
  return new StoreError('BACKUP_TARGET_REFUSED', message, { directory, reason })
}
