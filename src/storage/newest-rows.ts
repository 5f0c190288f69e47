/**
 * Some rows of a LevelDB database, read without opening it. LevelDB writes when it opens: a MANIFEST, a
 * CURRENT and a log. Who only looks must leave every byte as it is, and a damaged file ends no process here.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { STRETCH_MS, turn } from '../turn.ts'
import { isMisplaced, isMissing, namesIn } from './files.ts'
import { type TableEntry, TableFile } from './table-file.ts'
import { entriesOf } from './write-ahead-file.ts'

/**
 * The newest value of each key that stands in a whole block or record, by the key in hex; a key that
 * was deleted last has none. One file at a time is in memory.
 *
 * @returns Nothing where there is no database.
 */
export async function newestRows(
  directory: string,
  keys: readonly Buffer[]
): Promise<Map<string, Buffer>> {
  const newest = new Map<string, TableEntry>()
  for (const name of await databaseFiles(directory)) {
    const entries = await entriesIn(join(directory, name), keys)
    let began = performance.now()
    for (const entry of entries) {
      if (keys.some((key) => key.equals(entry.key))) keepNewest(newest, entry)
      if (performance.now() - began < STRETCH_MS) continue
      await turn()
      began = performance.now()
    }
  }
  const rows = new Map<string, Buffer>()
  for (const [key, { value }] of newest) if (value !== undefined) rows.set(key, value)
  return rows
}

async function databaseFiles(directory: string): Promise<string[]> {
  try {
    return (await namesIn(directory)).filter((name) => /\.(ldb|log)$/.test(name)).sort()
  } catch (error) {
    if (!isMisplaced(error)) throw error
    return []
  }
}

async function entriesIn(path: string, keys: readonly Buffer[]): Promise<Iterable<TableEntry>> {
  try {
    const isTable = path.endsWith('.ldb')
    const entries = isTable
      ? (await TableFile.read(path)).entries(keys)
      : entriesOf(await readFile(path))
    return readable(entries)
  } catch (error) {
    // A directory in the place of a file holds nothing that LevelDB wrote.
    if (isMissing(error) || isMisplaced(error)) return []
    throw error
  }
}

function* readable(entries: Generator<TableEntry>): Generator<TableEntry> {
  try {
    yield* entries
  } catch (error) {
    // What is left of this file makes no sense although its checksums hold.
    if (!(error instanceof RangeError)) throw error
  }
}

function keepNewest(newest: Map<string, TableEntry>, entry: TableEntry): void {
  const { key, value, sequence } = entry
  const hex = key.toString('hex')
  const known = newest.get(hex)
  if (known !== undefined && known.sequence >= sequence) return
  // Copied: a view would keep the whole file in memory.
  newest.set(hex, { key, value: value === undefined ? undefined : Buffer.from(value), sequence })
}
