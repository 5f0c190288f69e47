/** Searches with a filter: always `k` matches when `k` exist, by the way that costs least. */
import type { Command, SearchOptions, Store, Where } from 'sutra-storage'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTemporaryStore, type TemporaryStore } from '../support/open-store.ts'
import { Random } from '../support/random.ts'

const DIMENSIONS = 8
const COUNT = 12_000
const VECTORS = { vectors: { dimensions: DIMENSIONS } }
const INDEXES = { ...VECTORS, indexes: { part: 'number', flag: 'boolean' } } as const
const QUERY = Float32Array.from({ length: DIMENSIONS }, (_, i) => Math.cos(i))

let large: TemporaryStore

beforeAll(async () => {
  large = await openTemporaryStore({ ...INDEXES, check: false })
  await learn(large.store, COUNT)
  await large.store.caughtUp()
})
afterAll(async () => {
  await large[Symbol.asyncDispose]()
})

describe('where there is an index', () => {
  test.each<{ where: Where; strategy: string; passing: number }>([
    { where: { part: 7 }, strategy: 'among', passing: COUNT / 1000 },
    { where: { part: { in: [1, 2, 3] } }, strategy: 'among', passing: (3 * COUNT) / 1000 },
    { where: { part: -1 }, strategy: 'among', passing: 0 },
    { where: { part: { gte: 990 }, plain: 'x' }, strategy: 'among', passing: COUNT / 100 },
    { where: { flag: true }, strategy: 'graph', passing: COUNT / 2 },
    { where: {}, strategy: 'graph', passing: COUNT },
    { where: { plain: 'x' }, strategy: 'graph', passing: COUNT },
    { where: { plain: 'y' }, strategy: 'scan', passing: 0 },
    { where: { number: { lt: 6 } }, strategy: 'scan', passing: 6 }
  ])('$where is answered by $strategy', async ({ where, strategy, passing }) => {
    const { store } = large

    const found = await strategyOf(store, { where })
    const matches = await store.search(QUERY, { where, k: 100 })
    const exact = await store.search(QUERY, { where, k: 100, exact: true })

    expect(found).toBe(strategy)
    expect(matches).toHaveLength(Math.min(100, passing))
    expect(exact).toHaveLength(matches.length)
    // What is compared one by one is exact whether that was asked for or not.
    if (strategy !== 'graph') expect(matches).toEqual(exact)
  })

  test('the same filter gives the same matches with an index and without', async () => {
    await using temporary = await openTemporaryStore(VECTORS)
    await learn(temporary.store, 2000)
    await using indexed = await openTemporaryStore(INDEXES)
    await learn(indexed.store, 2000)

    for (const where of [{ part: 7 }, { part: { lt: 300 }, flag: true }, { flag: false }]) {
      const options = { where, k: 50, exact: true }
      const expected = await temporary.store.search(QUERY, options)
      expect(expected.length).toBeGreaterThan(0)
      expect(await indexed.store.search(QUERY, options)).toEqual(expected)
    }
  })

  test('an answer is never that of an earlier position', async () => {
    await using temporary = await openTemporaryStore(INDEXES)
    const { store } = temporary
    await learn(store, 2000)
    await store.caughtUp()
    const where = { part: 7 }
    const search = async () => (await store.search(QUERY, { where })).map(({ key }) => key)
    const before = await search()
    await using view = await store.view()

    await store.revise({ key: before[0] ?? '' }, { metadata: { part: 8 } })
    const after = await search()
    await store.learn({
      id: { key: 'new' },
      content: 'new',
      metadata: { part: 7 },
      embedding: QUERY
    })
    const last = await search()

    expect(before).toHaveLength(2)
    expect(after).toEqual(before.slice(1))
    expect(last).toEqual(['new', ...after])
    const pinned = await view.search(QUERY, { where })
    expect(pinned.map(({ key }) => key)).toEqual(before)
  })
})

describe('a filter stops', () => {
  test('on its signal, in the middle of reading all concepts', async () => {
    const controller = new AbortController()
    const where = { plain: 'y' }

    const searching = large.store.search(QUERY, { where, signal: controller.signal })
    setTimeout(() => controller.abort(), 1)

    await expect(searching).rejects.toMatchObject({ code: 'ABORTED' })
  })
})

async function learn(store: Store, count: number): Promise<void> {
  const random = new Random(11)
  for (let at = 0; at < count; at += 500) {
    const commands = Array.from({ length: 500 }, (_, i): Command => {
      const number = at + i
      return {
        do: 'learn',
        id: { key: `c${number}` },
        content: `concept ${number}`,
        metadata: { number, part: number % 1000, flag: number % 2 === 0, plain: 'x' },
        embedding: Float32Array.from({ length: DIMENSIONS }, () => random.next() - 0.5)
      }
    })
    await store.commit(commands, { durability: 'os' })
  }
}

async function strategyOf(store: Store, options: SearchOptions): Promise<string | undefined> {
  let strategy: string | undefined
  const watching = store.telemetry$.subscribe((event) => {
    if (event.type === 'query') strategy = event.strategy
  })
  await store.search(QUERY, options)
  watching.unsubscribe()
  return strategy
}
