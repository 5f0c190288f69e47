import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Liveness } from '#sutra/projections/vectors/index-merger.js'
import type { Segment } from '#sutra/projections/vectors/segment.js'
import {
  catchUp,
  nearestOf,
  type Row,
  until,
  VectorsFixture
} from '../projections/vectors-fixture.ts'
import { ALWAYS, dyingPool } from './dying-pool.ts'

const COUNT = 4000
const DEAD_UP_TO = 2600
const SEGMENT_ROWS = 1100

test('segments lose their dead vectors, and a pin from before goes on finding them', async () => {
  await using fixture = await VectorsFixture.create()
  const client = await fixture.start({ segmentRows: SEGMENT_ROWS, cacheBytes: 0 })
  await fixture.learn(COUNT)
  await catchUp(client, fixture.head)
  await client.save(fixture.head)
  const pin = client.pin()
  const position = fixture.head
  client.follow(liveness(fixture))

  await fixture.learn(10)
  await catchUp(client, fixture.head)
  await until(() => rowsOf(client) < COUNT - 1500)

  for (let round = 0; round < 10; round++) {
    const query = fixture.randomVector()
    const now = await client.search(query, { k: COUNT, exact: true, position: fixture.head })
    const live = fixture.rows.filter(({ revision }) => isLive(revision))
    expect(liveOf(now.revisions)).toEqual(nearestOf(live, query, COUNT))
    const then = await client.search(query, { k: COUNT, exact: true, position, pin })
    const before = fixture.rows.slice(0, COUNT)
    expect([...then.revisions]).toEqual(nearestOf(before, query, COUNT))
  }
  const [gone] = await client.vectors([1], { position: fixture.head })
  const [kept] = await client.vectors([1], { position, pin })
  client.unpin(pin)
  expect(gone).toBeUndefined()
  expect(kept).toEqual(fixture.rows[0]?.vector)
  expect(fixture.types()).not.toContain('damage-found')
})

test('the dead that were counted while the index lagged behind the log are merged once it does not', async () => {
  await using fixture = await VectorsFixture.create()
  const client = await fixture.start()
  await fixture.learn(COUNT)
  await catchUp(client, fixture.head)
  fixture.tell(client)
  // In memory already, but not to be saved before the tables have them.
  await fixture.learn(10)
  client.follow(liveness(fixture))
  await setTimeout(200)
  expect(fixture.types()).not.toContain('index-merged')

  await catchUp(client, fixture.head)

  await until(() => fixture.types().includes('index-merged'))
  expect(rowsOf(client)).toBeLessThan(COUNT - 1500)
})

test('what was merged is what the next open finds, without files that nobody names', async () => {
  await using fixture = await merged()
  const client = await fixture.start({ segmentRows: SEGMENT_ROWS })

  const files = (await fixture.filesOnDisk()).filter((name) => name.endsWith('.f32'))
  expect(files).toHaveLength(client.stats().segments)
  expect(rowsOf(client)).toBeLessThan(COUNT)
  await expectLiveAnswers(fixture, client)
  await fixture.learn(1500)
  await catchUp(client, fixture.head)
  await client.save(fixture.head)
  await expectLiveAnswers(fixture, client)
  expect((await client.check()).problems).toEqual([])
})

test.each([
  { kind: 'merge' as const, deaths: 1 },
  { kind: 'merge' as const, deaths: ALWAYS },
  { kind: 'save-graph' as const, deaths: 1 }
])('workers that die over $kind $deaths times lose nothing', async ({ kind, deaths }) => {
  await using fixture = await VectorsFixture.create()
  const { pool, die } = dyingPool(fixture.directory, kind, 0)
  const client = await fixture.start({ segmentRows: SEGMENT_ROWS, pool })
  await fixture.learn(COUNT)
  await catchUp(client, fixture.head)
  await client.save(fixture.head)
  die(deaths)
  client.follow(liveness(fixture))
  await fixture.learn(1030)
  // What else the thread was asked dies with it: twice, if that happens twice.
  const outcome = await catchUp(client, fixture.head).catch((error: unknown) => error)
  if (outcome !== undefined) expect(outcome).toMatchObject({ code: 'VECTORS_UNAVAILABLE' })

  await until(() => client.stats().workerRestarts >= Math.min(deaths, 2))
  await expectLiveAnswers(fixture, client)
  die(0)
  await fixture.learn(1030)
  await catchUp(client, fixture.head)
  await client.save(fixture.head)
  await expectLiveAnswers(fixture, client)
  await fixture.stop(client)

  const again = await fixture.start({ segmentRows: SEGMENT_ROWS })
  await expectLiveAnswers(fixture, again)
  expect((await again.check()).problems).toEqual([])
})

