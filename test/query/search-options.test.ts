/** What a search may be asked, and how it says no. */
import { ConceptId, type SearchOptions, type SearchQuery, type Store } from 'sutra-storage'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTemporaryStore, type TemporaryStore } from '../support/open-store.ts'

let temporary: TemporaryStore
let store: Store

beforeAll(async () => {
  temporary = await openTemporaryStore({ vectors: { dimensions: 2 }, check: false })
  store = temporary.store
  await store.commit(
    ['a', 'b', 'c'].map((key, i) => {
      const embedding = key === 'c' ? null : [1, i]
      return { do: 'learn', id: { key }, content: key, metadata: { key }, embedding }
    })
  )
})
afterAll(async () => {
  await temporary[Symbol.asyncDispose]()
})

describe('an option that makes no sense is refused by its name', () => {
  test.each<{ options: object; option: string; received: unknown }>([
    { options: { ef: 0 }, option: 'ef', received: 0 },
    { options: { ef: 5000 }, option: 'ef', received: 5000 },
    { options: { ef: 'many' }, option: 'ef', received: 'many' },
    { options: { ef: {} }, option: 'ef.recall', received: undefined },
    { options: { ef: { recall: 1.1 } }, option: 'ef.recall', received: 1.1 },
    { options: { ef: { recal: 1 } }, option: 'ef.recal', received: 'present' },
    { options: { score: 1 }, option: 'score', received: 1 },
    { options: { score: null }, option: 'score', received: null },
    { options: { score: {} }, option: 'score', received: {} },
    {
      options: { score: { similarity: 0, recency: 0 } },
      option: 'score',
      received: { similarity: 0, recency: 0 }
    },
    { options: { score: { similarity: -1 } }, option: 'score.similarity', received: -1 },
    {
      options: { score: { strength: Number.NaN } },
      option: 'score.strength',
      received: Number.NaN
    },
    { options: { score: { confidence: '1' } }, option: 'score.confidence', received: '1' },
    { options: { score: { age: 1 } }, option: 'score.age', received: 'present' },
    {
      options: { score: { recency: Number.POSITIVE_INFINITY } },
      option: 'score.recency',
      received: Number.POSITIVE_INFINITY
    },
    { options: { score: { recency: {} } }, option: 'score.recency.weight', received: undefined },
    {
      options: { score: { recency: { weight: 1, halfLifeMs: 0 } } },
      option: 'score.recency.halfLifeMs',
      received: 0
    },
    {
      options: { score: { recency: { weight: 1, halfLife: 5 } } },
      option: 'score.recency.halfLife',
      received: 'present'
    },
    { options: { expand: true }, option: 'expand', received: true },
    { options: { expand: { hops: 0 } }, option: 'expand.hops', received: 0 },
    { options: { expand: { hops: 4 } }, option: 'expand.hops', received: 4 },
    { options: { expand: { limit: 1001 } }, option: 'expand.limit', received: 1001 },
    { options: { expand: { types: 'a' } }, option: 'expand.types', received: 'a' },
    { options: { expand: { direction: 'up' } }, option: 'expand.direction', received: 'up' },
    { options: { expand: { minStrength: 2 } }, option: 'expand.minStrength', received: 2 },
    { options: { expand: { depth: 2 } }, option: 'expand.depth', received: 'present' }
  ])('$options', async ({ options, option, received }) => {
    await expect(store.search([1, 0], options as SearchOptions)).rejects.toMatchObject({
      code: 'QUERY_INVALID',
      details: { option, received }
    })
  })
})

