import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { VectorPool } from '#sutra/projections/vectors/pool.js'
import { GraphFactory } from '#sutra/projections/vectors/vector-index.js'
import { ALWAYS, dyingPool, watchWorkers } from '../vectors/dying-pool.ts'
import { catchUp, DECLARED, expectRightAnswers, until, VectorsFixture } from './vectors-fixture.ts'

const WIDE = { ...DECLARED, dimensions: 256, quantization: 'f32' as const }

test('a batch is bounded, and ends where a frame ends', async () => {
  await using fixture = await VectorsFixture.create()
  await fixture.learn(5000, { perFrame: 300 })
  const client = await fixture.start()

  const batch = await client.project(fixture.head)
  const next = await client.project(fixture.head)

  expect(batch).toMatchObject({ from: 1, to: 1800, events: 1800 })
  expect(next.from).toBe(1801)
  expect(next.to % 300 === 0 || next.to === 5000).toBe(true)
  expect(client.stats().indexed).toBeGreaterThanOrEqual(next.to - 1024)
})

test('rows that searches brought in earlier are projected by position all the same', async () => {
  await using fixture = await VectorsFixture.create()
  await fixture.learn(3000)
  const client = await fixture.start()
  await client.search(fixture.randomVector(), { k: 1, position: 3000 })

  await catchUp(client, 1500)

  expect(client.stats()).toMatchObject({ indexed: 1500, pending: 1500, position: 1500 })
})

test('a search is answered while a batch is being built', async () => {
  await using fixture = await VectorsFixture.create()
  await fixture.learn(3000, { dimensions: WIDE.dimensions })
  const client = await fixture.start({ declaration: WIDE })
  const order: string[] = []

  const building = client.project(fixture.head).then(() => order.push('built'))
  await client.search(fixture.randomVector(WIDE.dimensions), { k: 10, position: 250 })
  order.push('found')
  await building

  expect(order).toEqual(['found', 'built'])
})

test('closing during a build takes less than a second and loses nothing that was saved', async () => {
  await using fixture = await VectorsFixture.create()
  await fixture.learn(6000, { dimensions: WIDE.dimensions, perFrame: 500 })
  const client = await fixture.start({ declaration: WIDE })
  await catchUp(client, 2000)
  await client.save(2000)
  const building = catchUp(client, fixture.head)
  const outcome = expect(building).rejects.toMatchObject({ code: 'STORE_CLOSED' })
  await client.search(fixture.randomVector(WIDE.dimensions), { k: 1, position: fixture.head })

  const started = performance.now()
  await fixture.stop(client)

  expect(performance.now() - started).toBeLessThan(1000)
  await outcome
  await expect(client.project(1)).rejects.toMatchObject({ code: 'STORE_CLOSED' })
  const reopened = await fixture.start({ declaration: WIDE })
  expect(reopened.savedPosition).toBeGreaterThanOrEqual(2000)
  await reopened.search(fixture.randomVector(WIDE.dimensions), { k: 1, position: 1 })
  expect(reopened.stats().indexed).toBeGreaterThanOrEqual(2000)
})

test('what was not in a graph when an index was closed is built without a new vector', async () => {
  await using fixture = await VectorsFixture.create()
  await fixture.learn(3000)
  const client = await fixture.start()
  await client.search(fixture.randomVector(), { k: 1, position: fixture.head })
  await client.save(fixture.head)
  await fixture.stop(client)

  const reopened = await fixture.start()

  expect(reopened.stats()).toMatchObject({ pending: 3000, savedPosition: 3000 })
  await until(() => reopened.stats().scanned <= 1024)
  await expectRightAnswers(fixture, reopened)
})

test('closing twice is closing', async () => {
  await using fixture = await VectorsFixture.create()
  const client = await fixture.start()

  await Promise.all([client.close(), client.close()])

  await client.close()
  await expect(client.search(fixture.randomVector(), { k: 1, position: 0 })).rejects.toMatchObject({
    code: 'STORE_CLOSED'
  })
})

test('an aborted search rejects at once, and the workers go on', async () => {
  await using fixture = await VectorsFixture.create()
  await fixture.learn(2000)
  const client = await fixture.start()
  const abort = new AbortController()
  const { signal } = abort
  const query = fixture.randomVector()

  const search = client.search(query, { k: 1, exact: true, position: fixture.head, signal })
  abort.abort()

  await expect(search).rejects.toMatchObject({ code: 'ABORTED', details: { operation: 'search' } })
  await expect(client.search(query, { k: 1, position: 1, signal })).rejects.toMatchObject({
    code: 'ABORTED'
  })
  const found = await client.search(query, { k: 1, position: fixture.head })
  expect([...found.revisions]).toEqual(fixture.nearest(query, 1))
})

