import { expect, test } from 'vitest'
import type { VectorsDeclared } from '#sutra/log/event.js'
import {
  catchUp,
  DECLARED,
  distance,
  expectRightAnswers,
  VectorsFixture
} from './vectors-fixture.ts'

const QUERIES = 40
const METRICS = ['cosine', 'ip', 'l2sq'] as const
const QUANTIZATIONS = ['f32', 'f16', 'bf16', 'i8'] as const

test.each(
  METRICS.flatMap((metric) => QUANTIZATIONS.map((quantization) => ({ metric, quantization })))
)('the graph finds the nearest: $metric over $quantization', async (shape) => {
  await using fixture = await VectorsFixture.create()
  await fixture.learn(3000)
  const client = await fixture.start({ declaration: { ...DECLARED, ...shape }, segmentRows: 3000 })
  await catchUp(client, fixture.head)
  await client.save(fixture.head)

  const recall = await measureRecall(fixture, client, shape.metric)

  expect(client.stats()).toMatchObject({ indexed: 3000, pending: 0, scanned: 0, segments: 1 })
  expect(recall).toBeGreaterThan(0.95)
})

test('distances are exact, whatever the numbers of the graph', async () => {
  await using fixture = await VectorsFixture.create()
  await fixture.learn(2000)
  const declaration: VectorsDeclared = { ...DECLARED, quantization: 'i8' }
  const client = await fixture.start({ declaration })
  await catchUp(client, fixture.head)
  await client.save(fixture.head)
  const query = fixture.randomVector()

  const found = await client.search(query, { k: 20, position: fixture.head })

  expect(client.stats().scanned).toBe(0)
  expect(found.exhausted).toBe(false)
  expect([...found.distances]).toEqual([...found.distances].sort((a, b) => a - b))
  found.revisions.forEach((revision, at) => {
    const row = fixture.rows[revision - 1]
    expect(row?.ordinal).toBe(found.ordinals[at])
    expect(found.distances[at]).toBeCloseTo(
      distance(query, row?.vector ?? new Float32Array(), 'cosine'),
      12
    )
  })
})

test.each([{ cacheBytes: 0 }, { cacheBytes: 64 * 1024 * 1024 }])(
  'an exact search equals brute force over graphs, files and memory: %o',
  async (options) => {
    await using fixture = await VectorsFixture.create()
    const client = await fixture.start({ segmentRows: 1100, ...options })
    await fixture.learn(2700)
    await catchUp(client, fixture.head)
    await client.save(fixture.head)
    await fixture.learn(300)
    const query = fixture.randomVector()

    const found = await client.search(query, { k: 50, exact: true, position: fixture.head })

    expect([...found.revisions]).toEqual(fixture.nearest(query, 50))
    expect(client.stats()).toMatchObject({ indexed: 2200, pending: 800, scanned: 800, segments: 3 })
    await expectRightAnswers(fixture, client)
  }
)

test('a vector is found the moment its event is in the log, long before it is in a graph', async () => {
  await using fixture = await VectorsFixture.create()
  await fixture.learn(2000)
  const client = await fixture.start()
  await catchUp(client, fixture.head)
  await client.save(fixture.head)
  const fresh = fixture.randomVector()
  await fixture.append([fixture.learned(fresh)])

  const found = await client.search(fresh, { k: 1, position: fixture.head })

  expect(found.revisions[0]).toBe(2001)
  expect(found.distances[0]).toBeCloseTo(0, 12)
  expect(client.position).toBe(2000)
  expect(client.stats()).toMatchObject({ indexed: 2000, pending: 1, scanned: 1 })
})

test('a vector that the writer told of is found without reading the log', async () => {
  await using fixture = await VectorsFixture.create()
  await fixture.learn(100)
  const client = await fixture.start()
  // What was there before is read from the log; from then on nothing is.
  await client.search(fixture.randomVector(), { k: 1, position: fixture.head })
  fixture.tell(client)
  const fresh = fixture.randomVector()

  await fixture.append([fixture.learned(fresh), fixture.forgotten(3)])
  const found = await client.search(fresh, { k: 1, position: fixture.head })
  await fixture.learn(3000)

  expect(found.revisions[0]).toBe(101)
  expect(client.stats().pending).toBe(3101)
  await expectRightAnswers(fixture, client)
  await catchUp(client, fixture.head)
  await expectRightAnswers(fixture, client)
})

test('a client that missed a commit reads it from the log', async () => {
  await using fixture = await VectorsFixture.create()
  const client = await fixture.start()
  fixture.tell(client)
  await fixture.learn(10, { perFrame: 1 })
  fixture.untell(client)
  await fixture.learn(5, { perFrame: 2 })
  fixture.tell(client)
  await fixture.learn(10, { perFrame: 3 })

  const all = await client.search(fixture.randomVector(), { k: 100, position: fixture.head })
  await fixture.learn(10, { perFrame: 3 })

  expect(all.revisions).toHaveLength(25)
  expect(client.stats().pending).toBe(35)
  await expectRightAnswers(fixture, client)
})

test('a pin goes on reading what was there, while rows, graphs and files come and go', async () => {
  await using fixture = await VectorsFixture.create()
  const client = await fixture.start({ segmentRows: 700, cacheBytes: 0 })
  fixture.tell(client)
  await fixture.learn(900)
  const position = fixture.head
  const pin = client.pin()
  const query = fixture.randomVector()
  const before = fixture.nearest(query, 900)

  await fixture.learn(2000)
  await catchUp(client, fixture.head)
  await client.save(fixture.head)
  const { revisions } = await client.search(query, { k: 3000, exact: true, position, pin })
  client.unpin(pin)

  // Later ones may be among them: the view's own rows tell which count.
  expect([...revisions].filter((revision) => revision <= 900)).toEqual(before)
  await expectRightAnswers(fixture, client)
})

