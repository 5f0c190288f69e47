import {
  appendFile,
  copyFile,
  cp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  writeFile
} from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { open } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { copyStore, filesOf, flipFile } from '../support/raw.ts'
import { look, makeSample, sampleStore, vectorOf } from '../support/sample.ts'
import { temporaryPath } from '../support/temp.ts'
import { damagesOf, expectRightAnswers, graphSample, settled } from '../vectors/graph-sample.ts'

type Damage = [string, (vectors: string) => Promise<void>]

/** Found when the store opens. */
const ofTheSet: Damage[] = [
  ['all of it deleted', async (vectors) => rm(vectors, { recursive: true })],
  ['the manifest deleted', async (vectors) => rm(join(vectors, 'MANIFEST'))],
  ['the manifest flipped', async (vectors) => flipFile(join(vectors, 'MANIFEST'), 40)],
  ['the manifest empty', async (vectors) => writeFile(join(vectors, 'MANIFEST'), '')],
  ['the manifest cut short', async (vectors) => truncate(join(vectors, 'MANIFEST'), 200)],
  ['a manifest of format 1', async (vectors) => editManifest(vectors, { format: 1 })],
  ['a manifest of format 4', async (vectors) => editManifest(vectors, { format: 4 })],
  ['a manifest without its segments', async (vectors) => editManifest(vectors, { segments: {} })],
  ['segments without their seals', async (vectors) => editManifest(vectors, { segments: [{}] })],
  ['no exact vectors', async (vectors) => rm(await only(vectors, '.f32'))],
  ['the exact vectors cut short', async (vectors) => truncate(await only(vectors, '.f32'), 99)],
  ['no ids', async (vectors) => rm(await only(vectors, '.ids'))],
  ['the ids flipped', async (vectors) => flipFile(await only(vectors, '.ids'), 3)],
  ['the ids cut short', async (vectors) => truncate(await only(vectors, '.ids'), 1300)]
]

/** Found before the graph is mapped. */
const ofTheGraph: Damage[] = [
  ['no graph', async (vectors) => rm(await only(vectors, '.usearch'))],
  ['a graph flipped at its head', async (vectors) => flipFile(await only(vectors, '.usearch'), 7)],
  ['a graph flipped inside', async (vectors) => flipFile(await only(vectors, '.usearch'), 9_000)],
  ['a graph flipped at its end', async (vectors) => flipEnd(await only(vectors, '.usearch'))],
  ['a graph cut short', async (vectors) => truncate(await only(vectors, '.usearch'), 64)],
  ['an empty graph', async (vectors) => truncate(await only(vectors, '.usearch'), 0)],
  ['the graph of another store', takeGraphOfAnother]
]

/** Found when the row is read. */
const ofARow: Damage[] = [
  ['the first exact vector flipped', async (vectors) => flipFile(await only(vectors, '.f32'), 5)],
  ['the last exact vector flipped', async (vectors) => flipEnd(await only(vectors, '.f32'))],
  ['a revised vector flipped', async (vectors) => flipFile(await only(vectors, '.f32'), 5 * 32)]
]

test.each([...ofTheSet, ...ofTheGraph, ...ofARow])(
  'vectors with %s answer at once, and are made anew from the log',
  async (_, damage) => {
    const { directory, vectors, stateHash } = await graphSample()
    await damage(join(directory, 'vectors'))

    const store = await open(directory)

    await expectRightAnswers(store, vectors)
    expect(await store.stateHash()).toBe(stateHash)
    await settled(store)
    await expectRightAnswers(store, vectors)
    expect((await store.verify()).problems).toEqual([])
    await store.close()
    const files = await readdir(join(directory, 'vectors'))
    expect(files.map((name) => name.replace(/^[0-9]+/, '')).sort()).toEqual([
      '.f32',
      '.ids',
      '.usearch',
      'MANIFEST'
    ])
    await using again = await open(directory)
    const told = damagesOf(again)
    await expectRightAnswers(again, vectors)
    expect(told).toEqual([])
    expect(again.stats().vectors.scanned).toBeLessThan(1024)
  }
)

