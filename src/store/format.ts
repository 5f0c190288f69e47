/** FORMAT: the file that makes a directory a store. Written last when one is created. */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { StoreError } from '../errors.ts'
import type { FrameFormat } from '../log/frame.ts'
import { HEAD_FILE, LevelLog, LOG_DIRECTORY } from '../log/level-log.ts'
import { SUBSCRIPTIONS_DIRECTORY } from '../pipeline/subscriptions/checkpoint.ts'
import { PROJECTIONS_DIRECTORY } from '../projections/custom/generation-files.ts'
import { TABLES_DIRECTORY } from '../projections/tables/generation.ts'
import { isMisplaced, isMissing, namesIn, replaceFile, syncDirectory } from '../storage/files.ts'
import { isOwnerFile } from '../storage/owner.ts'
import { TELEMETRY_DIRECTORY } from '../telemetry-store/layout.ts'

/**
 * Numbers of the log's format that this program reads and writes; new stores get the last. A store
 * keeps its number, and gets frames of that format alone, until `migrations/` moves it to the next.
 */
const SUPPORTED: readonly FrameFormat[] = [1, 2]
export const NEWEST_FORMAT: FrameFormat = 2
export const FORMAT_FILE = 'FORMAT'
export const VECTORS_DIRECTORY = 'vectors'
/** The HEAD of a log that `repair` has made and not yet put in its place. */
export const REPAIRED_HEAD = 'HEAD.repaired'
/** Lies in the directory from the first step of a `restore` to the last. */
export const RESTORING = 'RESTORING'

export interface StoreFormat {
  format: FrameFormat
  storeId: Buffer
  /** Milliseconds since 1970. */
  createdAt: number
  /** A migration has begun and not ended: the log may be of either format, or away. */
  migration?: { to: FrameFormat; phase: 'copy' | 'switch' }
}

/** What a directory is, found without changing anything in it. */
export type Found = 'store' | 'empty' | 'unfinished'

/**
 * @throws StoreError `NOT_A_STORE` for a directory that holds something else,
 *   `STORE_NOT_FOUND` when it is missing.
 */
export async function inspectDirectory(directory: string): Promise<Found> {
  let names: string[]
  try {
    names = await readdir(directory)
  } catch (cause) {
    if (isMissing(cause)) throw notFound(directory)
    // What the system refused says nothing of what is there.
    if (!isMisplaced(cause)) throw cause
    throw notAStore(directory, [], cause)
  }
  if (names.includes(FORMAT_FILE)) return 'store'
  const foreign = names.filter((name) => !isOurs(name))
  if (foreign.length > 0) throw notAStore(directory, foreign)
  return names.some((name) => !isOwnerFile(name)) ? 'unfinished' : 'empty'
}

export function notFound(directory: string): StoreError<'STORE_NOT_FOUND'> {
  return new StoreError('STORE_NOT_FOUND', `There is no store in '${directory}'`, { directory })
}

/**
 * @throws StoreError `FORMAT_UNSUPPORTED` for a store of a newer program, which is left as it is,
 *   `MIGRATION_UNFINISHED`, `STORE_DAMAGED`.
 */
export async function readFormat(directory: string): Promise<StoreFormat> {
  const format = await readStoredFormat(directory)
  if (format.migration !== undefined) throw migrationUnfinished(format)
  return format
}

/**
 * A repair has made a log from this one, and may have begun to put it in its place.
 *
 * @throws StoreError `STORE_DAMAGED`
 */
export function refuseHalfRepaired(directory: string): void {
  if (!existsSync(join(directory, REPAIRED_HEAD))) return
  const reason = 'a repair has begun and not ended: run it again'
  const message = `${REPAIRED_HEAD}: ${reason}`
  throw new StoreError('STORE_DAMAGED', message, { file: REPAIRED_HEAD, reason })
}

/**
 * What a restore has made is no store before its last step, in which the marker goes.
 *
 * @throws StoreError `STORE_DAMAGED`
 */
export async function refuseHalfRestored(directory: string): Promise<void> {
  if (!(await isHalfRestored(directory))) return
  const reason = 'a restore into this directory has begun and not ended: run it again'
  throw new StoreError('STORE_DAMAGED', `${RESTORING}: ${reason}`, { file: RESTORING, reason })
}

/** An empty marker beside FORMAT was left by an older program behind its last step. */
export async function isHalfRestored(directory: string): Promise<boolean> {
  try {
    return (await stat(join(directory, RESTORING))).size > 0
  } catch (error) {
    if (isMissing(error) || isMisplaced(error)) return false
    throw error
  }
}

/** The same for who goes on with a migration. */
export async function readStoredFormat(directory: string): Promise<StoreFormat> {
  return parseFormat(await readFile(join(directory, FORMAT_FILE), 'utf8'))
}

