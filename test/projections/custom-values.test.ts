import { runInNewContext } from 'node:vm'
import { defineProjection, type Rows } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { decodeRowValue, encodeRowValue } from '#sutra/projections/custom/row-values.js'
import { pack } from '#sutra/storage/codec.js'
import { openTemporaryStore } from '../support/open-store.ts'

function copyOf(value: unknown): unknown {
  return decodeRowValue(encodeRowValue(value))
}

const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)])
const circular: Record<string, unknown> = { name: 'a' }
circular['self'] = { of: [circular] }

/** What the general encoder has a form for. */
const PLAIN: unknown[] = [
  null,
  true,
  false,
  ...[0, 1, 31, 32, 127, 128, 255, 256, 65_535, 65_536, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53],
  ...[-1, -32, -33, -128, -129, -32_768, -32_769, -(2 ** 31), -(2 ** 31) - 1, 0.1, -1e300],
  ...[Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  ...['', 'short', 'größer 😀', 'x'.repeat(31), 'ö'.repeat(40), 'x'.repeat(70_000)],
  ...[0n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 63n, 2n ** 64n - 1n],
  ...[0, 1, -1, -500, 1_700_000_000_000, 1_700_000_000_123, 2 ** 32 * 1000 + 7, 8.64e15].map(
    (time) => new Date(time)
  ),
  new Date(Number.NaN),
  [],
  Array.from({ length: 20 }, (_, n) => n),
  Array.from({ length: 70_000 }, () => 0),
  {},
  { a: undefined, b: [null, undefined], constructor: 2, '': { 'ö é': -1 }, 7: 'seven' },
  nested(250)
]

describe('the value of a row', () => {
  test.each(PLAIN.map((value) => [value]))('comes back as it was: %o', (value) => {
    expect(copyOf(value)).toStrictEqual(value)
    // Rows of older versions were made so, and hashes of them are compared with new ones.
    expect(encodeRowValue(value)).toEqual(pack(value))
  })

  test('may be bytes, of any class of them', () => {
    for (const length of [0, 1, 255, 256, 65_536]) {
      const bytes = Buffer.alloc(length, 0xab)
      for (const value of [bytes, new Uint8Array(bytes)]) {
        expect(copyOf({ value, behind: 1 })).toEqual({ value: bytes, behind: 1 })
        expect(encodeRowValue(value)).toEqual(pack(bytes))
      }
    }
  })

  test.each([
    new Float32Array([0.5, 0.25, -0.75, 1e30]),
    new Float32Array(0),
    new Float32Array(63).fill(1.5),
    new Float32Array(64).fill(1.5),
    new Float32Array(20_000).fill(-1.5),
    // A part of a larger buffer.
    new Float32Array([1, 2, 3, 4]).subarray(1, 3),
    new Float64Array([Math.PI, Number.NaN]),
    new Int8Array([-128, 127]),
    new Uint8ClampedArray([0, 255]),
    new Int16Array([-300, 300]),
    new Uint16Array([300, 65_535]),
    new Int32Array([-(2 ** 31)]),
    new Uint32Array([2 ** 32 - 1]),
    new BigInt64Array([-(2n ** 63n)]),
    new BigUint64Array([2n ** 64n - 1n])
  ])('may be a typed array: %o', (value) => {
    const copied = copyOf([{ value }, 'behind']) as [{ value: unknown }, string]

    expect(copied).toStrictEqual([{ value: value.slice() }, 'behind'])
    expect(Object.getPrototypeOf(copied[0].value)).toBe(Object.getPrototypeOf(value))
    expect(encodeRowValue(value)).toEqual(encodeRowValue(value.slice()))
  })

  test('may be an object without a prototype, or of another realm', () => {
    expect(copyOf(Object.assign(Object.create(null), { a: 1 }))).toStrictEqual({ a: 1 })
    expect(copyOf(runInNewContext('({ a: [1, new Date(5), new Uint16Array([300])] })'))).toEqual({
      a: [1, new Date(5), new Uint16Array([300])]
    })
  })

  test('has one zero, as keys have', () => {
    expect(copyOf([-0])).toStrictEqual([0])
  })

  test('may have more members than a short map', () => {
    const many = Object.fromEntries(Array.from({ length: 65_537 }, (_, n) => [`k${n}`, n % 7]))

    expect(copyOf(many)).toStrictEqual(many)
  })

  test.each<[unknown, RegExp]>([
    [undefined, /must have a value, received undefined/],
    [() => 1, /holds a function, which could not be given back as it was/],
    [{ on: { done: () => 1 } }, /holds a function at 'on.done'/],
    [[Symbol('x')], /holds a symbol at '\[0\]'/],
    [{ a: [1, new Set([1])] }, /holds an object of class Set at 'a\[1\]'/],
    [new Map([[1, 2]]), /class Map/],
    [{ a: /x/ }, /class RegExp at 'a'/],
    [new Error('e'), /class Error/],
    [new ArrayBuffer(4), /class ArrayBuffer/],
    [new DataView(new ArrayBuffer(4)), /class DataView/],
    [Object(1), /class Number/],
    [new (class Point {})(), /class Point/],
    [Promise.resolve(1), /class Promise/],
    [{ big: 2n ** 64n }, /holds the number 18446744073709551616n, of more than 64 bits, at 'big'/],
    [[-(2n ** 63n) - 1n], /of more than 64 bits, at '\[0\]'/],
    [JSON.parse('{"a":{"__proto__":{"x":1}}}'), /a member of this name at 'a.__proto__'/],
    [{ [Symbol('x')]: 1 }, /a symbol as name/],
    // biome-ignore lint/suspicious/noSparseArray: it is what is refused.
    [{ a: [1, , 2] }, /a hole in an array at 'a\[1\]'/],
    [{ a: 'cut \ud83d' }, /text that is not well-formed at 'a'/],
    [{ 'cut \ud83d': 1 }, /a name that is not well-formed/],
    [circular, /nesting deeper than 256/],
    [nested(257), /nesting deeper than 256/]
  ])('is refused where it could not come back: %o', (value, message) => {
    expect(() => encodeRowValue(value)).toThrow(TypeError)
    expect(() => encodeRowValue(value)).toThrow(message)
    // What was refused leaves nothing behind.
    expect(copyOf({ a: 'after' })).toStrictEqual({ a: 'after' })
  })

  test('is refused when it is too large, however it got so', () => {
    let shared: unknown = 'x'.repeat(1000)
    // 2^200 members, were they all written.
    for (let n = 0; n < 200; n++) shared = [shared, shared]

    for (const value of ['x'.repeat(1024 * 1024), shared]) {
      expect(() => encodeRowValue(value)).toThrow(
        expect.objectContaining({ code: 'LIMIT_EXCEEDED', details: expect.anything() })
      )
    }
  })
})

describe('a projection that keeps embeddings', () => {
  const embeddings = defineProjection({
    name: 'embeddings',
    version: 1,
    types: ['concept-learned'],
    apply(event, rows: Rows) {
      rows.put(['text', event.position], 'what others stored '.repeat(20))
      rows.put(event.data.id, event.data.embedding)
      rows.put(['sum', event.position], { sum: new Float64Array([0.1, event.position]) })
    },
    queries: { get: (rows, key: string) => rows.get(key) }
  })

  test('gives them back, and makes the same rows each time', async () => {
    await using temporary = await openTemporaryStore({
      projections: [embeddings],
      vectors: { dimensions: 4 },
      durability: 'os'
    })
    const { store } = temporary
    for (let n = 0; n < 30; n++) {
      await store.learn({ id: { key: `k${n}` }, content: `${n}`, embedding: [0.5, 0.25, -0.75, n] })
    }
    const { id } = (await store.get({ key: 'k3' })) ?? {}
    const expected = await store.vector({ key: 'k3' })
    const before = await store.projection(embeddings).get(String(id))
    await store.caughtUp()

    expect(before).toStrictEqual(expected)
    expect(await store.projection(embeddings).get(String(id))).toStrictEqual(expected)
    expect(await store.verify()).toMatchObject({ ok: true })
    const { hash } = await store.projections.hash('embeddings')
    await store.rebuild({ projections: ['embeddings'] })
    expect(await store.projections.hash('embeddings')).toMatchObject({ hash })
  })

  test('stops in front of an event whose row cannot be kept, and says where it is', async () => {
    const sets = defineProjection({
      name: 'sets',
      version: 1,
      apply: (event, rows: Rows) => rows.put('k', { seen: new Set([event.position]) })
    })
    await using temporary = await openTemporaryStore({ projections: [sets], check: false })
    const { store } = temporary

    await store.learn({ content: 'x' })
    await store.caughtUp().catch(() => undefined)

    await expect
      .poll(() => store.projections.list())
      .toMatchObject([{ state: 'stopped', error: expect.stringContaining("class Set at 'seen'") }])
  })
})