test('equal vectors come in the order of their revisions', async () => {
  await using fixture = await VectorsFixture.create()
  await fixture.learn(500)
  const twin = fixture.randomVector()
  await fixture.append([fixture.learned(twin), fixture.learned(twin), fixture.learned(twin)])
  const client = await fixture.start()
  await client.project(500)

  const found = await client.search(twin, { k: 3, position: fixture.head })

  expect([...found.revisions]).toEqual([501, 502, 503])
  expect(new Set(found.distances).size).toBe(1)
})

test('a search says when there is nothing more to get', async () => {
  await using fixture = await VectorsFixture.create()
  await fixture.learn(1300)
  const client = await fixture.start()
  await catchUp(client, fixture.head)
  await client.save(fixture.head)
  const query = fixture.randomVector()
  const position = fixture.head

  const few = await client.search(query, { k: 10, position })
  const some = await client.search(query, { k: 1299, position })
  const all = await client.search(query, { k: 1e10, position })

  expect(few.exhausted).toBe(false)
  expect(some.exhausted).toBe(false)
  expect(all.exhausted).toBe(true)
  expect([...all.revisions]).toEqual(fixture.nearest(query, 1300))
})

test('an empty index answers', async () => {
  await using fixture = await VectorsFixture.create()
  const client = await fixture.start()

  const found = await client.search(fixture.randomVector(), { k: 10, position: 0 })

  expect(found).toMatchObject({ exhausted: true, revisions: new Uint32Array(0) })
})

test('among compares with the given pairs alone', async () => {
  await using fixture = await VectorsFixture.create()
  const client = await fixture.start({ segmentRows: 500 })
  await fixture.learn(900)
  await catchUp(client, fixture.head)
  await fixture.learn(200)
  const query = fixture.randomVector()
  // Every third, one that does not exist, and one whose ordinal belongs to another vector.
  const third = fixture.rows.filter(({ revision }) => revision % 3 === 0)
  const revisions = Uint32Array.from([...third.map((row) => row.revision), 5000, 1])
  const ordinals = Uint32Array.from([...third.map((row) => row.ordinal), 4999, 77])

  const found = await client.among(query, { ordinals, revisions, k: 10, position: fixture.head })
  const all = await client.among(query, { ordinals, revisions, k: 1000, position: fixture.head })

  const expected = fixture.nearest(query, 1100).filter((revision) => revision % 3 === 0)
  expect([...found.revisions]).toEqual(expected.slice(0, 10))
  expect(found.exhausted).toBe(false)
  expect([...all.revisions]).toEqual(expected)
  expect(all.exhausted).toBe(true)
  expect(revisions).toHaveLength(third.length + 2)
})

test('vectors come back bit for bit', async () => {
  await using fixture = await VectorsFixture.create()
  const client = await fixture.start({ segmentRows: 500 })
  await fixture.learn(600)
  const odd = fixture.randomVector()
  odd.set([-0, 1e-45, -3.4e38, 1 / 3])
  await fixture.append([fixture.learned(odd)])
  await catchUp(client, fixture.head)
  await fixture.learn(10)

  const found = await client.vectors([1, 601, 611, 612, 2], { position: fixture.head })

  const expected = [1, 601, 611, 612, 2].map((revision) => fixture.rows[revision - 1]?.vector)
  expect(found.map(bits)).toEqual(expected.map(bits))
  expect(found[3]).toBeUndefined()
})

test('vectors of another space and events without vectors are passed over', async () => {
  await using fixture = await VectorsFixture.create()
  const own = fixture.learned(fixture.randomVector())
  const other = fixture.learned(fixture.randomVector())
  if (other.fields.vector) other.fields.vector.space = 'images'
  await fixture.append([own, other, fixture.forgotten(0)])
  const client = await fixture.start()

  const batch = await client.project(fixture.head)

  expect(batch).toMatchObject({ from: 1, to: 3, events: 3 })
  expect(client.stats()).toMatchObject({ pending: 1, scanned: 1, position: 3 })
})

test('vectors of any finite size keep the graph usable', async () => {
  await using fixture = await VectorsFixture.create()
  await fixture.learn(1500)
  for (const { vector } of fixture.rows.slice(0, 20)) vector.fill(3e38)
  const huge = fixture.rows.slice(0, 20).map(({ vector }) => fixture.learned(vector.slice()))
  await fixture.append(huge)
  for (const metric of METRICS) {
    const client = await fixture.start({
      declaration: { ...DECLARED, metric },
      isTrusted: false
    })
    await catchUp(client, fixture.head)
    await client.save(fixture.head)

    const query = fixture.rows[700]?.vector ?? new Float32Array()
    const found = await client.search(query, { k: 5, position: fixture.head })

    expect(found.revisions).toHaveLength(5)
    expect(found.distances.some(Number.isNaN)).toBe(false)
    if (metric === 'l2sq') expect(found.revisions[0]).toBe(701)
    await fixture.stop(client)
  }
})

function bits(vector: Float32Array | undefined): Uint32Array | undefined {
  return vector && new Uint32Array(vector.slice().buffer)
}

async function measureRecall(
  fixture: VectorsFixture,
  client: Awaited<ReturnType<VectorsFixture['start']>>,
  metric: VectorsDeclared['metric']
): Promise<number> {
  let hits = 0
  for (let at = 0; at < QUERIES; at++) {
    const query = fixture.randomVector()
    const { revisions } = await client.search(query, { k: 10, ef: 128, position: fixture.head })
    const expected = new Set(fixture.nearest(query, 10, metric))
    hits += revisions.filter((revision) => expected.has(revision)).length
  }
  return hits / (10 * QUERIES)
}
