/** Graphs are written beside what goes on, each once, and an older one never replaces a newer one. */
import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import {
  catchUp,
  DECLARED,
  expectRightAnswers,
  until,
  VectorsFixture
} from '../projections/vectors-fixture.ts'
import { dyingPool } from './dying-pool.ts'
import { WatchedPool } from './watched-pool.ts'

/** A graph of fewer rows is not written while others wait to be built. */
const GROWN = 8000
const COUNT = 9500
/** Rows of which a slab holds a thousand: they are read from the log by several tasks. */
const WIDE = { ...DECLARED, dimensions: 1024, connectivity: 4, expansionAdd: 8 }

test('who asks for a graph that is being written gets that one', async () => {
  await using fixture = await VectorsFixture.create()
  const pool = new WatchedPool()
  const client = await fixture.start({ pool })
  await fixture.learn(3000)
  await catchUp(client, fixture.head)

  await Promise.all([client.save(fixture.head), client.save(fixture.head)])

  expect(pool.asked('save-graph')).toBe(1)
  expect(await graphsOf(fixture)).toHaveLength(1)
  expect(client.stats().savedPosition).toBe(fixture.head)
})

test('while a graph is made durable it goes on growing, and the newest is kept', async () => {
  await using fixture = await VectorsFixture.create()
  const pool = new WatchedPool()
  pool.holdUp('seal-graph')
  const client = await fixture.start({ pool })
  await fixture.learn(COUNT)

  await catchUp(client, fixture.head)
  await until(() => client.stats().pending < COUNT - GROWN)
  expect(pool.asked('save-graph')).toBe(1)
  // None of it can be searched yet as a graph, and all of it is found.
  expect(client.stats().scanned).toBe(COUNT)
  await expectRightAnswers(fixture, client)

  const saved = client.save(fixture.head)
  pool.letGo('seal-graph')
  await saved
  await until(() => client.stats().scanned < COUNT - GROWN)
  await client.save(fixture.head)
  expect(client.stats().scanned).toBeLessThan(COUNT - GROWN)
  await until(async () => (await graphsOf(fixture)).length === 1)
  await expectRightAnswers(fixture, client)
})

test('rows go into graphs while others are read from the log', async () => {
  await using fixture = await VectorsFixture.create()
  const pool = new WatchedPool()
  pool.holdUp('ingest', 2)
  const client = await fixture.start({ pool, declaration: WIDE })
  await fixture.learn(1500, { dimensions: WIDE.dimensions, perFrame: 100 })

  const done = catchUp(client, fixture.head)
  await until(() => pool.asked('ingest') === 2 && client.stats().indexed > 0)
  expect(client.position).toBe(0)
  pool.letGo('ingest')
  await done

  const query = fixture.randomVector(WIDE.dimensions)
  const found = await client.search(query, { k: 5, exact: true, position: fixture.head })
  expect([...found.revisions]).toEqual(fixture.nearest(query, 5))
})

test('what is saved while the log is still being read ends where the rows do', async () => {
  await using fixture = await VectorsFixture.create()
  const pool = new WatchedPool()
  pool.holdUp('ingest', 2)
  const client = await fixture.start({ pool, declaration: WIDE })
  await fixture.learn(1500, { dimensions: WIDE.dimensions, perFrame: 100 })

  const cutOff = catchUp(client, fixture.head).catch(() => undefined)
  await until(() => client.stats().savedPosition > 0)
  const { savedPosition } = client.stats()
  const stopped = fixture.stop(client)
  pool.letGo('ingest')
  await stopped
  await cutOff
  expect(savedPosition).toBeLessThan(fixture.head)

  const again = await fixture.start({ declaration: WIDE })
  await catchUp(again, fixture.head)
  for (const { vector, revision } of [fixture.rows[0], fixture.rows.at(-1)].filter(isThere)) {
    const found = await again.search(vector, { k: 1, exact: true, position: fixture.head })
    expect([...found.revisions]).toEqual([revision])
  }
})

test('rows that come while a graph is made durable go into graphs', async () => {
  await using fixture = await VectorsFixture.create()
  const pool = new WatchedPool()
  pool.holdUp('seal-graph')
  const client = await fixture.start({ pool })
  fixture.tell(client)
  await fixture.learn(3000)
  await catchUp(client, fixture.head)
  await until(() => pool.asked('seal-graph') === 1)

  await fixture.learn(5000)
  await catchUp(client, fixture.head)

  expect(client.stats().indexed).toBeGreaterThan(7000)
  pool.letGo('seal-graph')
  await until(() => client.stats().scanned < 1000)
  await expectRightAnswers(fixture, client)
})

test('graphs of full segments wait for the disk in small number', async () => {
  await using fixture = await VectorsFixture.create()
  const pool = new WatchedPool()
  pool.holdUp('seal-graph')
  const client = await fixture.start({ pool, segmentRows: 1000 })
  await fixture.learn(8000)

  const done = catchUp(client, fixture.head)
  await until(() => client.stats().indexed >= 3000)
  // Time in which it would go on.
  await setTimeout(300)
  const { indexed } = client.stats()
  pool.letGo('seal-graph')
  await done

  expect(indexed).toBeLessThan(5000)
  await until(() => client.stats().scanned < 1000)
  await expectRightAnswers(fixture, client)
})

test('a graph that was written by a thread which then died is no file that stays', async () => {
  await using fixture = await VectorsFixture.create()
  const { pool } = dyingPool(fixture.directory, 'save-graph', 1)
  const client = await fixture.start({ pool })
  await fixture.learn(3000)
  await catchUp(client, fixture.head)

  await client.save(fixture.head)

  await until(async () => {
    await client.save(fixture.head)
    return client.stats().scanned < 1024 && (await graphsOf(fixture)).length === 1
  })
  expect(client.stats().workerRestarts).toBe(1)
})

function isThere<T>(value: T | undefined): value is T {
  return value !== undefined
}

async function graphsOf(fixture: VectorsFixture): Promise<string[]> {
  return (await fixture.filesOnDisk()).filter((name) => name.endsWith('.usearch'))
}
