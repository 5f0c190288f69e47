/** Random stores and random searches, compared with brute force at the same position. */
import type { Reader, ScoreWeights, SearchOptions, Where } from 'sutra-storage'
import { expect, test } from 'vitest'
import { openTemporaryStore } from '../support/open-store.ts'
import { Random } from '../support/random.ts'
import {
  DIMENSIONS,
  type Known,
  LANGS,
  type OracleQuery,
  SearchOracle,
  shown
} from './search-oracle.ts'

const SEARCHES = 40
/** The newest few thousand are in no graph. */
const LEARNED = 6000
const CHANGES = 120
const ROUNDS = 20

const VECTORS = {
  vectors: { dimensions: DIMENSIONS, metric: 'l2sq', expansionSearch: 32 }
} as const

test.each([
  { name: 'without indexes', indexes: {} },
  { name: 'with indexes', indexes: { lang: 'string', n: 'number' } as const }
])('a search finds what brute force finds, $name', async ({ indexes }) => {
  const random = new Random()
  await using temporary = await openTemporaryStore({ ...VECTORS, indexes })
  const { store } = temporary
  const oracle = new SearchOracle(store, random)
  await oracle.learn(LEARNED)
  await oracle.change(CHANGES)
  await store.caughtUp()
  const before = oracle.known
  await using view = await store.view()
  // The view goes on finding what is forgotten now; some of it is in no graph yet.
  await oracle.change(CHANGES)
  const strategies = new Set<string | undefined>()
  const watching = store.telemetry$.subscribe((event) => {
    if (event.type === 'query' && event.kind === 'search') strategies.add(event.strategy)
  })

  for (const round of ['overlaid', 'projected']) {
    for (let i = 0; i < SEARCHES; i++) {
      const where = `seed ${random.seed}, ${round}, search ${i}`
      await compare(store, oracle, oracle.known, random, where)
      await compare(view, oracle, before, random, `${where}, in the view`)
    }
    await store.caughtUp()
  }
  watching.unsubscribe()

  const expected = 'lang' in indexes ? ['among', 'graph', 'scan'] : ['graph', 'scan']
  expect([...strategies], `seed ${random.seed}`).toEqual(expect.arrayContaining(expected))
})

test('a view answers the same while writers go on and the index grows', async () => {
  const random = new Random()
  await using temporary = await openTemporaryStore({ ...VECTORS, indexes: { lang: 'string' } })
  const { store } = temporary
  const oracle = new SearchOracle(store, random)
  await oracle.learn(LEARNED)

  for (let round = 0; round < ROUNDS; round++) {
    await using view = await store.view()
    const { known } = oracle
    const changing = oracle.change(CHANGES / 4)
    for (let i = 0; i < 5; i++) {
      const where = `seed ${random.seed}, round ${round}, search ${i}`
      await compare(view, oracle, known, random, where)
    }
    await changing
    await compare(store, oracle, oracle.known, random, `seed ${random.seed}, after ${round}`)
  }
})

async function compare(
  reader: Reader,
  oracle: SearchOracle,
  known: ReadonlyMap<string, Known>,
  random: Random,
  where: string
): Promise<void> {
  const { query, options } = randomSearch(oracle, known, random)
  const all = oracle.answer({ ...query, k: known.size }, 0, known)
  const asked = query.except === undefined ? query.vector : { like: { key: query.except } }
  const told = `${where}: ${JSON.stringify({ asked, options })}`

  const matches = shown(await reader.search(asked, options))

  if (options.exact === true) {
    expect(
      matches.map(({ key }) => key),
      told
    ).toEqual(all.slice(0, query.k).map(({ key }) => key))
  }
  // What a graph misses is replaced by what comes next: k matches, each of them a true one. Only
  // where nothing comes next that is similar enough, a few that it missed are lacking.
  const most = Math.min(query.k, all.length)
  const isCut =
    options.minSimilarity !== undefined && options.exact !== true && all.length < query.k
  expect(matches.length, told).toBeLessThanOrEqual(most)
  expect(matches.length, told).toBeGreaterThanOrEqual(isCut ? Math.floor(most * 0.95) : most)
  const byKey = new Map(all.map((one) => [one.key, one]))
  for (const match of matches) {
    const expected = byKey.get(match.key)
    expect(expected, `${told}: ${match.key}`).toBeDefined()
    expect(match.distance, told).toBe(expected?.distance)
    expect(match.score, told).toBeCloseTo(expected?.score ?? Number.NaN, 12)
  }
  const order = matches.map(({ score }) => score)
  expect(order, told).toEqual(order.toSorted((a, b) => b - a))
}

function randomSearch(
  oracle: SearchOracle,
  known: ReadonlyMap<string, Known>,
  random: Random
): { query: OracleQuery; options: SearchOptions } {
  const query: OracleQuery = { vector: oracle.randomVector(), k: random.pick([1, 3, 10, 40, 700]) }
  const options: SearchOptions = { k: query.k, exact: random.below(2) === 0 }
  if (random.below(3) > 0) {
    const [where, accept] = random.pick(filters(random))
    options.where = where
    query.accept = accept
  }
  if (random.below(3) === 0) {
    options.score = random.pick(SCORES)
    query.score = options.score
  }
  if (random.below(5) === 0) {
    options.minSimilarity = 1 / (1 + random.below(30))
    query.minSimilarity = options.minSimilarity
  }
  if (random.below(6) === 0) {
    const like = [...known.values()].find(({ vector }) => vector !== null)
    if (like?.vector) Object.assign(query, { vector: like.vector, except: like.key })
  }
  return { query, options }
}

// Recency has a test of its own.
const SCORES: readonly ScoreWeights[] = [
  { similarity: 1, strength: 1 },
  { similarity: 4, confidence: 1, strength: 0.5 },
  { strength: 1 },
  { similarity: 1 }
]

function filters(random: Random): (readonly [Where, (known: Known) => boolean])[] {
  const lang = random.pick(LANGS)
  const n = random.below(1000)
  return [
    [{ lang }, (one) => one.lang === lang],
    [{ n: { lt: n } }, (one) => one.n < n],
    [{ n: { gte: n, lt: n + 20 } }, (one) => one.n >= n && one.n < n + 20],
    [{ lang, n: { gt: n } }, (one) => one.lang === lang && one.n > n],
    [{ or: [{ lang }, { n }] }, (one) => one.lang === lang || one.n === n],
    [{ lang: { ne: lang } }, (one) => one.lang !== lang],
    [{ '@type': 'person', n: { lt: n } }, (one) => one.type === 'person' && one.n < n],
    [{ lang, '@strength': { gte: 0.5 } }, (one) => one.lang === lang && one.strength >= 0.5],
    [{ n: -1 }, () => false],
    [{}, () => true]
  ]
}