test('a hole in the log is an error, not a shorter answer', async () => {
  await using fixture = await VectorsFixture.create()
  await fixture.learn(10)
  // The log is said to be longer than it is.
  const client = await fixture.start({ head: () => 11 })
  const query = fixture.randomVector()

  const search = client.search(query, { k: 1, position: 11 })
  await expect(search).rejects.toMatchObject({ code: 'LOG_DAMAGED', details: { from: 11, to: 11 } })
  await expect(client.project(11)).rejects.toMatchObject({ code: 'LOG_DAMAGED' })
})

test('a vector of other dimensions stops the projection and is never indexed', async () => {
  await using fixture = await VectorsFixture.create()
  await fixture.append([fixture.learned(fixture.randomVector(8))])
  const client = await fixture.start()

  await expect(client.project(1)).rejects.toThrow('Invariant broken')

  expect(client.stats()).toMatchObject({ indexed: 0, pending: 0, position: 0 })
})

test('a vector of other dimensions that a writer tells of fails no commit', async () => {
  await using fixture = await VectorsFixture.create()
  const client = await fixture.start()
  fixture.tell(client)
  await fixture.learn(3)

  await fixture.append([fixture.learned(fixture.randomVector(8))])
  await fixture.learn(1)

  await expect(client.project(5)).rejects.toThrow('Invariant broken')
  // Those that were acknowledged behind it wait in the log, and count.
  expect(client.stats()).toMatchObject({ indexed: 0, pending: 4 })
})

test('a builder that is ended is replaced, and goes on from what was saved', async () => {
  await using fixture = await VectorsFixture.create()
  const dimensions = WIDE.dimensions
  await fixture.learn(5000, { dimensions })
  const workers = watchWorkers()
  const pool = new VectorPool()
  const client = await fixture.start({ declaration: WIDE, pool })
  // A reader answers the greeting; the builder comes with the first row.
  await client.search(fixture.randomVector(dimensions), { k: 1, position: fixture.head })
  const builder = workers.find((_, at) => at > 0)
  const started = client.stats().workerRestarts
  const building = catchUp(client, fixture.head)
  await setTimeout(100)
  expect(client.stats().indexed).toBeLessThan(5000)

  await Promise.all(workers.filter((one) => one === builder).map((one) => one.terminate()))

  await building
  await client.save(fixture.head)
  await until(() => client.stats().scanned <= 512)
  expect(client.stats().workerRestarts).toBe(started + 1)
  const query = fixture.randomVector(dimensions)
  const { revisions } = await client.search(query, { k: 10, ef: 1000, position: fixture.head })
  const expected = fixture.nearest(query, 10)
  expect(revisions.filter((one) => expected.includes(one)).length).toBeGreaterThan(7)
})

test('readers that are ended while they search are replaced, and nobody hears of it', async () => {
  await using fixture = await VectorsFixture.create()
  await fixture.learn(3000)
  const workers = watchWorkers()
  const client = await fixture.start({ pool: new VectorPool() })
  await catchUp(client, fixture.head)
  await client.save(fixture.head)
  const before = client.stats().workerRestarts

  for (let round = 0; round < 3; round++) {
    const queries = Array.from({ length: 20 }, () => fixture.randomVector())
    const position = fixture.head
    const answers = queries.map(async (query) => {
      const { revisions } = await client.search(query, { k: 5, exact: true, position })
      expect([...revisions]).toEqual(fixture.nearest(query, 5))
    })
    await Promise.resolve()
    const [victim] = workers.splice(0, 1)
    await victim?.terminate()
    await Promise.all(answers)
  }

  expect(client.stats().workerRestarts).toBeGreaterThanOrEqual(before + 3)
  await expectRightAnswers(fixture, client)
})

const KINDS = [
  ...(['search', 'among', 'vectors', 'ingest', 'flush', 'seal'] as const),
  ...(['build', 'save-graph', 'check'] as const)
]

test.each(KINDS)('a worker that dies once over %s is asked again, unnoticed', async (kind) => {
  await using fixture = await VectorsFixture.create()
  await fixture.learn(1500)
  const { pool, die } = dyingPool(fixture.directory, kind, 1)
  const client = await fixture.start({ pool })
  await catchUp(client, fixture.head)
  await client.save(fixture.head)
  await expectRightAnswers(fixture, client)
  const ordinals = Uint32Array.from([3])
  const revisions = Uint32Array.from([4])
  await client.among(fixture.randomVector(), { ordinals, revisions, k: 1, position: 1500 })
  expect((await client.check()).problems).toEqual([])

  await until(() => client.stats().scanned === 0)

  expect(client.stats().workerRestarts).toBe(1)
  expect(fixture.types()).not.toContain('damage-found')
  die(0)
  await expectRightAnswers(fixture, client)
})