test.each([...ofTheGraph, ...ofARow])('a store with %s tells of it, once', async (_, damage) => {
  const { directory, vectors } = await graphSample()
  await damage(join(directory, 'vectors'))
  await using store = await open(directory)
  const told = damagesOf(store)

  await Promise.all(Array.from({ length: 4 }, async () => expectRightAnswers(store, vectors, 2)))
  await settled(store)

  expect(told).toEqual([expect.objectContaining({ part: 'vectors' })])
})

test.each(ofTheSet.slice(2))('a store with %s tells whoever subscribes', async (_, damage) => {
  const { directory } = await graphSample()
  await damage(join(directory, 'vectors'))
  await using store = await open(directory)

  const told = damagesOf(store)

  expect(told).toEqual([expect.objectContaining({ part: 'vectors' })])
})

/** Each kind was met by a store that is written above: of these, a part in a short run. */
const toReaders = [...ofTheSet.slice(2), ...ofTheGraph, ...ofARow].filter(
  (_, i) => process.env['SUTRA_DAMAGE'] === 'all' || i % 3 === 0
)

test.each(toReaders)(
  'a read-only store with %s answers, and changes nothing',
  async (_, damage) => {
    const { directory, vectors, stateHash } = await graphSample()
    await damage(join(directory, 'vectors'))
    const before = await contentsOf(join(directory, 'vectors'))

    const store = await open(directory, { readOnly: true })

    await expectRightAnswers(store, vectors)
    expect(await store.stateHash()).toBe(stateHash)
    await store.close()
    expect(await contentsOf(join(directory, 'vectors'))).toEqual(before)
  }
)

test('an index that the format before this one described is read, and described anew', async () => {
  const { directory, vectors } = await graphSample()
  const path = join(directory, 'vectors')
  await editManifest(path, { format: 2 })
  const before = await readdir(path)
  const store = await open(directory)

  expect(damagesOf(store)).toEqual([])
  await expectRightAnswers(store, vectors)
  await store.close()
  expect(await readdir(path)).toEqual(before)
  expect(await readFile(join(path, 'MANIFEST'), 'utf8')).toContain('"format":3')
})

describe('a store that is open', () => {
  test.each([
    ['search', async (store) => store.search(new Float32Array(8).fill(1), { exact: true })],
    ['vector', async (store) => store.vector({ key: 'k3' })],
    ['get', async (store) => store.get({ key: 'k3' }, { include: ['vector'] })]
  ] as [string, (store: Awaited<ReturnType<typeof open>>) => Promise<unknown>][])(
    'gives the right answer to the %s that meets a row flipped meanwhile',
    async (_, read) => {
      const { directory, vectors } = await graphSample()
      await using intact = await open((await graphSample()).directory)
      await using store = await open(directory)
      const told = damagesOf(store)
      await flipFile(await only(join(directory, 'vectors'), '.f32'), 3 * 32 + 9)

      const found = await read(store)

      expect(found).toEqual(await read(intact))
      expect(told).toEqual([expect.objectContaining({ part: 'vectors' })])
      await expectRightAnswers(store, vectors)
    }
  )

  test('goes on answering views from before its index was made anew', async () => {
    const { directory, vectors } = await graphSample()
    await using store = await open(directory)
    await using view = await store.view()
    await store.forget({ key: 'k3' })
    await store.revise({ key: 'k4' }, { embedding: new Float32Array(8).fill(2) })
    await flipFile(await only(join(directory, 'vectors'), '.f32'), 3 * 32 + 9)

    await Promise.all([
      expectRightAnswers(view as unknown as typeof store, vectors),
      store.search(new Float32Array(8).fill(1), { exact: true })
    ])
    const [now] = await store.search(new Float32Array(8).fill(2), { k: 1 })

    expect(now?.key).toBe('k4')
    expect(await view.vector({ key: 'k3' })).toEqual(vectors.get('k3'))
    await expectRightAnswers(view as unknown as typeof store, vectors)
  })
})

