/** What matches are ranked by when it is more than similarity. */
import type { Match, NewConcept, Store, TelemetryEvent } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { openTemporaryStore } from '../support/open-store.ts'
import { Random } from '../support/random.ts'

const VECTORS = { vectors: { dimensions: 2 } }
const EAST = [1, 0]

describe('the score of a match', () => {
  test('without weights is its similarity', async () => {
    await using temporary = await openTemporaryStore(VECTORS)
    await temporary.store.commit(COMPASS.map((one) => ({ do: 'learn', ...one })))

    const matches = await temporary.store.search(EAST)

    expect(matches.map(({ key, score }) => [key, score])).toEqual([
      ['east', 1],
      ['north', 0],
      ['west', -1]
    ])
    expect(matches.every(({ score, similarity }) => score === similarity)).toBe(true)
  })

  test('is the inner product to the last bit, however small it is', async () => {
    await using temporary = await openTemporaryStore({ vectors: { dimensions: 1, metric: 'ip' } })
    const sizes = [2 ** -100, 2 ** -98, 0, 2 ** -101, -(2 ** -100), 2 ** -99]
    await temporary.store.commit(
      sizes.map((size) => ({ do: 'learn', content: `${size}`, embedding: [size] }))
    )

    const matches = await temporary.store.search([2 ** -20], { exact: true })

    const products = sizes.map((size) => size * 2 ** -20).sort((a, b) => b - a)
    expect(matches.map(({ similarity }) => similarity)).toEqual(products)
    expect(matches.map(({ distance }) => distance)).toEqual(products.map((one) => 1 - one))
  })

  test.each([
    { weights: { similarity: 1 }, scores: { east: 1, north: 0.5, west: 0 } },
    { weights: { strength: 2 }, scores: { west: 1, north: 0.5, east: 0.25 } },
    { weights: { confidence: 0.1 }, scores: { north: 1, east: 0.75, west: 0.5 } },
    {
      weights: { similarity: 2, strength: 1, confidence: 1 },
      scores: { east: 0.75, north: 0.625, west: 0.375 }
    },
    // Only how weights compare counts, however large or small they are.
    {
      weights: { similarity: 1e308, strength: 0.5e308, confidence: 0.5e308 },
      scores: { east: 0.75, north: 0.625, west: 0.375 }
    },
    { weights: { similarity: 5e-324, strength: 0 }, scores: { east: 1, north: 0.5, west: 0 } }
  ])('is the weighted mean of its parts: $weights', async ({ weights, scores }) => {
    await using temporary = await openTemporaryStore(VECTORS)
    await temporary.store.commit(COMPASS.map((one) => ({ do: 'learn', ...one })))

    const matches = await temporary.store.search(EAST, { score: weights })

    expect(matches.map(({ key }) => key)).toEqual(Object.keys(scores))
    expect(scoresOf(matches)).toEqual(scores)
    // What it was ranked by does not change what it is.
    expect(matches.find(({ key }) => key === 'west')).toMatchObject({ similarity: -1, distance: 2 })
  })

  test('goes by similarity of any metric, bent into 0 to 1', async () => {
    for (const { metric, score } of METRICS) {
      await using temporary = await openTemporaryStore({ vectors: { dimensions: 2, metric } })
      await temporary.store.learn({ content: 'far', embedding: [3, 0] })

      const [match] = await temporary.store.search(EAST, { score: { similarity: 1 } })

      expect(match?.score, metric).toBeCloseTo(score, 12)
    }
  })

  test('counts how recent a concept is at the position of the view, whatever the clock says', async () => {
    await using temporary = await openTemporaryStore(VECTORS)
    const { store } = temporary
    const older = await store.learn({ id: { key: 'older' }, content: 'older', embedding: EAST })
    await wait(40)
    await store.learn({ id: { key: 'newer' }, content: 'newer', embedding: [0.9, 0.1] })
    const view = await store.view()
    const apart = await timeBetween(store, older.last, store.head)
    const recent = { score: { recency: { weight: 1, halfLifeMs: apart } } } as const

    const then = await view.search(EAST, recent)
    await wait(20)
    await store.learn({ content: 'something else' })

    expect(apart).toBeGreaterThanOrEqual(39)
    expect(scoresOf(then)).toEqual({ newer: 1, older: 0.5 })
    expect(await view.search(EAST, recent)).toEqual(then)
    const now = scoresOf(await store.search(EAST, recent))
    expect(now['newer']).toBeLessThan(1)
    expect(now['older']).toBeCloseTo((now['newer'] ?? 0) / 2, 12)
    await view.close()
  })

  test('has a half-life of thirty days unless another is given', async () => {
    await using temporary = await openTemporaryStore(VECTORS)
    const { store } = temporary
    await store.learn({ id: { key: 'a' }, content: 'a', embedding: EAST })
    await wait(5)
    await store.learn({ content: 'b' })
    const age = await timeBetween(store, store.head - 1, store.head)

    const [match] = await store.search(EAST, { score: { recency: 1 } })

    expect(match?.score).toBe(0.5 ** (age / (30 * 86_400_000)))
  })
})

