import fc from 'fast-check'
import type { RowKey, RowKeyPart } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { boundsOf, decodeRowKey, encodeRowKey } from '#sutra/projections/custom/row-keys.js'

const text = fc.string({ unit: 'binary', maxLength: 6 })
const part = fc.oneof(text, fc.double({ noNaN: true }), fc.integer({ min: -3, max: 3 }))
const key: fc.Arbitrary<RowKey> = fc.oneof(part, fc.array(part, { minLength: 1, maxLength: 3 }))

describe('keys of rows', () => {
  test('come back as they were', () => {
    fc.assert(
      fc.property(key, (one) => {
        expect(decodeRowKey(encodeRowKey(one))).toEqual(plus(one))
      })
    )
  })

  test('sort as bytes as they do by themselves', () => {
    fc.assert(
      fc.property(key, key, (a, b) => {
        expect(Math.sign(encodeRowKey(a).compare(encodeRowKey(b)))).toBe(compare(a, b))
      }),
      { numRuns: 2000 }
    )
  })

  test('an array begins exactly those that it begins', () => {
    const array = fc.array(part, { minLength: 1, maxLength: 3 })
    fc.assert(
      fc.property(array, key, (prefix, one) => {
        const begins =
          Array.isArray(one) && prefix.every((member, i) => compare(member, one[i] ?? null) === 0)
        expect(isWithin(one, { prefix })).toBe(begins)
      })
    )
  })

  test('a text begins exactly those that it begins', () => {
    fc.assert(
      fc.property(text, key, (prefix, one) => {
        expect(isWithin(one, { prefix })).toBe(typeof one === 'string' && one.startsWith(prefix))
      })
    )
  })

  test('bounds of a range leave out what they say', () => {
    fc.assert(
      fc.property(key, key, (bound, one) => {
        const order = compare(one, bound)
        expect(isWithin(one, { gte: bound })).toBe(order >= 0)
        expect(isWithin(one, { gt: bound })).toBe(order > 0)
        expect(isWithin(one, { lt: bound })).toBe(order < 0)
        expect(isWithin(one, { lte: bound })).toBe(order <= 0)
      })
    )
  })

  test.each([[[]], [null], [undefined], [Number.NaN], [true], [{}], [['a', null]], ['\ud800']])(
    'are refused: %j',
    (wrong) => {
      expect(() => encodeRowKey(wrong as RowKey)).toThrow(TypeError)
    }
  )

  test('are no longer than they may be', () => {
    const details = { limit: 'rowKeyBytes', max: 1024 }

    expect(() => encodeRowKey('é'.repeat(600))).toThrow(
      expect.objectContaining({ code: 'LIMIT_EXCEEDED', details: expect.objectContaining(details) })
    )
    expect(() => encodeRowKey('\0'.repeat(600))).toThrow(/limit/)
    expect(() => encodeRowKey(Array.from({ length: 200 }, () => 1))).toThrow(/limit/)
    expect(decodeRowKey(encodeRowKey('a'.repeat(1000)))).toBe('a'.repeat(1000))
  })
})

function isWithin(one: RowKey, range: Parameters<typeof boundsOf>[0]): boolean {
  const bytes = encodeRowKey(one)
  const { gte, lt } = boundsOf(range)
  return bytes.compare(gte) >= 0 && bytes.compare(lt) < 0
}

/** There is one zero. */
function plus(one: RowKey): RowKey {
  if (typeof one === 'object') return one.map((member) => (member === 0 ? 0 : member))
  return one === 0 ? 0 : one
}

type Comparable = RowKey | null

/** Numbers, texts by code points, arrays; nothing comes before everything. */
function compare(a: Comparable, b: Comparable): number {
  const rank = (one: Comparable): number =>
    one === null ? 0 : typeof one === 'number' ? 1 : typeof one === 'string' ? 2 : 3
  if (rank(a) !== rank(b)) return Math.sign(rank(a) - rank(b))
  if (typeof a === 'number' && typeof b === 'number') return a === b ? 0 : a < b ? -1 : 1
  if (typeof a === 'string' && typeof b === 'string') {
    return Math.sign(Buffer.from(a).compare(Buffer.from(b)))
  }
  return typeof a === 'object' && typeof b === 'object' ? compareArrays(a ?? [], b ?? []) : 0
}

function compareArrays(a: readonly RowKeyPart[], b: readonly RowKeyPart[]): number {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const order = compare(a[i] ?? null, b[i] ?? null)
    if (order !== 0) return order
  }
  return 0
}
