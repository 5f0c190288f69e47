/** How a schema narrows names and metadata, and what is there without one. */
import type { Concept, Reader, Receipt, Store, View } from 'sutra-storage'
import { ConceptId, open } from 'sutra-storage'
import { describe, expectTypeOf, test } from 'vitest'

interface Library {
  type: 'person' | 'book'
  association: 'wrote' | 'cites'
  metadata: { year?: number }
}

declare const library: Store<Library>
declare const plain: Store
const id = ConceptId.fromKey('ada')

describe('a store with a schema', () => {
  test('open gives one', () => {
    expectTypeOf(open<Library>).returns.resolves.toEqualTypeOf<Store<Library>>()
  })

  test('narrows what may be written', () => {
    void library.learn({ type: 'book', content: 'Notes', metadata: { year: 1843 } })
    void library.associate({ source: id, target: { key: 'notes' }, type: 'wrote' })
    void library.commit([
      { do: 'learn', type: 'person', content: 'Ada' },
      { do: 'dissociate', source: id, target: id, type: 'cites' }
    ])

    // @ts-expect-error 'film' is no type of this store.
    void library.learn({ type: 'film', content: 'Metropolis' })
    // @ts-expect-error 'likes' is no type of association of this store.
    void library.associate({ source: id, target: id, type: 'likes' })
    // @ts-expect-error A year is a number.
    void library.learn({ content: 'Notes', metadata: { year: '1843' } })
    // @ts-expect-error A command names one of the types as well.
    void library.commit([{ do: 'learn', type: 'film', content: 'Metropolis' }])
  })

  test('narrows what is read', () => {
    expectTypeOf(library.get).returns.resolves.toEqualTypeOf<Concept<Library> | undefined>()
    expectTypeOf<Concept<Library>['type']>().toEqualTypeOf<'person' | 'book' | undefined>()
    expectTypeOf<Concept<Library>['metadata']>().toEqualTypeOf<{ year?: number }>()
    expectTypeOf(library.neighbors)
      .returns.resolves.items.toHaveProperty('type')
      .toEqualTypeOf<'wrote' | 'cites'>()
    expectTypeOf(library.view).returns.resolves.toEqualTypeOf<View<Library>>()
  })
})

describe('a store without a schema', () => {
  test('takes any names, and metadata of any shape', () => {
    void plain.learn({ type: 'anything', content: 'x', metadata: { a: [1, { b: null }] } })
    expectTypeOf<Concept['type']>().toEqualTypeOf<string | undefined>()
    expectTypeOf<Concept['metadata']>().toEqualTypeOf<object>()
  })

  test('and a view are readers', () => {
    expectTypeOf<Store>().toExtend<Reader>()
    expectTypeOf<View>().toExtend<Reader>()
    expectTypeOf<View>().not.toHaveProperty('learn')
  })
})

test('an id is no string that just happened to come along', () => {
  // @ts-expect-error Ids are made by ConceptId, which checks them.
  void plain.get('37592a0d12edcc9d87cc96ce1336fd92')
  void plain.get(ConceptId.fromHex('37592a0d12edcc9d87cc96ce1336fd92'))
  void plain.get({ key: 'ada' })
  expectTypeOf(id).toExtend<string>()
})

test('every writing method resolves to a receipt', () => {
  expectTypeOf(plain.learn).returns.resolves.toEqualTypeOf<Receipt>()
  expectTypeOf(plain.associate).returns.resolves.toEqualTypeOf<Receipt>()
  expectTypeOf(plain.reinforce).returns.resolves.toEqualTypeOf<Receipt>()
  expectTypeOf(plain.revise).returns.resolves.toEqualTypeOf<Receipt>()
  expectTypeOf(plain.forget).returns.resolves.toEqualTypeOf<Receipt>()
  expectTypeOf(plain.dissociate).returns.resolves.toEqualTypeOf<Receipt>()
  expectTypeOf(plain.commit).returns.resolves.toEqualTypeOf<Receipt>()
  expectTypeOf<Receipt>().toEqualTypeOf<{
    outcome: 'appended' | 'duplicate'
    first: number
    last: number
    durability: 'fsync' | 'interval' | 'os'
    backlog: number
    results: { id?: ConceptId; key?: string; version: number; created: boolean }[]
  }>()
})
