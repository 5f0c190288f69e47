/**
 * What a backup is on the disk: BACKUP and the files that it names.
 *
 *     BACKUP                  two lines: JSON, and the CRC-32 of that in hex
 *     data/<n>.frames         frames as they lay in the log, each behind its length (u32, little endian)
 *     data/<n>.usearch, …     files of the vector index
 *
 * Files are written once, under numbers that no file of the backup has, and BACKUP is replaced last.
 * So a crash at any instant leaves the older backup or the newer one, and files that nobody names,
 * which the next backup removes. It is no store and does not open as one: a store that goes on by
 * itself in there would part from the one that it is to save.
 */
import { readdir, readFile, realpath, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'
import { crc32 } from 'node:zlib'
import { InvariantError } from '../assert.ts'
import { StoreError } from '../errors.ts'
import type { Checkpoint } from '../pipeline/subscriptions/checkpoint.ts'
import type { Indexes } from '../projections/tables/index-states.ts'
import type { Manifest } from '../projections/vectors/manifest.ts'
import { isMissing, namesIn, replaceFile } from '../storage/files.ts'
import { isOwnerFile } from '../storage/owner.ts'

const BACKUP_FORMAT = 1
const BACKUP_FILE = 'BACKUP'
const TEMPORARY = /^BACKUP\.[0-9a-f]+\.tmp$/
const DATA_DIRECTORY = 'data'
const DATA_FILE = /^[0-9]{1,15}\.(frames|usearch|f32|ids)$/

/** A file of frames that follow one another. */
export interface FrameFile {
  name: string
  bytes: number
  /** First and last position. */
  first: number
  last: number
}

export interface BackupManifest {
  format: 1
  storeId: string
  /** The store's FORMAT, as it was. */
  storeFormat: string
  /** Where the frames end, and the checksum of the last one; 0 and 0 for none. */
  position: number
  checksum: number
  /** When this was written, in ISO 8601. */
  createdAt: string
  /** Hash of the state at `position`; null where vectors are declared but could not be read. */
  stateHash: string | null
  /** The next file gets this number. */
  nextName: number
  frames: FrameFile[]
  /** The manifest of the vector index, and the names that its files have here. */
  vectors: { manifest: Manifest; names: Record<string, string> } | null
  /** How far subscriptions were; absent in backups of older programs. */
  subscriptions?: Checkpoint[]
  /** Metadata fields that are indexed; absent in backups of older programs. */
  indexes?: Indexes
}

export function dataPath(directory: string, name = ''): string {
  return join(directory, DATA_DIRECTORY, name)
}

/**
 * The backup in a directory; `undefined` where there is none.
 *
 * @throws StoreError `BACKUP_DAMAGED`, `FORMAT_UNSUPPORTED`.
 */
export async function readBackup(directory: string): Promise<BackupManifest | undefined> {
  let text: string
  try {
    text = await readFile(join(directory, BACKUP_FILE), 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
  const [json = '', sum] = text.split('\n')
  if (sum !== checksumOf(json)) throw backupDamaged(BACKUP_FILE, 'checksum differs')
  const manifest = parse(json)
  const { format } = manifest
  if (format !== BACKUP_FORMAT) {
    const message = `The backup has format ${String(format)}, this program knows ${BACKUP_FORMAT}`
    throw new StoreError('FORMAT_UNSUPPORTED', message, { format, supported: BACKUP_FORMAT })
  }
  const { frames, vectors } = manifest
  const names = [...frames.map(({ name }) => name), ...Object.values(vectors?.names ?? {})]
  // They become paths, in the backup and in the store that is made of it.
  const stray = [...names, ...Object.keys(vectors?.names ?? {})].find((one) => !DATA_FILE.test(one))
  if (stray !== undefined) throw backupDamaged(BACKUP_FILE, `it names a file '${stray}'`)
  return manifest
}

/** The checksum says that this program wrote it; its number says which version of the program. */
function parse(json: string): BackupManifest {
  try {
    return JSON.parse(json) as BackupManifest
  } catch (cause) {
    throw backupDamaged(BACKUP_FILE, 'it is not JSON', cause)
  }
}

/** From here on the backup is the one that the manifest describes. */
export async function publishBackup(directory: string, manifest: BackupManifest): Promise<void> {
  const json = JSON.stringify(manifest)
  await replaceFile(join(directory, BACKUP_FILE), `${json}\n${checksumOf(json)}\n`)
}

/**
 * Finds out, changing nothing, whether a backup may be written into a directory.
 *
 * @returns The older backup that is there.
 * @throws StoreError `BACKUP_TARGET_REFUSED`, `BACKUP_DAMAGED`, `FORMAT_UNSUPPORTED`.
 */
export async function inspectTarget(directory: string): Promise<BackupManifest | undefined> {
  const names = await namesOrRefusal(directory)
  const data = names.includes(DATA_DIRECTORY) ? await namesOrRefusal(dataPath(directory)) : []
  const foreign = [
    ...names.filter((name) => !isOurs(name)),
    ...data.filter((name) => !DATA_FILE.test(name))
  ]
  if (foreign.length > 0) {
    throw refused(directory, `it holds ${foreign.slice(0, 5).join(', ')}, which is no backup`)
  }
  const manifest = await readBackup(directory)
  // A file cut short or lost is met now, and not on the day on which the backup is needed.
  if (manifest !== undefined) await checkSizes(directory, manifest)
  return manifest
}

/** @throws StoreError `BACKUP_DAMAGED` for a file of frames that is lost or cut short. */
export async function checkSizes(directory: string, { frames }: BackupManifest): Promise<void> {
  const sizes = await dataSizes(directory)
  for (const file of frames) {
    const damage = sizeDamage(sizes, file)
    if (damage !== undefined) throw damage
  }
}

export function sizeDamage(
  sizes: ReadonlyMap<string, number>,
  { name, bytes }: FrameFile
): StoreError<'BACKUP_DAMAGED'> | undefined {
  const size = sizes.get(name)
  if (size === undefined) return backupDamaged(name, 'it is missing')
  if (size !== bytes) return backupDamaged(name, `it has ${size} bytes, expected ${bytes}`)
  return undefined
}

export async function dataSizes(directory: string): Promise<Map<string, number>> {
  const sizes = new Map<string, number>()
  for (const name of await namesIn(dataPath(directory))) {
    sizes.set(name, (await stat(dataPath(directory, name))).size)
  }
  return sizes
}

/** Removes the files that a manifest does not name: of an attempt that died, or of an older index. */
export async function sweepBackup(
  directory: string,
  manifest: BackupManifest | undefined
): Promise<void> {
  const named = new Set(manifest?.frames.map(({ name }) => name))
  for (const name of Object.values(manifest?.vectors?.names ?? {})) named.add(name)
  for (const name of await namesIn(dataPath(directory))) {
    if (DATA_FILE.test(name) && !named.has(name)) await rm(dataPath(directory, name))
  }
  for (const name of await namesIn(directory)) {
    if (TEMPORARY.test(name)) await rm(join(directory, name), { force: true })
  }
}

/**
 * Two directories of which one lies in the other would swallow each other's files.
 *
 * @throws StoreError `BACKUP_TARGET_REFUSED`
 */
export async function assertApart(target: string, other: string): Promise<void> {
  const [a, b] = [await realPath(target), await realPath(other)]
  if (a !== b && !a.startsWith(b + sep) && !b.startsWith(a + sep)) return
  throw refused(target, `it and '${other}' are not apart from one another`)
}

/** Gives errors of the system a code of ours, and leaves errors that have one alone. */
export function asBackupError(error: unknown, operation: string, directory: string): unknown {
  const isOurOwn = [StoreError, TypeError, InvariantError].some((kind) => error instanceof kind)
  if (isOurOwn || !(error instanceof Error) || !('code' in error)) return error
  const reason = error.message
  const message = `The ${operation} failed: ${reason}`
  return new StoreError('BACKUP_FAILED', message, { directory, reason }, { cause: error })
}

export function refused(
  directory: string,
  reason: string,
  cause?: unknown
): StoreError<'BACKUP_TARGET_REFUSED'> {
  const message = `'${directory}' cannot be written to: ${reason}`
  return new StoreError('BACKUP_TARGET_REFUSED', message, { directory, reason }, { cause })
}

export function backupDamaged(
  file: string,
  reason: string,
  cause?: unknown
): StoreError<'BACKUP_DAMAGED'> {
  const message = `The backup is damaged: ${file}: ${reason}`
  return new StoreError('BACKUP_DAMAGED', message, { file, reason }, { cause })
}

export async function namesOrRefusal(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (cause) {
    if (isMissing(cause)) return []
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw refused(directory, reason, cause)
  }
}

function isOurs(name: string): boolean {
  return [BACKUP_FILE, DATA_DIRECTORY].includes(name) || isOwnerFile(name) || TEMPORARY.test(name)
}

/** Where a path leads through every link, though its last parts may not exist yet. */
async function realPath(path: string): Promise<string> {
  const full = resolve(path)
  try {
    return await realpath(full)
  } catch (error) {
    const parent = dirname(full)
    if (!isMissing(error) || parent === full) throw error
    return join(await realPath(parent), full.slice(parent.length))
  }
}

function checksumOf(json: string): string {
  return crc32(json).toString(16).padStart(8, '0')
}
