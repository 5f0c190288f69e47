/** What a projection says of its events, rows and queries, the compiler knows everywhere else. */
import type { ConceptId, RowKey, Rows, Store, View } from 'sutra-storage'
import { defineProjection } from 'sutra-storage'
import { describe, expectTypeOf, test } from 'vitest'

declare const store: Store
declare const view: View

const typed = defineProjection({
  name: 'typed',
  version: 2,
  types: ['concept-learned', 'association-created'],
  apply(event, rows: Rows<[day: string, n: number], { count: number }>) {
    expectTypeOf(event.type).toEqualTypeOf<'concept-learned' | 'association-created'>()
    if (event.type === 'association-created') {
      expectTypeOf(event.data.source).toEqualTypeOf<ConceptId>()
    } else {
      expectTypeOf(event.data.content).toEqualTypeOf<string | undefined>()
    }
    // @ts-expect-error It is not given events of this type.
    void (event.type === 'concept-forgotten')
    rows.put(['a', event.position], { count: 1 })
    // @ts-expect-error A key has two parts.
    rows.put(['a'], { count: 1 })
    // @ts-expect-error A count is a number.
    rows.put(['a', 1], { count: '1' })
  },
  queries: {
    one: (rows, day: string) => rows.get([day, 1]),
    async all(rows) {
      const found: number[] = []
      for await (const [[, n], { count }] of rows.range()) found.push(n * count)
      return found
    }
  }
})

describe('queries', () => {
  test('take and give what they were defined to, without the rows', () => {
    for (const reader of [store, view]) {
      const { one, all } = reader.projection(typed)
      expectTypeOf(one).toEqualTypeOf<(day: string) => Promise<{ count: number } | undefined>>()
      expectTypeOf(all).toEqualTypeOf<() => Promise<number[]>>()
    }
    // @ts-expect-error A day is a string.
    void store.projection(typed).one(1)
    // @ts-expect-error There is no such query.
    void store.projection(typed).two()
  })

  test('cannot change rows', () => {
    defineProjection({
      name: 'changing',
      version: 1,
      apply: (_, rows: Rows<string, number>) => rows.put('a', 1),
      queries: {
        // @ts-expect-error A query is given a reader.
        change: (rows) => rows.put('a', 1)
      }
    })
  })
})

describe('a newer version', () => {
  test('answers what the older one answered in the same way', () => {
    const next = { name: 'typed', version: 3, apply: () => {} }
    defineProjection({
      ...next,
      previous: typed,
      queries: {
        one: (_, day: string): { count: number } | undefined => ({ count: day.length }),
        more: () => 1
      }
    })
    defineProjection({
      ...next,
      // @ts-expect-error The older one answers with a count.
      previous: typed,
      queries: { one: (_, day: string) => day }
    })
  })
})

describe('a definition that says nothing of rows or events', () => {
  test('is given all events, and rows of any kind', () => {
    const plain = defineProjection({
      name: 'plain',
      version: 1,
      apply(event, rows) {
        expectTypeOf(event.position).toEqualTypeOf<number>()
        expectTypeOf(rows).toEqualTypeOf<Rows<RowKey, unknown>>()
        if (event.type === 'concept-forgotten')
          expectTypeOf(event.data.id).toEqualTypeOf<ConceptId>()
      },
      queries: { one: (rows) => rows.get('a') }
    })

    expectTypeOf(store.projection(plain).one).toEqualTypeOf<() => Promise<unknown>>()
  })
})
