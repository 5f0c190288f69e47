import assert from 'node:assert/strict'
import fc from 'fast-check'
import { ConceptId, type ImportRecord, isStoreError } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { openTemporaryStore } from '../support/open-store.ts'
import { seeded } from './bytes.ts'

const COUNT = 1000

describe('records of a program that fills the same objects anew', () => {
  /** Gives one record after the other in the same memory. */
  function* reusing(): Generator<ImportRecord> {
    const embedding = new Float32Array(2)
    const data = Buffer.alloc(1)
    const metadata = { at: 0, deep: { list: [0] } }
    const record = { kind: 'concept' as const, key: '', content: '', embedding, data, metadata }
    const of = { at: 0 }
    for (let i = 0; i < COUNT; i++) {
      embedding.set([i, 1])
      data[0] = i % 256
      metadata.at = i
      metadata.deep.list[0] = i
      Object.assign(record, { key: `k${i}`, content: `concept ${i}` })
      yield record
      of.at = i
      // The target comes later, so that it has to wait.
      const target = `k${Math.min(COUNT - 1, i + 500)}`
      const ends = { sourceKey: `k${i}`, targetKey: target }
      yield { kind: 'association', ...ends, type: 'of', metadata: of }
    }
  }
  async function* slowly(): AsyncGenerator<ImportRecord> {
    yield* reusing()
  }
  async function* bytes(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(numbers.join('\n'))
  }
  const made = reusing()
  const numbers = Array.from({ length: 2 * COUNT }, (_, i) => i)

  test.each([
    ['an iterable', () => reusing(), {}],
    ['an async iterable', () => slowly(), {}],
    ['a map of bytes', () => bytes(), { map: () => made.next().value ?? undefined }]
  ])('%s', async (_, source, options) => {
    await using temporary = await openTemporaryStore({
      vectors: { dimensions: 2, metric: 'l2sq' },
      durability: 'os'
    })
    const { store } = temporary

    const report = await store.import(source(), options)

    expect(report).toMatchObject({ concepts: COUNT, associations: COUNT, rejectedCount: 0 })
    for (let i = 0; i < COUNT; i++) {
      const concept = await store.get({ key: `k${i}` })
      expect(concept?.metadata).toEqual({ at: i, deep: { list: [i] } })
      expect([...(concept?.data ?? [])]).toEqual([i % 256])
      expect([...((await store.vector({ key: `k${i}` })) ?? [])]).toEqual([i, 1])
      const [link] = await store.neighbors({ key: `k${i}` }, { direction: 'out' })
      expect(link?.metadata).toEqual({ at: i })
    }
  })
})

test('they are copied however small a commit may be', async () => {
  await using temporary = await openTemporaryStore({
    vectors: { dimensions: 128, metric: 'l2sq' },
    durability: 'os',
    limits: { commitBytes: 1024, metadataBytes: 256, contentBytes: 256 }
  })
  const { store } = temporary
  // Each is nearly as large as it may be: much of the metadata, or the vector, or the bytes.
  const metadata: Record<string, number> = {}
  const embedding = new Float32Array(128)
  const data = Buffer.alloc(256)
  function* records(): Generator<ImportRecord> {
    for (let i = 0; i < 30; i++) {
      for (let field = 0; field < 30; field++) metadata[`field ${field}`.slice(-5)] = i
      embedding.fill(i + 1)
      data.fill(i)
      const concept = { kind: 'concept' as const, key: `k${i}`, content: `concept ${i}` }
      yield { ...concept, ...(i % 3 === 0 ? { metadata } : i % 3 === 1 ? { embedding } : { data }) }
    }
  }

  const report = await store.import(records())

  expect(report.rejected).toEqual([])
  for (let i = 0; i < 30; i++) {
    const concept = await store.get({ key: `k${i}` })
    const vector = await store.vector({ key: `k${i}` })
    const [number] = [Object.values(concept?.metadata ?? {}), vector, concept?.data][i % 3] ?? []
    expect(number).toBe(i % 3 === 1 ? i + 1 : i)
  }
})

test('metadata of a record is what it would be if it were learned, and refused where that is', async () => {
  await using temporary = await openTemporaryStore({ durability: 'os' })
  const { store } = temporary
  let count = 0
  const odd = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withObjectString: true,
    withSparseArray: true,
    withTypedArray: true
  })
  const metadata = fc.oneof(
    fc.dictionary(fc.oneof(fc.string(), fc.constant('__proto__')), odd, { maxKeys: 4 }),
    fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 4 })
  )

  await fc.assert(
    fc.asyncProperty(metadata, async (value) => {
      count += 1
      const [learned, imported] = [`learned ${count}`, `imported ${count}`]
      const refusal = await store
        .learn({ content: learned, metadata: value })
        .then(() => undefined)
        .catch((error: unknown) => error)

      const report = await store.import([
        { kind: 'concept', content: imported, metadata: value }
      ] as ImportRecord[])

      if (refusal === undefined) {
        const [one, other] = await store.getMany(
          [learned, imported].map((content) => ConceptId.fromContent(content))
        )
        expect(report.rejected).toEqual([])
        expect(other?.metadata).toEqual(one?.metadata)
      } else {
        assert(isStoreError(refusal))
        expect(report.rejected).toEqual([
          { line: 1, reason: `${refusal.message} (${refusal.code})` }
        ])
      }
    }),
    seeded(500)
  )
})

test.each([
  ['a circle', () => circle()],
  ['a list that holds itself', () => selfish()],
  ['values that are shared more often than there is memory', () => doubled(40)],
  ['a class', () => ({ a: new (class Odd {})() })],
  ['a member named __proto__', () => JSON.parse('{"a":{"__proto__":{"b":1}}}')],
  ['a symbol as name', () => ({ a: { [Symbol('s')]: 1 } })],
  ['a list that is too long', () => ({ a: new Array(2 ** 24).fill(0) })],
  [
    'a getter that throws',
    () => ({
      a: {
        get b() {
          throw new Error('no')
        }
      }
    })
  ]
])('metadata that holds %s is refused', async (_, metadata) => {
  await using temporary = await openTemporaryStore({ durability: 'os' })
  const { store } = temporary
  const records = [
    { kind: 'concept', content: 'bad', metadata: metadata() },
    { kind: 'concept', content: 'good', metadata: {} }
  ] as ImportRecord[]

  const report = await store.import(records)

  expect(report).toMatchObject({ concepts: 1, rejectedCount: 1, rejected: [{ line: 1 }] })
})

function circle(): object {
  const one: { self?: unknown } = {}
  one.self = one
  return one
}

function selfish(): object {
  const list: unknown[] = []
  list.push(list)
  return { list }
}

function doubled(times: number): object {
  let value: unknown[] = []
  for (let i = 0; i < times; i++) value = [value, value]
  return { value }
}
