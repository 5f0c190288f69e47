/** What a search takes and gives. */
import type {
  Association,
  Concept,
  Match,
  RecallReport,
  Related,
  SearchOptions,
  Stats,
  Store,
  TelemetryEvent
} from 'sutra-storage'
import { expectTypeOf, test } from 'vitest'

declare const store: Store<{ type: 'book'; association: 'cites'; metadata: { year: number } }>

test('a search takes ef as a number or as a recall', () => {
  expectTypeOf<SearchOptions['ef']>().toEqualTypeOf<number | { recall: number } | undefined>()
  // @ts-expect-error A recall is no bare text.
  void store.search([1], { ef: '0.99' })
})

test('weights and expansions have the names that are documented, and no others', () => {
  const score = { similarity: 1, strength: 1, confidence: 1, recency: { weight: 1 } }
  void store.search([1], { score, expand: { hops: 2, types: ['cites'], limit: 5 } })
  // @ts-expect-error There is no such part.
  void store.search([1], { score: { age: 1 } })
  // @ts-expect-error There is no such option.
  void store.search([1], { expand: { depth: 2 } })
})

test('a match and what is related to it know the schema of the store', async () => {
  const [match] = await store.search([1], { expand: {} })
  type S = { type: 'book'; association: 'cites'; metadata: { year: number } }

  expectTypeOf(match).toEqualTypeOf<Match<S> | undefined>()
  expectTypeOf<Match<S>['related']>().toEqualTypeOf<Related<S>[] | undefined>()
  expectTypeOf<Related<S>['via']>().toEqualTypeOf<Association<S>[]>()
  expectTypeOf<Related<S>['concept']>().toEqualTypeOf<Concept<S> | undefined>()
})

test('a check gives the report that stats show', () => {
  expectTypeOf(store.checkVectors).returns.resolves.toEqualTypeOf<RecallReport>()
  expectTypeOf<Stats['vectors']['recall']>().toEqualTypeOf<RecallReport | undefined>()
})

test('telemetry tells how a search was done', () => {
  type Query = Extract<TelemetryEvent, { type: 'query' }>

  expectTypeOf<Query['strategy']>().toEqualTypeOf<'graph' | 'among' | 'scan' | undefined>()
})