describe('ranking by more than similarity', () => {
  test('goes on to what is farther away while that may rank higher', async () => {
    await using temporary = await openTemporaryStore(VECTORS)
    const { store } = temporary
    const random = new Random()
    await learnMany(store, random, 3000)
    // Far from everything asked, and worth it.
    await store.learn({ id: { key: 'hidden' }, content: 'hidden', embedding: [-1, 0] })
    await store.caughtUp()
    const weights = { similarity: 1, strength: 3 }

    const exact = await store.search(EAST, { k: 1, score: weights, exact: true })
    const found = await store.search(EAST, { k: 1, score: weights })

    expect(exact[0]).toMatchObject({ key: 'hidden', score: 0.75 })
    expect(found, `seed ${random.seed}`).toEqual(exact)
  })

  test('stops as soon as nothing farther away can', async () => {
    await using temporary = await openTemporaryStore(VECTORS)
    const { store } = temporary
    await learnMany(store, new Random(7), 3000)
    await store.commit(STRONG.map((one) => ({ do: 'learn', ...one })))
    await store.caughtUp()
    const queries: TelemetryEvent[] = []
    const watching = store.telemetry$.subscribe((event) => {
      if (event.type === 'query') queries.push(event)
    })

    const found = await store.search(EAST, { k: 10, score: { similarity: 1, strength: 1 } })

    watching.unsubscribe()
    expect(found.map(({ key }) => key)).toEqual(STRONG.map(({ id }) => id.key))
    // Forty-eight candidates, and as many as the graph considers in any case.
    expect(queries).toMatchObject([{ kind: 'search', k: 10, strategy: 'graph', ef: 64 }])
  })
})

const COMPASS = [
  { id: { key: 'east' }, content: 'east', embedding: EAST, strength: 0.25, confidence: 0.75 },
  { id: { key: 'north' }, content: 'north', embedding: [0, 1], strength: 0.5, confidence: 1 },
  { id: { key: 'west' }, content: 'west', embedding: [-1, 0], strength: 1, confidence: 0.5 }
]

const METRICS = [
  { metric: 'cosine', score: 1 },
  { metric: 'ip', score: (1 + 3 / 4) / 2 },
  { metric: 'l2sq', score: 1 / 5 }
] as const

const STRONG = Array.from({ length: 10 }, (_, i) => {
  const angle = i / 1e5
  const embedding = [Math.cos(angle), Math.sin(angle)]
  return { id: { key: `strong${i}` }, content: `strong ${i}`, embedding, strength: 1 }
})

/** Weak ones, all around. */
async function learnMany(store: Store, random: Random, count: number): Promise<void> {
  for (let at = 0; at < count; at += 500) {
    const concepts = Array.from({ length: 500 }, (_, i): NewConcept => {
      const angle = (random.next() - 0.5) * Math.PI
      const embedding = [Math.cos(angle), Math.sin(angle)]
      return { content: `${at + i}`, embedding, strength: 0.5 * random.next() }
    })
    await store.commit(concepts.map((one) => ({ do: 'learn' as const, ...one })))
  }
}

function scoresOf(matches: readonly Match[]): Record<string, number> {
  return Object.fromEntries(matches.map(({ key = '', score }) => [key, score]))
}

async function timeBetween(store: Store, from: number, to: number): Promise<number> {
  const times: number[] = []
  for await (const { time } of store.events({ from, to })) times.push(time)
  return (times.at(-1) ?? 0) - (times[0] ?? 0)
}

async function wait(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms))
}
