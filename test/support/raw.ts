/** What lies on the disk of a store that is closed, past every check: for looking and for damage. */
import { cp, open, readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Level } from '#sutra/storage/level.js'

const TUNING = { cacheBytes: 2 ** 20, writeBufferBytes: 2 ** 22, maxFileBytes: 2 ** 21 }

export type Row = [key: Buffer, value: Buffer]

/** Opens one LevelDB of a closed store for as long as the work takes. */
async function withLevel<T>(path: string, work: (level: Level) => Promise<T>): Promise<T> {
  const level = await Level.open(path, TUNING)
  try {
    return await work(level)
  } finally {
    await level.close()
  }
}

export async function rowsOf(path: string, prefix?: number): Promise<Row[]> {
  return withLevel(path, async (level) => {
    const found: Row[] = []
    for await (const rows of level.blocks({})) found.push(...rows)
    return prefix === undefined ? found : found.filter(([key]) => key[0] === prefix)
  })
}

export function logOf(directory: string): string {
  return join(directory, 'log')
}

/** The live generation of the tables. */
export async function tablesOf(directory: string): Promise<string> {
  const tables = join(directory, 'tables')
  return join(tables, await readFile(join(tables, 'CURRENT'), 'utf8'))
}

export async function changeRow(path: string, key: Buffer, value: Buffer): Promise<void> {
  await withLevel(path, async (level) => level.put(key, value, { sync: true }))
}

export async function deleteRows(path: string, keys: readonly Buffer[]): Promise<void> {
  await withLevel(path, async (level) => {
    const batch = level.batch()
    for (const key of keys) batch.del(key)
    await batch.write({ sync: true })
  })
}

/** The same bytes with one bit of one of them turned around. */
export function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy.writeUInt8(copy.readUInt8(at) ^ 0x10, at)
  return copy
}

export async function flipFile(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+')
  try {
    const byte = Buffer.alloc(1)
    await file.read(byte, 0, 1, at)
    await file.write(flipped(byte, 0), 0, 1, at)
  } finally {
    await file.close()
  }
}

/** Files of a directory whose names end so, the largest first. */
export async function filesOf(directory: string, end: string): Promise<string[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith(end))
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(directory, name)
      return { path, bytes: (await readFile(path)).length }
    })
  )
  return files.sort((a, b) => b.bytes - a.bytes).map(({ path }) => path)
}

/** A copy beside it, as a backup of a closed store. OWNER stays with the original. */
export async function copyStore(directory: string, name: string): Promise<string> {
  const copy = join(dirname(directory), name)
  await cp(directory, copy, { recursive: true, filter: (path) => !path.includes('OWNER') })
  return copy
}
