import { readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { catchUp, DECLARED, VectorsFixture } from './vectors-fixture.js'

test('what was saved opens again and answers the same', async () => {
  await using fixture = await saved()
  await fixture.learn(100)

  const client = await fixture.start()

  expect(client.savedPosition).toBe(1200)
  expect(client.position).toBe(1200)
  expect(client.stats()).toMatchObject({ indexed: 1200, segments: 1 })
  await expectRightAnswers(fixture, client)
  expect(types(fixture)).toContain('index-loaded')
  expect(types(fixture)).not.toContain('damage-found')
})

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

  expect(client.stats()).toMatchObject({ indexed: 250, segments: 1, position: 250 })
  expect(client.diskBytes).toBeGreaterThan(250 * 4 * DECLARED.dimensions)
  expect(await fixture.filesOnDisk()).toEqual(['5.f32', '5.ids', '5.usearch', 'MANIFEST'])
  await expectRightAnswers(fixture, client)
})

test('large segments are sealed on the way, and opened as they are', async () => {
  await using fixture = await VectorsFixture.create()
  const first = await fixture.start({ sealRows: 600 })
  await fixture.learn(6000)
  await catchUp(first, fixture.head)
  await first.save(fixture.head)
  const before = first.stats()
  await expectRightAnswers(fixture, first)
  await fixture.stop(first)

  const client = await fixture.start({ sealRows: 600 })

  expect(before.segments).toBeGreaterThan(2)
  expect(client.stats()).toMatchObject({ ...before, pending: 0 })
  await expectRightAnswers(fixture, client)
  await fixture.learn(700)
  await catchUp(client, fixture.head)
  await expectRightAnswers(fixture, client)
})

test('a checkpoint moves over events without vectors without writing segments again', async () => {
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
  await fixture.learn(500)
  await client.project(250)
  await client.search(fixture.randomVector(), { k: 1, position: 500 })

  await client.save(249)
  expect(client.savedPosition).toBe(0)
  await client.save(250)
  await fixture.stop(client)
  const reopened = await fixture.start()

  expect(reopened.stats()).toMatchObject({ indexed: 250, position: 250 })
})

test.each(['1.usearch', '1.f32', '1.ids', 'MANIFEST'])(
  'a flipped bit in %s is noticed before it is used, and the index is rebuilt',
  async (name) => {
    await using fixture = await saved()
    const path = join(fixture.vectorsDirectory, name)
    const bytes = await readFile(path)
    const at = Math.floor(bytes.length / 2)
    bytes[at] = (bytes[at] ?? 0) ^ 4
    await writeFile(path, bytes)

    const client = await fixture.start()

    expect(client.savedPosition).toBe(0)
    expect(fixture.telemetry.at(-1)).toMatchObject({ type: 'damage-found', part: 'vectors' })
    expect(await fixture.filesOnDisk()).toEqual([])
    await expectRightAnswers(fixture, client)
    await catchUp(client, fixture.head)
    await expectRightAnswers(fixture, client)
  }
)

test.each(['1.usearch', '1.f32', '1.ids', 'MANIFEST'])(
  'a %s that is cut short is noticed',
  async (name) => {
    await using fixture = await saved()
    const path = join(fixture.vectorsDirectory, name)
    await truncate(path, (await readFile(path)).length - 10)

    const client = await fixture.start()

    expect(client.savedPosition).toBe(0)
    expect(types(fixture)).toContain('damage-found')
    await expectRightAnswers(fixture, client)
  }
)

test.each(['1.usearch', '1.f32', '1.ids'])('a missing %s is noticed', async (name) => {
  await using fixture = await saved()
  await rm(join(fixture.vectorsDirectory, name))

  const client = await fixture.start()

  expect(client.savedPosition).toBe(0)
  expect(types(fixture)).toContain('damage-found')
})

test('without a manifest, leftovers are deleted without a word', async () => {
  await using fixture = await saved()
  await rm(join(fixture.vectorsDirectory, 'MANIFEST'))

  const client = await fixture.start()

  expect(client.savedPosition).toBe(0)
  expect(types(fixture)).not.toContain('damage-found')
  expect(await fixture.filesOnDisk()).toEqual([])
})

test('an index of another store is refused', async () => {
  await using fixture = await saved()
  await using other = await VectorsFixture.create(2)
  other.storeId.fill(9)

  const client = await fixture.start({ storeId: other.storeId })

  expect(client.savedPosition).toBe(0)
  expect(fixture.telemetry.at(-1)).toMatchObject({
    type: 'damage-found',
    reason: expect.stringContaining('storeId')
  })
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
  expect(types(fixture)).toContain('damage-found')
})

test('read-only: damage is found, and nothing is written or deleted', async () => {
  await using fixture = await saved()
  const path = join(fixture.vectorsDirectory, '1.ids')
  await truncate(path, 8)
  await writeFile(join(fixture.vectorsDirectory, '99.f32'), 'a leftover')
  const before = await fixture.filesOnDisk()

  const client = await fixture.start({ readOnly: true, sealRows: 300 })
  await catchUp(client, fixture.head)
  await client.save(fixture.head)

  await expectRightAnswers(fixture, client)
  expect(await fixture.filesOnDisk()).toEqual(before)
})

async function saved(): Promise<VectorsFixture> {
  const fixture = await VectorsFixture.create()
  await fixture.learn(1200)
  const client = await fixture.start()
  await catchUp(client, fixture.head)
  await client.save(fixture.head)
  await fixture.stop(client)
  fixture.telemetry.length = 0
  return fixture
}

async function expectRightAnswers(
  fixture: VectorsFixture,
  client: Awaited<ReturnType<VectorsFixture['start']>>
): Promise<void> {
  const position = fixture.head
  for (let round = 0; round < 10; round++) {
    const query = fixture.randomVector()
    const expected = fixture.nearest(query, 10)
    const exact = await client.search(query, { k: 10, exact: true, position })
    const found = await client.search(query, { k: 10, ef: 256, position })
    expect([...exact.revisions]).toEqual(expected)
    expect(found.revisions.filter((one) => expected.includes(one)).length).toBeGreaterThan(7)
  }
  const last = fixture.rows.length
  const vectors = await client.vectors([1, last], position)
  expect(vectors).toEqual([fixture.rows[0]?.vector, fixture.rows[last - 1]?.vector])
}

function types(fixture: VectorsFixture): string[] {
  return fixture.telemetry.map((event) => event.type)
}
