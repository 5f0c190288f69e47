/**
 * Which fields are indexed, beside the generations: tables that are damaged are filled anew from
 * the log, which knows nothing of indexes, and shall have the same ones then.
 */
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { crc32 } from 'node:zlib'
import { isMissing, namesIn, replaceFile } from '../../storage/files.ts'
import { INDEXES_FILE, indexesOfTables, TABLES_DIRECTORY } from './generation.ts'
import type { Indexes } from './index-states.ts'

interface IndexesFile {
  readonly indexes: Indexes
  /** CRC-32 of the indexes as JSON. */
  readonly checksum: number
}

/**
 * What is to be indexed from now on: what was asked for at this open, else at an earlier one.
 *
 * If the process dies behind it, the next open finds the new declaration and tables that do not
 * follow it yet; they are brought to it as they would have been now.
 *
 * @returns `undefined`: whatever the tables themselves have.
 */
export async function agreeOnIndexes(
  directory: string,
  asked: Indexes | undefined,
  readOnly: boolean
): Promise<Indexes | undefined> {
  // A read-only store follows nothing, so it has what it had.
  if (readOnly) return undefined
  const path = join(directory, TABLES_DIRECTORY, INDEXES_FILE)
  const declared = await readDeclared(path)
  if (asked === undefined || isDeepStrictEqual({ ...asked }, declared)) return declared
  await declareIndexes(directory, asked)
  return asked
}

/** Writes down what tables that are made later shall index. */
export async function declareIndexes(directory: string, indexes: Indexes): Promise<void> {
  await mkdir(join(directory, TABLES_DIRECTORY), { recursive: true })
  const file: IndexesFile = { indexes, checksum: crc32(JSON.stringify(indexes)) }
  await replaceFile(join(directory, TABLES_DIRECTORY, INDEXES_FILE), JSON.stringify(file))
}

/**
 * Takes the tables away but keeps what is declared: those that follow are made from the log alone.
 * The declaration never leaves its place, so a crash anywhere leaves it there, and this may be repeated.
 *
 * @param take Moves or removes what has a name in their directory.
 */
export async function takeTables(
  directory: string,
  take: (name: string) => Promise<void>
): Promise<void> {
  const parent = join(directory, TABLES_DIRECTORY)
  const names = await namesIn(parent)
  const isDeclared = names.includes(INDEXES_FILE) && (await keepDeclaration(directory))
  for (const name of names) {
    if (name !== INDEXES_FILE || !isDeclared) await take(name)
  }
  if (!isDeclared) await rm(parent, { recursive: true, force: true })
}

/** Where the file is damaged, the tables know for the last time. */
async function keepDeclaration(directory: string): Promise<boolean> {
  const path = join(directory, TABLES_DIRECTORY, INDEXES_FILE)
  if ((await readDeclared(path)) !== undefined) return true
  const indexes = await indexesOfTables(directory)
  if (indexes === undefined) return false
  await declareIndexes(directory, indexes)
  return true
}

/** `undefined` as well if the file is damaged: then the tables know. */
async function readDeclared(path: string): Promise<Indexes | undefined> {
  try {
    // The checksum says that this was written here, so it has that shape.
    const file = JSON.parse(await readFile(path, 'utf8')) as IndexesFile | null
    if (file?.checksum !== crc32(JSON.stringify(file?.indexes ?? null))) return undefined
    return file.indexes
  } catch (error) {
    if (isMissing(error) || error instanceof SyntaxError) return undefined
    throw error
  }
}