test('saving again and again while segments are merged harms neither', async () => {
  await using fixture = await VectorsFixture.create()
  const client = await fixture.start({ segmentRows: SEGMENT_ROWS, cacheBytes: 0 })
  fixture.tell(client)
  client.follow(liveness(fixture))
  await fixture.learn(COUNT)
  const following = catchUp(client, fixture.head)
  for (let round = 0; round < 40; round++) {
    await client.save(fixture.head)
    await expectLiveAnswers(fixture, client, 1)
  }
  await following

  await fixture.stop(client)
  const again = await fixture.start({ segmentRows: SEGMENT_ROWS, cacheBytes: 0 })
  await expectLiveAnswers(fixture, again)
  expect((await again.check()).problems).toEqual([])
  expect(fixture.types()).not.toContain('damage-found')
})

test('closing while segments are merged leaves the old ones or the new one', async () => {
  await using fixture = await VectorsFixture.create()
  await fixture.learn(COUNT)
  for (let round = 0; round < 4; round++) {
    const client = await fixture.start({ segmentRows: SEGMENT_ROWS })
    client.follow(liveness(fixture))
    await catchUp(client, fixture.head)
    await client.save(fixture.head)
    await fixture.learn(20)
    void catchUp(client, fixture.head).catch(() => undefined)
    await until(() => round % 2 === 0 || fixture.types().includes('index-built'))
    await fixture.stop(client)
  }

  const again = await fixture.start({ segmentRows: SEGMENT_ROWS })
  await expectLiveAnswers(fixture, again)
  expect((await again.check()).problems).toEqual([])
  expect(fixture.types()).not.toContain('damage-found')
})

type Client = Awaited<ReturnType<VectorsFixture['start']>>

function liveness(fixture: VectorsFixture): Liveness {
  return {
    vectors: () => liveRows(fixture).length,
    async bury(segment, { from, to }) {
      for (let row = from; row < to; row++) {
        // Nothing in the log says so: for whoever reads at the head, they live.
        if (!isLive(segment.ids.revisionAt(row))) segment.bury(row, fixture.head + 1)
      }
      return true
    }
  }
}

test('where most of a graph is dead, nothing farther hides what it did not get to', async () => {
  await using fixture = await VectorsFixture.create()
  const client = await fixture.start()
  const seen = new Set<Segment>()
  // Enough that may be dead to be looked for in what is added to, too few for a merge.
  client.follow({
    vectors: () => fixture.rows.length * 0.9,
    bury: async (segment) => seen.add(segment).size > 0
  })
  await fixture.learn(COUNT)
  await catchUp(client, fixture.head)
  await client.save(fixture.head)
  // These are compared one by one, and so many that they alone would make an answer.
  await fixture.learn(500)
  const live = fixture.rows.filter(({ revision }) => revision > COUNT || revision % 12 === 0)
  for (const segment of seen) {
    for (let row = 0; row < segment.rows; row++) {
      const revision = segment.ids.revisionAt(row)
      if (revision <= COUNT && revision % 12 !== 0) segment.bury(row, fixture.head)
    }
  }
  await catchUp(client, fixture.head)
  expect(client.stats()).toMatchObject({ pending: 500, segments: 1 })
  expect(seen.size).toBe(1)

  let [given, right] = [0, 0]
  for (let round = 0; round < 50; round++) {
    const query = fixture.randomVector()
    const found = await client.search(query, { k: 18, position: fixture.head })
    const nearest = new Set(nearestOf(live, query, found.revisions.length))
    given += found.revisions.length
    right += found.revisions.filter((revision) => nearest.has(revision)).length
  }
  expect(given).toBeGreaterThan(0)
  expect(right / given).toBeGreaterThan(0.97)
})

async function merged(): Promise<VectorsFixture> {
  const fixture = await VectorsFixture.create()
  const client = await fixture.start({ segmentRows: SEGMENT_ROWS })
  client.follow(liveness(fixture))
  await fixture.learn(COUNT)
  await catchUp(client, fixture.head)
  await until(() => rowsOf(client) < COUNT - 1500)
  await client.save(fixture.head)
  await fixture.stop(client)
  return fixture
}

async function expectLiveAnswers(
  fixture: VectorsFixture,
  client: Client,
  rounds = 5
): Promise<void> {
  const live = liveRows(fixture)
  const position = fixture.head
  for (let round = 0; round < rounds; round++) {
    const query = fixture.randomVector()
    const exact = await client.search(query, { k: 10_000, exact: true, position })
    expect(liveOf(exact.revisions)).toEqual(nearestOf(live, query, 10_000))
    const found = await client.search(query, { k: 200, ef: 512, position })
    const expected = nearestOf(live, query, 10)
    const hits = liveOf(found.revisions).filter((one) => expected.includes(one))
    expect(hits.length).toBeGreaterThan(7)
  }
}

/** Most of the older vectors belong to nobody any more. */
function isLive(revision: number): boolean {
  return revision > DEAD_UP_TO || revision % 4 === 0
}

function liveRows(fixture: VectorsFixture): Row[] {
  return fixture.rows.filter(({ revision }) => isLive(revision))
}

function liveOf(revisions: Uint32Array): number[] {
  return [...revisions].filter((revision) => isLive(revision))
}

function rowsOf(client: Client): number {
  const { indexed, pending } = client.stats()
  return indexed + pending
}