/** The same for the text of a FORMAT, which a backup keeps. */
export function parseFormat(text: string): StoreFormat {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw damaged('it is not JSON', cause)
  }
  if (typeof value !== 'object' || value === null) throw damaged('it is not an object')
  const { format, storeId, createdAt, migration } = value as Record<string, unknown>
  if (typeof format !== 'number') throw damaged('the number of the format is missing')
  // Asked before the other fields: a newer format may have others.
  const known = SUPPORTED.find((number) => number === format)
  if (known === undefined) {
    const message = `The store has format ${format}, this program knows ${SUPPORTED.join(' and ')}`
    throw new StoreError('FORMAT_UNSUPPORTED', message, { format, supported: NEWEST_FORMAT })
  }
  const created = Date.parse(String(createdAt))
  if (typeof storeId !== 'string' || !/^[0-9a-f]{32}$/.test(storeId) || Number.isNaN(created)) {
    throw damaged('a field is missing or malformed')
  }
  const read = { format: known, storeId: Buffer.from(storeId, 'hex'), createdAt: created }
  return migration === undefined ? read : { ...read, migration: parseMigration(migration) }
}

function parseMigration(value: unknown): NonNullable<StoreFormat['migration']> {
  const { to, phase } = (value ?? {}) as Record<string, unknown>
  const known = SUPPORTED.find((number) => number === to)
  if (known === undefined || (phase !== 'copy' && phase !== 'switch')) {
    throw damaged('the migration under way is malformed')
  }
  return { to: known, phase }
}

export function migrationUnfinished({
  format,
  migration
}: StoreFormat): StoreError<'MIGRATION_UNFINISHED'> {
  const to = migration?.to ?? format
  const message = `A migration from format ${format} to ${to} has not ended: run migrate again`
  return new StoreError('MIGRATION_UNFINISHED', message, { from: format, to })
}

/**
 * Makes a new store in an empty directory, or in one where an earlier creation died.
 *
 * A crash before FORMAT is in place leaves a directory that was never a store: the next open
 * starts over. But frames without FORMAT are a store that lost a file, and stay untouched.
 *
 * @throws StoreError `STORE_DAMAGED`
 */
export async function createStore(directory: string): Promise<StoreFormat> {
  await assertNoFrames(directory)
  for (const name of await namesIn(directory)) {
    if (isOwnerFile(name) || name === TELEMETRY_DIRECTORY) continue
    await rm(join(directory, name), { recursive: true, force: true })
  }
  const storeId = randomBytes(16)
  const created = new Date()
  const log = await LevelLog.create(directory, storeId, NEWEST_FORMAT)
  await log.close()
  await mkdir(join(directory, TABLES_DIRECTORY), { recursive: true })
  await mkdir(join(directory, VECTORS_DIRECTORY), { recursive: true })
  await syncDirectory(directory)
  const format = { format: NEWEST_FORMAT, storeId, createdAt: created.getTime() }
  await writeFormat(directory, format)
  return format
}

/** From here on the directory is a store. */
export async function writeFormat(directory: string, format: StoreFormat): Promise<void> {
  const value = {
    format: format.format,
    storeId: format.storeId.toString('hex'),
    createdAt: new Date(format.createdAt).toISOString(),
    ...(format.migration === undefined ? {} : { migration: format.migration })
  }
  await replaceFile(join(directory, FORMAT_FILE), `${JSON.stringify(value)}\n`)
}

/** An unfinished log has no table file and an empty write-ahead log; all else may hold frames. */
async function assertNoFrames(directory: string): Promise<void> {
  const log = join(directory, LOG_DIRECTORY)
  for (const name of await namesIn(log)) {
    const isLog = name.endsWith('.log')
    const holdsFrames =
      name.endsWith('.ldb') ||
      name.endsWith('.sst') ||
      (isLog && (await readFile(join(log, name))).length > 0)
    if (!holdsFrames) continue
    const reason = `the log holds ${name}, but ${FORMAT_FILE} is missing`
    throw new StoreError('STORE_DAMAGED', `${FORMAT_FILE}: ${reason}`, {
      file: FORMAT_FILE,
      reason
    })
  }
}

/** Where a process could be attached to that died since; attach/address.ts. */
const ATTACHED = /^(ATTACH(\.[0-9a-f]+\.tmp)?|attach-[0-9a-f]{12})$/

function isOurs(name: string): boolean {
  const databases = [LOG_DIRECTORY, TABLES_DIRECTORY, VECTORS_DIRECTORY, PROJECTIONS_DIRECTORY]
  // Telemetry that was kept stays when all else of a store is lost.
  const known = [FORMAT_FILE, HEAD_FILE, ...databases, SUBSCRIPTIONS_DIRECTORY, TELEMETRY_DIRECTORY]
  return isOwnerFile(name) || known.includes(name) || isTemporaryFormat(name) || ATTACHED.test(name)
}

/** Left by a process that died while it replaced FORMAT. */
export function isTemporaryFormat(name: string): boolean {
  return /^FORMAT\.[0-9a-f]+\.tmp$/.test(name)
}

export function notAStore(
  directory: string,
  found: string[] = [],
  cause?: unknown
): StoreError<'NOT_A_STORE'> {
  const message = `'${directory}' is not a store and not empty`
  const details = { directory, found: found.slice(0, 10) }
  return new StoreError('NOT_A_STORE', message, details, { cause })
}

function damaged(reason: string, cause?: unknown): StoreError<'STORE_DAMAGED'> {
  const message = `${FORMAT_FILE}: ${reason}`
  return new StoreError('STORE_DAMAGED', message, { file: FORMAT_FILE, reason }, { cause })
}
