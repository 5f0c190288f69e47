import { appendFile, copyFile, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { VectorsClient } from '#sutra/projections/vectors/client.js'
import { catchUp, DECLARED, expectRightAnswers, until, VectorsFixture } from './vectors-fixture.ts'

const CACHES = [{ cacheBytes: 0 }, { cacheBytes: 64 * 1024 * 1024 }]

test.each(CACHES)('what was saved opens again and answers the same: %o', async (options) => {
  await using fixture = await saved()

  const client = await fixture.start(options)

  expect(client.savedPosition).toBe(1200)
  expect(client.position).toBe(1200)
  await expectRightAnswers(fixture, client)
  expect(client.stats()).toMatchObject({ indexed: 1200, pending: 0, scanned: 0, segments: 1 })
  expect(fixture.types()).toContain('index-loaded')
  expect(fixture.types()).not.toContain('damage-found')
})

test.each(CACHES)(
  'rows come behind those of the files, in memory and on disk: %o',
  async (options) => {
    await using fixture = await saved()
    const client = await fixture.start(options)
    fixture.tell(client)
    await fixture.learn(100)
    await expectRightAnswers(fixture, client)
    await fixture.learn(30)
    await client.save(fixture.head)
    await fixture.learn(7)
    await expectRightAnswers(fixture, client)
    await client.save(fixture.head)
    await fixture.stop(client)

    const again = await fixture.start(options)

    await expectRightAnswers(fixture, again)
    expect(again.stats()).toMatchObject({ indexed: 1200, pending: 137, position: 1337 })
    expect(fixture.types()).not.toContain('damage-found')
    expect(await again.check()).toEqual({ bytes: again.diskBytes, problems: [] })
  }
)

test('many small saves keep one small segment and leave no files behind', async () => {
  await using fixture = await VectorsFixture.create()
  for (let round = 0; round < 5; round++) {
    const client = await fixture.start()
    await fixture.learn(50)
    await catchUp(client, fixture.head)
    await client.save(fixture.head)
    await fixture.stop(client)
  }

  const client = await fixture.start()

  expect(client.stats()).toMatchObject({ pending: 250, scanned: 250, segments: 1, position: 250 })
  expect(client.diskBytes).toBe(250 * (4 * DECLARED.dimensions + 12))
  expect(await fixture.filesOnDisk()).toEqual(['1.f32', '1.ids', 'MANIFEST'])
  await expectRightAnswers(fixture, client)
})

test('a graph that has grown takes the place of the one before', async () => {
  await using fixture = await VectorsFixture.create()
  const client = await fixture.start()
  const graphs = new Set<string>()
  for (let round = 0; round < 3; round++) {
    await fixture.learn(1100)
    await catchUp(client, fixture.head)
    await client.save(fixture.head)
    const names = await fixture.filesOnDisk()
    graphs.add(names.filter((name) => name.endsWith('.usearch')).at(-1) ?? '')
  }
  await expectRightAnswers(fixture, client)
  await fixture.stop(client)

  // One that a thread was still reading when its successor came goes at the next open.
  const again = await fixture.start()

  expect(graphs.size).toBe(3)
  expect(await fixture.filesOnDisk()).toHaveLength(4)
  await expectRightAnswers(fixture, again)
})

test('full segments are written once, and opened as they are', async () => {
  await using fixture = await VectorsFixture.create()
  const first = await fixture.start({ segmentRows: 1100 })
  await fixture.learn(5700)
  await catchUp(first, fixture.head)
  await first.save(fixture.head)
  const before = first.stats()
  await expectRightAnswers(fixture, first)
  await fixture.stop(first)

  const client = await fixture.start({ segmentRows: 1100 })
  const files = await fixture.filesOnDisk()

  expect(before).toMatchObject({ segments: 6, indexed: 5500, pending: 200 })
  await expectRightAnswers(fixture, client)
  expect(client.stats()).toMatchObject({ segments: 6, indexed: 5500, pending: 200, scanned: 200 })
  await fixture.learn(1000)
  await catchUp(client, fixture.head)
  await client.save(fixture.head)
  expect(await fixture.filesOnDisk()).toEqual(expect.arrayContaining(files))
  expect(client.stats()).toMatchObject({ segments: 7, indexed: 6600, pending: 100 })
  await expectRightAnswers(fixture, client)
})

test('the background writes graphs without being asked to', async () => {
  await using fixture = await VectorsFixture.create()
  const client = await fixture.start()
  await fixture.learn(1500)

  await catchUp(client, fixture.head)
  await until(() => client.stats().scanned === 0 && client.savedPosition === 1500)

  expect((await fixture.filesOnDisk()).some((name) => name.endsWith('.usearch'))).toBe(true)
  expect(fixture.types()).toContain('index-built')
  expect(fixture.types()).toContain('index-saved')
  await expectRightAnswers(fixture, client)
})

test('saving while the background saves harms neither', async () => {
  await using fixture = await VectorsFixture.create()
  const client = await fixture.start({ segmentRows: 1050, cacheBytes: 0 })
  fixture.tell(client)
  for (let round = 0; round < 8; round++) {
    await fixture.learn(1030)
    const following = catchUp(client, fixture.head)
    await Promise.all([client.save(fixture.head), following, client.save(fixture.head)])
  }
  await client.save(fixture.head)

  expect(client.savedPosition).toBe(fixture.head)
  expect(fixture.types()).not.toContain('damage-found')
  await expectRightAnswers(fixture, client)
  await fixture.stop(client)
  const again = await fixture.start({ segmentRows: 1050, cacheBytes: 0 })
  expect((await again.check()).problems).toEqual([])
  await expectRightAnswers(fixture, again)
})

test('checking while graphs take the place of others finds no damage', async () => {
  await using fixture = await VectorsFixture.create()
  const client = await fixture.start()
  fixture.tell(client)
  const problems: string[] = []
  for (let round = 0; round < 6; round++) {
    await fixture.learn(1050)
    await catchUp(client, fixture.head)
    const [checked] = await Promise.all([client.check(), client.save(fixture.head)])
    problems.push(...checked.problems, ...(await client.check()).problems)
  }

  expect(problems).toEqual([])
})

test('a checkpoint moves over events without vectors without writing anything else', async () => {
  await using fixture = await saved()
  const client = await fixture.start()
  const before = await fixture.filesOnDisk()
  await fixture.append([fixture.forgotten(1)])
  await catchUp(client, fixture.head)

  await client.save(fixture.head)

  expect(client.savedPosition).toBe(1201)
  expect(await fixture.filesOnDisk()).toEqual(before)
})

test('nothing beyond the durable head is saved', async () => {
  await using fixture = await VectorsFixture.create()
  const client = await fixture.start()
  await fixture.learn(3000)
  await catchUp(client, 1250)
  await client.search(fixture.randomVector(), { k: 1, position: 3000 })

  expect(client.savedPosition).toBeLessThanOrEqual(1250)
  await client.save(1250)
  await client.save(1000)
  expect(client.savedPosition).toBe(1250)
  await fixture.stop(client)
  const reopened = await fixture.start()

  expect(reopened.stats()).toMatchObject({ savedPosition: 1250, position: 1250 })
  expect(reopened.stats().indexed + reopened.stats().pending).toBe(1250)
  await expectRightAnswers(fixture, reopened)
})

test.each(['MANIFEST', '.ids'])(
  'a flipped bit in %s is noticed before it is used, and the index is made anew',
  async (end) => {
    await using fixture = await saved()
    await flip(await fileOf(fixture, end))

    const client = await fixture.start()

    expect(client.savedPosition).toBe(0)
    expect(damages(fixture)).toHaveLength(1)
    expect(await fixture.filesOnDisk()).toEqual([])
    await expectRightAnswers(fixture, client)
    await expectHealed(fixture, client)
  }
)

test.each(['MANIFEST', '.ids', '.f32'])('a %s that is cut short is noticed', async (end) => {
  await using fixture = await saved()
  await cut(await fileOf(fixture, end))

  const client = await fixture.start()

  expect(client.savedPosition).toBe(0)
  expect(damages(fixture)).toHaveLength(1)
  await expectRightAnswers(fixture, client)
})

test.each(['.ids', '.f32'])('a missing %s is noticed', async (end) => {
  await using fixture = await saved()
  await rm(await fileOf(fixture, end))

  const client = await fixture.start()

  expect(client.savedPosition).toBe(0)
  expect(damages(fixture)).toHaveLength(1)
  await expectRightAnswers(fixture, client)
})

test.each([
  ['flipped in its head', async (path: string) => flip(path, 3)],
  ['flipped in its middle', async (path: string) => flip(path)],
  ['flipped in its last byte', async (path: string) => flip(path, -1)],
  ['cut short', cut],
  ['empty', async (path: string) => truncate(path, 0)],
  ['missing', async (path: string) => rm(path)]
] as [string, (path: string) => Promise<void>][])(
  'a graph that is %s is never mapped: rows are compared until there is another one',
  async (_, damage) => {
    await using fixture = await saved()
    await damage(await fileOf(fixture, '.usearch'))

    const client = await fixture.start()
    await expectRightAnswers(fixture, client)

    expect(client.savedPosition).toBe(1200)
    expect(damages(fixture)).toHaveLength(1)
    await expectHealed(fixture, client)
  }
)

test('exact vectors that are flipped are never compared with', async () => {
  await using fixture = await saved()
  await flip(await fileOf(fixture, '.f32'))
  const client = await fixture.start()
  const query = fixture.randomVector()
  const position = fixture.head

  const search = client.search(query, { k: 10, exact: true, position })
  const vectors = client.vectors(
    fixture.rows.map(({ revision }) => revision),
    { position }
  )

  await expect(search).rejects.toMatchObject({ name: 'IndexDamage' })
  await expect(vectors).rejects.toMatchObject({ name: 'IndexDamage' })
  expect(damages(fixture)).toHaveLength(1)
  await fixture.stop(client)
  const anew = await fixture.start({ isTrusted: false })
  await expectRightAnswers(fixture, anew)
  await expectHealed(fixture, anew)
})

test('a row that is flipped is met when it is read, and by nobody before', async () => {
  await using fixture = await saved()
  // Rows are read ahead up to 128 KiB: the last one alone is far enough from the first.
  await flip(await fileOf(fixture, '.f32'), -1)
  const client = await fixture.start({ cacheBytes: 0 })

  const first = await client.vectors([1], { position: fixture.head })
  const last = client.vectors([1200], { position: fixture.head })

  expect(first).toEqual([fixture.rows[0]?.vector])
  await expect(last).rejects.toMatchObject({ name: 'IndexDamage' })
  expect((await client.check()).problems).toHaveLength(1)
})

test('what lies behind the sealed bytes means nothing', async () => {
  await using fixture = await saved()
  const path = await fileOf(fixture, '.f32')
  await appendFile(path, Buffer.alloc(1000, 3))
  await appendFile(path.replace('.f32', '.ids'), Buffer.alloc(100, 3))
  const client = await fixture.start()
  await fixture.learn(200)
  await catchUp(client, fixture.head)
  await client.save(fixture.head)
  await expectRightAnswers(fixture, client)
  await fixture.stop(client)

  const again = await fixture.start()

  await expectRightAnswers(fixture, again)
  expect(again.savedPosition).toBe(1400)
  expect(damages(fixture)).toEqual([])
})

test('the files of a save that was cut off mean nothing, whatever was written of them', async () => {
  await using fixture = await saved()
  const manifest = join(fixture.vectorsDirectory, 'MANIFEST')
  const copy = join(fixture.directory, 'MANIFEST.old')
  await copyFile(manifest, copy)
  const client = await fixture.start()
  await fixture.learn(2000)
  await catchUp(client, fixture.head)
  const graph = await readFile(await fileOf(fixture, '.usearch'))
  const name = await fileOf(fixture, '.usearch')
  await client.save(fixture.head)
  await fixture.stop(client)
  // The process died before the manifest was published: the older graph is still there.
  await copyFile(copy, manifest)
  await writeFile(name, graph)

  const again = await fixture.start()

  expect(again.savedPosition).toBe(1200)
  expect(await fixture.filesOnDisk()).toHaveLength(4)
  await expectRightAnswers(fixture, again)
  expect(damages(fixture)).toEqual([])
})

test('without a manifest, leftovers are deleted without a word', async () => {
  await using fixture = await saved()
  await rm(join(fixture.vectorsDirectory, 'MANIFEST'))

  const client = await fixture.start()

  expect(client.savedPosition).toBe(0)
  expect(damages(fixture)).toEqual([])
  expect(await fixture.filesOnDisk()).toEqual([])
  await expectRightAnswers(fixture, client)
})

test('an index of another store is refused', async () => {
  await using fixture = await saved()
  const storeId = Buffer.alloc(16, 9)

  const client = await fixture.start({ storeId })

  expect(client.savedPosition).toBe(0)
  expect(fixture.telemetry.at(-1)).toMatchObject({
    type: 'damage-found',
    reason: expect.stringContaining('storeId')
  })
})

test('a graph of another store is refused', async () => {
  await using fixture = await saved()
  await using other = await saved(2)
  await copyFile(await fileOf(other, '.usearch'), await fileOf(fixture, '.usearch'))

  const client = await fixture.start()

  await expectRightAnswers(fixture, client)
  expect(damages(fixture)).toHaveLength(1)
  await expectHealed(fixture, client)
})

test.each([
  { dimensions: 25 },
  { metric: 'l2sq' as const },
  { quantization: 'bf16' as const },
  { connectivity: 8 }
])('an index made for other vectors is refused: %o', async (change) => {
  await using fixture = await saved()

  const client = await fixture.start({ declaration: { ...DECLARED, ...change } })

  expect(client.savedPosition).toBe(0)
  expect(damages(fixture)).toHaveLength(1)
})

test.each(['MANIFEST', '.ids', '.usearch'])(
  'read-only: damage of %s is found, and nothing is written or deleted',
  async (end) => {
    await using fixture = await saved()
    await cut(await fileOf(fixture, end))
    await writeFile(join(fixture.vectorsDirectory, '99.f32'), 'a leftover')
    const before = await contents(fixture)

    const client = await fixture.start({ readOnly: true, segmentRows: 300 })
    await expectRightAnswers(fixture, client)
    await catchUp(client, fixture.head)
    await client.save(fixture.head)
    await expectRightAnswers(fixture, client)
    await fixture.stop(client)

    expect(await contents(fixture)).toEqual(before)
    expect(damages(fixture)).toHaveLength(1)
  }
)

async function saved(seed = 1): Promise<VectorsFixture> {
  const fixture = await VectorsFixture.create(seed)
  await fixture.learn(1200)
  const client = await fixture.start()
  await catchUp(client, fixture.head)
  await client.save(fixture.head)
  await fixture.stop(client)
  fixture.telemetry.length = 0
  return fixture
}

/** The index catches up, with a graph, and the next one to open it finds no damage. */
async function expectHealed(fixture: VectorsFixture, client: VectorsClient): Promise<void> {
  await catchUp(client, fixture.head)
  await until(() => client.stats().scanned === 0)
  await client.save(fixture.head)
  await fixture.stop(client)
  fixture.telemetry.length = 0
  const again = await fixture.start()
  await expectRightAnswers(fixture, again)
  expect(damages(fixture)).toEqual([])
  expect(again.stats()).toMatchObject({ indexed: 1200, scanned: 0, savedPosition: fixture.head })
  expect((await again.check()).problems).toEqual([])
}

async function fileOf(fixture: VectorsFixture, end: string): Promise<string> {
  const name = (await fixture.filesOnDisk()).find((one) => one.endsWith(end))
  if (name === undefined) throw new Error(`There is no file that ends with ${end}`)
  return join(fixture.vectorsDirectory, name)
}

/** @param place From the end if negative; by default, in the middle. */
async function flip(path: string, place?: number): Promise<void> {
  const bytes = await readFile(path)
  const at = place === undefined ? bytes.length >> 1 : (place + bytes.length) % bytes.length
  bytes[at] = (bytes[at] ?? 0) ^ 4
  await writeFile(path, bytes)
}

async function cut(path: string): Promise<void> {
  await truncate(path, (await readFile(path)).length - 10)
}

async function contents(fixture: VectorsFixture): Promise<[string, string][]> {
  const names = await fixture.filesOnDisk()
  return Promise.all(
    names.map(async (name): Promise<[string, string]> => {
      return [name, (await readFile(join(fixture.vectorsDirectory, name))).toString('base64')]
    })
  )
}

function damages(fixture: VectorsFixture): unknown[] {
  return fixture.telemetry.filter(({ type }) => type === 'damage-found')
}
