/** Who only asks what repair would do, or is refused, finds every byte and name as it was. */
import { createHash } from 'node:crypto'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { open, repair } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { copyStore, filesOf, flipFile, logOf, tablesOf } from '../support/raw.ts'
import { VECTORS, vectorOf } from '../support/sample.ts'
import { temporaryPath } from '../support/temp.ts'
import { ids } from './ids-projection.ts'

const damages: [string, (directory: string) => Promise<void>][] = [
  ['no damage', async () => {}],
  ['a flipped bit in the log', async (path) => flipLargest(logOf(path), '.log')],
  ['a flipped bit in the tables', async (path) => flipLargest(await tablesOf(path), '.log')],
  ['no HEAD', async (path) => rm(join(path, 'HEAD'))],
  ['no FORMAT', async (path) => rm(join(path, 'FORMAT'))],
  ['no log', async (path) => rm(logOf(path), { recursive: true })]
]

describe('the files of a store', () => {
  test.each(damages)('are as they were after a dry run that meets %s', async (_, damage) => {
    const directory = await unclosedStore()
    await damage(directory)
    const before = await hashesOf(directory)

    const { changed } = await repair(directory, { dryRun: true })

    expect(changed).toBe(false)
    expect(await hashesOf(directory)).toEqual(before)
  })

  test('tell a dry run as much as a repair', async () => {
    const directory = await unclosedStore()
    await rm(logOf(directory), { recursive: true })

    const dry = await repair(directory, { dryRun: true })

    const { lost, position, declaration } = await repair(directory)
    expect(dry).toMatchObject({ lost, position, declaration: 'tables' })
    expect(declaration).toBe('tables')
  })

  test.each([3, 99])('are as they were when the store has format %i', async (format) => {
    const directory = await unclosedStore()
    const file = join(directory, 'FORMAT')
    const value = JSON.parse(await readFile(file, 'utf8')) as object
    await writeFile(file, JSON.stringify({ ...value, format }))
    await rm(join(directory, 'HEAD'))
    const before = await hashesOf(directory)

    const refused = { code: 'FORMAT_UNSUPPORTED', details: { format } }

    await expect(repair(directory)).rejects.toMatchObject(refused)
    await expect(repair(directory, { dryRun: true })).rejects.toMatchObject(refused)
    expect(await hashesOf(directory)).toEqual(before)
  })
})

/** As a killed process leaves it: LevelDB has write-ahead files to replay, and would. */
async function unclosedStore(): Promise<string> {
  const directory = await temporaryPath()
  await using store = await open(directory, { ...VECTORS, projections: [ids] })
  for (let n = 0; n < 30; n++) {
    await store.learn({ content: `Concept ${n}`, embedding: vectorOf(n) })
  }
  await store.checkpoint()
  return await copyStore(directory, 'unclosed')
}

async function flipLargest(directory: string, end: string): Promise<void> {
  const [file = ''] = await filesOf(directory, end)
  await flipFile(file, Math.floor((await readFile(file)).length / 2))
}

async function hashesOf(directory: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name)
    const hash = createHash('sha256')
    found[path] = entry.isFile() ? hash.update(await readFile(path)).digest('hex') : 'directory'
  }
  return found
}