test.each(['search', 'among', 'vectors', 'ingest', 'build', 'seal'] as const)(
  'workers that always die over %s fail that request alone',
  async (kind) => {
    await using fixture = await VectorsFixture.create()
    await fixture.learn(1500)
    const { pool, die } = dyingPool(fixture.directory, kind, ALWAYS)
    const client = await fixture.start({ pool })
    const position = fixture.head
    const query = fixture.randomVector()
    const pair = { ordinals: Uint32Array.from([3]), revisions: Uint32Array.from([4]) }
    const requests = {
      search: async () => client.search(query, { k: 1, position }),
      among: async () => client.among(query, { ...pair, k: 1, position }),
      vectors: async () => client.vectors([4], { position }),
      ingest: async () => client.search(query, { k: 1, position }),
      build: async () => catchUp(client, position),
      seal: async () => client.save(position)
    }
    if (kind === 'seal') await client.search(query, { k: 1, position })

    await expect(requests[kind]()).rejects.toMatchObject({ code: 'VECTORS_UNAVAILABLE' })

    expect(client.stats().workerRestarts).toBe(2)
    die(0)
    await expectRightAnswers(fixture, client)
  }
)

test('where no worker lives, an index does not open, and says why', async () => {
  await using fixture = await VectorsFixture.create()
  const { pool } = dyingPool(fixture.directory, 'hello', ALWAYS)

  await expect(fixture.start({ pool })).rejects.toMatchObject({ code: 'VECTORS_UNAVAILABLE' })
})

test('a system without usearch is told so, by code', async () => {
  const load = async (): Promise<never> => {
    throw new Error('No native build was found')
  }

  await expect(GraphFactory.load(DECLARED, load)).rejects.toMatchObject({
    code: 'VECTORS_UNAVAILABLE',
    details: { reason: 'No native build was found' }
  })
})

test('stores share the threads of the process, and each closes by itself', async () => {
  await using fixture = await VectorsFixture.create()
  await using other = await VectorsFixture.create(2)
  const workers = watchWorkers()
  await fixture.learn(1400)
  await other.learn(1600)

  const [one, two] = await Promise.all([fixture.start(), other.start()])
  await Promise.all([catchUp(one, 1400), catchUp(two, 1600)])
  await Promise.all([expectRightAnswers(fixture, one), expectRightAnswers(other, two)])
  const started = workers.length
  await fixture.stop(one)

  expect(started).toBeLessThanOrEqual(one.stats().readers + 1)
  expect(one.stats().indexed).toBe(1400)
  expect(two.stats().indexed).toBe(1600)
  await expectRightAnswers(other, two)
  expect(workers).toHaveLength(started)
})

test('writers of vectors wait while too many of them are in no graph', async () => {
  await using fixture = await VectorsFixture.create()
  const declaration = { ...DECLARED, dimensions: 4096, connectivity: 4, expansionAdd: 8 }
  const client = await fixture.start({ declaration })
  fixture.tell(client)
  const { pendingMax } = client.stats()
  await fixture.learn(pendingMax - 1, { dimensions: 4096, perFrame: 64 })
  expect(client.room.enter(1)).toBeUndefined()
  const abort = new AbortController()

  const room = client.room.enter(1)
  const aborted = client.room.enter(1, abort.signal)
  abort.abort()

  await expect(aborted).rejects.toMatchObject({ code: 'ABORTED' })
  expect(room).toBeInstanceOf(Promise)
  expect(await Promise.race([room, setTimeout(50, 'waiting')])).toBe('waiting')
  void catchUp(client, fixture.head).catch(() => undefined)
  await room
  expect(client.stats().pending).toBeLessThan(pendingMax)
  expect(client.room.enter(1)).toBeUndefined()
})

test('writers that wait go on when the index is closed: the store decides about them', async () => {
  await using fixture = await VectorsFixture.create()
  const declaration = { ...DECLARED, dimensions: 4096, connectivity: 4, expansionAdd: 8 }
  const client = await fixture.start({ declaration })
  fixture.tell(client)
  await fixture.learn(client.stats().pendingMax + 1, { dimensions: 4096, perFrame: 64 })

  const room = client.room.enter(1)
  expect(room).toBeInstanceOf(Promise)
  await fixture.stop(client)

  await room
})