test.each([
  ['the graph', '.usearch'],
  ['the exact vectors', '.f32'],
  ['the ids', '.ids']
])('verify names %s if they are damaged', async (_, end) => {
  const { directory } = await graphSample()
  await using store = await open(directory)
  const path = await only(join(directory, 'vectors'), end)
  await flipEnd(path)

  const { ok, problems } = await store.verify()

  expect(ok).toBe(false)
  expect(problems).toEqual([{ part: 'vectors', reason: expect.stringContaining(path) }])
})

test('files that are longer than sealed, and files that nobody names, mean nothing', async () => {
  const { directory, vectors } = await graphSample()
  const path = join(directory, 'vectors')
  await appendFile(await only(path, '.f32'), Buffer.alloc(500, 1))
  await appendFile(await only(path, '.ids'), Buffer.alloc(500, 1))
  await writeFile(join(path, '77.usearch'), 'a leftover')
  await writeFile(join(path, '78.f32'), 'a leftover')
  await writeFile(join(path, 'MANIFEST.123.tmp'), 'a leftover')
  await writeFile(join(path, 'notes'), 'not ours')

  const store = await open(directory)
  const told = damagesOf(store)
  await expectRightAnswers(store, vectors)
  expect((await store.verify()).problems).toEqual([])
  await store.learn({ id: { key: 'later' }, content: 'Later', embedding: [9, 1, 1, 1, 1, 1, 1, 1] })
  await store.checkpoint()
  await store.close()

  expect(told).toEqual([])
  await using again = await open(directory)
  await expectRightAnswers(again, vectors)
  expect(await again.vector({ key: 'later' })).toEqual(Float32Array.of(9, 1, 1, 1, 1, 1, 1, 1))
  expect((await readdir(path)).filter((name) => /^7|tmp$/.test(name))).toEqual([])
  expect(await readFile(join(path, 'notes'), 'utf8')).toBe('not ours')
})

test('the index of another store is not taken for its own', async () => {
  const { directory, before } = await sampleStore()
  const other = await temporaryPath('other')
  await makeSample(other)
  await rm(join(directory, 'vectors'), { recursive: true })
  const copy = await copyStore(other, 'copy')
  await rename(join(copy, 'vectors'), join(directory, 'vectors'))

  await using store = await open(directory)

  expect(await look(store)).toEqual(before)
})

test('an index ahead of the log is refused', async () => {
  const { directory } = await sampleStore()
  const copy = await copyStore(directory, 'copy')
  const store = await open(directory)
  await store.learn({ id: { key: 'later' }, content: 'Later', embedding: vectorOf(1) })
  await store.checkpoint()
  await store.close()
  await rm(join(copy, 'vectors'), { recursive: true })
  await cp(join(directory, 'vectors'), join(copy, 'vectors'), { recursive: true })

  const opening = open(copy)

  const details = { projection: 'vectors', checkpoint: store.head, head: store.head - 1 }
  await expect(opening).rejects.toMatchObject({ code: 'LOG_BEHIND_CHECKPOINT', details })
})

async function only(directory: string, end: string): Promise<string> {
  const [file] = await filesOf(directory, end)
  if (file === undefined) throw new Error(`There is no file that ends with ${end}`)
  return file
}

async function flipEnd(path: string): Promise<void> {
  await flipFile(path, (await stat(path)).size - 1)
}

async function takeGraphOfAnother(vectors: string): Promise<void> {
  const other = await graphSample(2)
  await copyFile(
    await only(join(other.directory, 'vectors'), '.usearch'),
    await only(vectors, '.usearch')
  )
}

/** A manifest that says something else, and whose checksum is right. */
async function editManifest(vectors: string, change: object): Promise<void> {
  const path = join(vectors, 'MANIFEST')
  const [json = ''] = (await readFile(path, 'utf8')).split('\n')
  const text = JSON.stringify({ ...JSON.parse(json), ...change })
  await writeFile(path, `${text}\n${crc32(text).toString(16).padStart(8, '0')}\n`)
}

async function contentsOf(directory: string): Promise<Record<string, string>> {
  const contents: Record<string, string> = {}
  for (const name of (await readdir(directory)).sort()) {
    contents[name] = (await readFile(join(directory, name))).toString('base64')
  }
  return contents
}
