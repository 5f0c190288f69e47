/** A directory in the place of a derived file, or a file in that of a directory, costs nothing. */
import { existsSync } from 'node:fs'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { open, repair, type Store } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { deleteRows, logOf, rowsOf } from '../support/raw.ts'
import { sampleStore, vectorOf } from '../support/sample.ts'
import { ids } from './ids-projection.ts'

const projections = [ids]

const files = ['tables/CURRENT', 'tables/1', 'vectors/MANIFEST', 'vectors/1.f32', 'vectors/RECALL']
const ofProjections = ['projections/ids/CURRENT', 'projections/ids/1', 'projections/ids']
const places = [...files, ...ofProjections, 'tables', 'vectors', 'projections']

describe('what is derived and out of its place', () => {
  test.each(places)('is put aside by repair: %s', async (place) => {
    const { directory, contentHash } = await projectedStore()
    await misplace(directory, place)
    const reason = expect.any(String)
    const dry = await repair(directory, { dryRun: true })
    expect(dry).toMatchObject({ changed: false, files: [{ file: place, reason }] })

    const report = await repair(directory)

    expect(report).toMatchObject({ changed: true, eventsLost: 0, files: [{ file: place, reason }] })
    expect(existsSync(join(report.aside ?? '', place))).toBe(true)
    await expectWhole(directory, contentHash)
    expect(await repair(directory)).toMatchObject({ changed: false, files: [] })
  })

  test.each(['tables', 'tables/CURRENT', 'vectors', 'projections', 'HEAD', 'FORMAT'])(
    'is put aside with a damaged log: %s',
    async (place) => {
      const { directory } = await projectedStore()
      const [last] = (await rowsOf(logOf(directory))).at(-1) ?? []
      if (last === undefined) throw new Error('The log is empty')
      await deleteRows(logOf(directory), [last])
      await misplace(directory, place)

      const { changed, aside, eventsLost } = await repair(directory)

      expect(changed).toBe(true)
      expect(eventsLost).toBe(1)
      expect(existsSync(join(aside ?? '', place))).toBe(true)
      await expectWhole(directory)
    }
  )

  test.each(['vectors/MANIFEST', 'vectors/1.f32', 'vectors/1.ids', 'vectors'])(
    'is made anew by opening: %s',
    async (place) => {
      const { directory, contentHash } = await projectedStore()
      await misplace(directory, place)
      await expectWhole(directory, contentHash)
      await expectWhole(directory, contentHash)
    }
  )
})

async function projectedStore(): Promise<{ directory: string; contentHash: string }> {
  const { directory } = await sampleStore()
  await using store = await open(directory, { projections })
  await store.caughtUp()
  await store.checkpoint()
  return { directory, contentHash: await store.contentHash() }
}

/** What is a file becomes a directory with something in it, and the other way round. */
async function misplace(directory: string, place: string): Promise<void> {
  const path = join(directory, place)
  const isFile = !existsSync(path) || !(await isListable(path))
  await rm(path, { recursive: true, force: true })
  if (!isFile) return writeFile(path, 'no directory')
  await mkdir(path)
  await writeFile(join(path, 'stranger'), 'in a directory')
}

async function isListable(path: string): Promise<boolean> {
  return readdir(path).then(
    () => true,
    () => false
  )
}

async function expectWhole(directory: string, contentHash?: string): Promise<void> {
  await using store: Store = await open(directory, { projections })
  await store.caughtUp()
  const hits = await store.search(vectorOf(3), { k: 3 })
  expect(hits.length).toBeGreaterThan(0)
  if (contentHash !== undefined) expect(await store.contentHash()).toBe(contentHash)
  expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
}
