import type { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { GraphFactory } from '#sutra/projections/vectors/vector-index.js'
import { catchUp, DECLARED, VectorsFixture } from './vectors-fixture.js'

const WIDE = { ...DECLARED, dimensions: 256, quantization: 'f32' as const }

test('a batch is bounded, and ends where a frame ends', async () => {
  await using fixture = await VectorsFixture.create()
  await fixture.learn(5000, { perFrame: 300 })
  const client = await fixture.start()

  const batch = await client.project(fixture.head)
  const within = await client.project(batch.to + 1)

  expect(batch).toMatchObject({ from: 1, to: 2100, events: 2100 })
  expect(within).toMatchObject({ from: 2101, to: 2400 })
  expect(client.position).toBe(2400)
})

test('rows that searches brought in earlier are projected by position all the same', async () => {
  await using fixture = await VectorsFixture.create()
  await fixture.learn(3000)
  const client = await fixture.start()
  await client.search(fixture.randomVector(), { k: 1, position: 3000 })

  await client.project(500)

  expect(client.stats()).toMatchObject({ indexed: 500, pending: 2500, position: 500 })
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
  await fixture.learn(4000, { dimensions: WIDE.dimensions, perFrame: 500 })
  const client = await fixture.start({ declaration: WIDE })
  await client.project(500)
  await client.save(500)
  const building = client.project(fixture.head)
  const outcome = expect(building).rejects.toMatchObject({ code: 'STORE_CLOSED' })
  await client.search(fixture.randomVector(WIDE.dimensions), { k: 1, position: 500 })

  const started = performance.now()
  await fixture.stop(client)

  expect(performance.now() - started).toBeLessThan(1000)
  await outcome
  await expect(client.project(1)).rejects.toMatchObject({ code: 'STORE_CLOSED' })
  const reopened = await fixture.start({ declaration: WIDE })
  expect(reopened.savedPosition).toBeGreaterThanOrEqual(500)
})

test('closing twice is closing', async () => {
  await using fixture = await VectorsFixture.create()
  const client = await fixture.start()

  await Promise.all([client.close(), client.close()])

  await client.close()
})

test('an aborted search rejects at once, and the worker goes on', async () => {
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
  const client = await fixture.start()
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

test('a worker that dies rejects what it was asked, and all that comes later', async () => {
  await using fixture = await VectorsFixture.create()
  await fixture.learn(3000, { dimensions: WIDE.dimensions })
  const worker = spawned()
  const client = await fixture.start({ declaration: WIDE })
  const building = client.project(fixture.head)
  const outcome = expect(building).rejects.toMatchObject({ code: 'VECTORS_UNAVAILABLE' })

  await (await worker).terminate()

  await outcome
  const position = fixture.head
  const query = fixture.randomVector(WIDE.dimensions)
  await expect(client.search(query, { k: 1, position })).rejects.toMatchObject({
    code: 'VECTORS_UNAVAILABLE'
  })
  expect(fixture.telemetry.at(-1)).toMatchObject({
    type: 'projection-stopped',
    projection: 'vectors'
  })
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

test('one store can have an index that is rebuilt beside another that is followed', async () => {
  await using fixture = await VectorsFixture.create()
  await using other = await VectorsFixture.create(2)
  await fixture.learn(400)
  await other.learn(600)

  const [one, two] = await Promise.all([fixture.start(), other.start()])
  await Promise.all([catchUp(one, 400), catchUp(two, 600)])

  expect(one.stats().indexed).toBe(400)
  expect(two.stats().indexed).toBe(600)
})

/** The worker thread that is started next. */
async function spawned(): Promise<Worker> {
  return new Promise((resolve) => {
    process.once('worker', resolve)
  })
}
