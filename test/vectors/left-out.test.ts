/** What a graph leaves out as dead may be alive to a view that was pinned before. */
import { expect, test } from 'vitest'
import type { VectorsClient } from '#sutra/projections/vectors/client.js'
import { catchUp, until, VectorsFixture } from '../projections/vectors-fixture.ts'
import { WatchedPool } from './watched-pool.ts'

test('a view finds what died while a graph was made durable', async () => {
  await using fixture = await VectorsFixture.create()
  const pool = new WatchedPool()
  pool.holdUp('seal-graph')
  const { client, dead } = await clientOf(fixture, pool)
  await fixture.learn(11_000)
  const [position, pin] = [fixture.head, client.pin()]
  for (let revision = 10_001; revision <= 10_400; revision++) dead.add(revision)
  await fixture.learn(2000)

  // The first graph, of 8,000, is kept from becoming durable while those behind it go into a graph.
  await catchUp(client, fixture.head)
  await until(() => pool.asked('seal-graph') > 0)
  pool.letGo('seal-graph')
  await client.save(fixture.head)

  await expectFound(fixture, client, { revisions: [10_001, 10_400], position, pin })
})

test('a view finds what was dead, and in no graph yet, when one was written', async () => {
  await using fixture = await VectorsFixture.create()
  const pool = new WatchedPool()
  const { client, dead } = await clientOf(fixture, pool)
  await fixture.learn(5000)
  const [position, pin] = [fixture.head, client.pin()]
  for (let revision = 4001; revision <= 4400; revision++) dead.add(revision)
  await fixture.learn(2000)
  let saves = 0
  pool.before('build', async () => {
    // Rows from the 4,001st on, of which the dead were counted just now.
    if (pool.asked('build') !== 3) return
    saves += 1
    await client.save(fixture.head)
  })

  await catchUp(client, fixture.head)
  await client.save(fixture.head)

  expect(saves).toBe(1)
  await expectFound(fixture, client, { revisions: [4001, 4400], position, pin })
})

async function clientOf(
  fixture: VectorsFixture,
  pool: WatchedPool
): Promise<{ client: VectorsClient; dead: Set<number> }> {
  const client = await fixture.start({ pool })
  const dead = new Set<number>()
  client.follow({
    vectors: () => fixture.rows.length - dead.size,
    bury: async (segment, { from, to }) => {
      for (let row = from; row < to; row++) {
        if (dead.has(segment.ids.revisionAt(row))) segment.bury(row, fixture.head)
      }
      return true
    }
  })
  fixture.tell(client)
  return { client, dead }
}

interface Pinned {
  revisions: [from: number, to: number]
  position: number
  pin: ReturnType<VectorsClient['pin']>
}

async function expectFound(
  fixture: VectorsFixture,
  client: VectorsClient,
  { revisions: [from, to], position, pin }: Pinned
): Promise<void> {
  const missed: number[] = []
  for (let revision = from; revision <= to; revision += 10) {
    const { vector } = fixture.rows[revision - 1] ?? {}
    if (vector === undefined) throw new Error(`There is no revision ${revision}`)
    const found = await client.search(vector, { k: 1, position, pin })
    if (found.revisions[0] !== revision) missed.push(revision)
  }
  client.unpin(pin)
  expect(missed).toEqual([])
}