describe('a value that cannot be shown by String is refused like any other', () => {
  const bare = Object.create(null) as object
  const rude = {
    toString() {
      throw new Error('Never called')
    }
  }

  test.each<{ name: string; value: unknown }>([
    { name: 'an object without a prototype', value: bare },
    { name: 'a symbol', value: Symbol('s') },
    { name: 'an object whose toString throws', value: rude },
    { name: 'an array of them', value: [bare, Symbol('s')] }
  ])('$name', async ({ value }) => {
    // None of these is what the types say, which is the point.
    const wrong = value as never
    const calls = [
      store.search([1, 0], { k: wrong }),
      store.search([1, 0], { ef: wrong }),
      store.search([1, 0], { exact: wrong }),
      store.search([1, 0], { minSimilarity: wrong }),
      store.neighbors({ key: 'a' }, { direction: wrong }),
      store.findPath({ key: 'a' }, { key: 'b' }, { maxDepth: wrong }),
      store.get({ key: 'a' }, { include: wrong })
    ]

    // Together: one that rejects before it is its turn would count as unhandled.
    const refused = { code: 'QUERY_INVALID' }
    await Promise.all(calls.map(async (call) => expect(call).rejects.toMatchObject(refused)))
    await expect(store.get({ key: 'a' }, { signal: wrong })).rejects.toThrow(TypeError)
  })

  test.each([[Symbol('s')], [1], [null], [undefined], [() => 1], [new Float64Array(2)]])(
    'as a query: %s',
    async (query) => {
      const asked = store.search(query as unknown as SearchQuery)

      await expect(asked).rejects.toThrow(/^'query' must be a vector, a text or an object/)
    }
  )

  test.each([[{ text: Symbol('s') }], [{ text: bare }]])('as a text: %o', async (query) => {
    await expect(store.search(query as unknown as SearchQuery)).rejects.toThrow(TypeError)
  })
})

describe('a concept that is asked about', () => {
  test('is no answer to what is like it', async () => {
    const matches = await store.search({ like: { key: 'a' } })

    expect(matches.map(({ key }) => key)).toEqual(['b'])
  })

  test('is named by its key, if it was asked for by that', async () => {
    const key = 'nowhere'
    const id = ConceptId.fromKey(key)
    const calls = [
      store.search({ like: { key } }),
      store.findPath({ key }, { key: 'a' }),
      store.findPath({ key: 'a' }, { key }),
      store.findPaths({ key: 'a' }, { key })
    ]

    for (const call of calls) {
      await expect(call).rejects.toMatchObject({
        code: 'CONCEPT_NOT_FOUND',
        details: { id, key },
        message: expect.stringContaining(`'${key}'`)
      })
    }
    const byId = store.search({ like: id })
    await expect(byId).rejects.toMatchObject({ code: 'CONCEPT_NOT_FOUND', details: { id } })
    await byId.catch((error: { details: object }) => expect(error.details).toEqual({ id }))
  })

  test('must have a vector', async () => {
    await expect(store.search({ like: { key: 'c' } })).rejects.toMatchObject({
      code: 'QUERY_INVALID',
      details: { option: 'like', received: { key: 'c' } }
    })
  })

  test('must be one, in a query that asks one thing', async () => {
    for (const query of [{}, { like: { key: 'a' }, vector: [1, 0] }, { vektor: [1, 0] }]) {
      await expect(store.search(query as SearchQuery)).rejects.toMatchObject({
        code: 'QUERY_INVALID'
      })
    }
  })
})

test('a filter is the one that was given, whatever becomes of the object', async () => {
  const keys = ['a']
  const where = { key: { in: keys } }

  const searching = store.search([1, 0], { where })
  keys.push('b')
  Object.assign(where, { key: 'c' })

  expect((await searching).map(({ key }) => key)).toEqual(['a'])
})

test('what is told of a search is how it was done', async () => {
  const told: unknown[] = []
  const watching = store.telemetry$.subscribe((event) => {
    if (event.type === 'query') told.push(event)
  })

  await store.search([1, 0], { k: 1 })
  await store.search([1, 0], { k: 2, ef: 100 })
  await store.search([1, 0], { exact: true })
  await store.get({ key: 'a' })
  watching.unsubscribe()

  expect(told).toMatchObject([
    { kind: 'search', k: 1, results: 1, strategy: 'graph', ef: 64 },
    { kind: 'search', k: 2, results: 2, strategy: 'graph', ef: 100 },
    { kind: 'search', k: 10, results: 2, strategy: 'scan' },
    { kind: 'get', results: 1 }
  ])
  expect(told[2]).not.toHaveProperty('ef')
  expect(told[3]).not.toHaveProperty('strategy')
})
