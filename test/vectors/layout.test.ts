import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  findRevision,
  newIds,
  newSlab,
  RowIds,
  Slab,
  slabRows
} from '#sutra/projections/vectors/layout.js'
import { Random } from '../support/random.ts'

const random = new Random()

test.each([1, 2, 3, 7, 24, 100, 384, 1000, 1024, 4095, 4096])(
  'a slab of %i dimensions keeps each row by itself',
  (dimensions) => {
    const rows = slabRows(dimensions)
    expect(Math.log2(rows) % 1).toBe(0)
    expect(rows * dimensions * 4).toBeLessThanOrEqual(4 * 1024 * 1024)
    const slab = new Slab(newSlab(dimensions), dimensions)
    const slots = [0, 1, rows >> 1, rows - 2, rows - 1]
    const given = new Map(slots.map((slot) => [slot, vectorOf(dimensions)]))
    for (const [slot, vector] of given) slab.fill(slot, bytesOf(vector))

    // Another thread sees the same memory.
    const other = new Slab(slab.buffer, dimensions)
    for (const [slot, vector] of given) {
      const at = slot * dimensions
      const norm = Math.sqrt(vector.reduce((sum, one) => sum + one * one, 0))
      expect(other.isFilled(slot)).toBe(true)
      expect(other.vectors.slice(at, at + dimensions)).toEqual(vector)
      expect(other.inverseNorms[slot]).toBeCloseTo(1 / norm, 10)
      expect(crc32(other.bytesOf(slot, 1))).toBe(crc32(bytesOf(vector)))
    }
    for (const slot of [2, 3, rows - 3]) {
      if (!given.has(slot)) expect(other.isFilled(slot)).toBe(false)
    }
  }
)

test('a row is copied from bytes at any alignment', () => {
  const vector = vectorOf(3)
  const slab = new Slab(newSlab(3), 3)
  const odd = Buffer.concat([Buffer.alloc(1), bytesOf(vector)]).subarray(1)

  slab.fill(5, odd)

  expect(slab.vectors.slice(15, 18)).toEqual(vector)
})

test('rows that are filled in place have their norms', () => {
  const slab = new Slab(newSlab(2), 2)
  slab.bytesOf(7, 2).set(bytesOf(Float32Array.of(3, 4, 0, 2)))

  expect(slab.isFilled(7)).toBe(false)
  slab.filled(7)
  slab.filled(8)

  expect([slab.inverseNorms[7], slab.inverseNorms[8]]).toEqual([1 / 5, 1 / 2])
})

test('ids are found by their revisions, with and without gaps', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat({ max: 400 }), { maxLength: 120 }),
      fc.nat({ max: 120 }),
      (numbers, count) => {
        const revisions = numbers.map((one) => one + 1).sort((a, b) => a - b)
        const ids = new RowIds(newIds(revisions.length + 1))
        revisions.forEach((revision, row) => {
          ids.set(row, revision * 2, revision)
          ids.setChecksum(row, revision * 3)
        })
        const rows = Math.min(count, revisions.length)

        const shared = new RowIds(ids.buffer)
        for (let revision = 0; revision <= 402; revision++) {
          const expected = revisions.slice(0, rows).indexOf(revision)
          expect(shared.rowOf(revision, rows)).toBe(expected)
          if (expected === -1) continue
          expect(shared.ordinalAt(expected)).toBe(revision * 2)
          expect(shared.checksumAt(expected)).toBe(revision * 3)
        }
      }
    ),
    { seed: random.seed, numRuns: 200 }
  )
})

test('numbers up to the largest of 32 bits are kept, and larger ones refused', () => {
  const ids = new RowIds(newIds(2))
  ids.set(1, 2 ** 32 - 1, 2 ** 32 - 1)

  expect([ids.ordinalAt(1), ids.revisionAt(1), ids.ordinalAt(0)]).toEqual([
    2 ** 32 - 1,
    2 ** 32 - 1,
    0
  ])
  expect(() => ids.set(0, 2 ** 32, 1)).toThrow('Invariant broken')
  expect(() => ids.set(0, 1, 2 ** 32)).toThrow('Invariant broken')
  expect(ids.bytesOf(1, 2)).toHaveLength(12)
})

test('a number is looked for within its stretch alone', () => {
  const list = [1, 2, 3, 10, 11, 12]
  const at = (row: number): number => list[row] ?? Number.NaN

  expect(findRevision(1, 4, 3, at)).toBe(2)
  expect(findRevision(1, 4, 10, at)).toBe(3)
  expect(findRevision(1, 4, 1, at)).toBe(-1)
  expect(findRevision(1, 4, 11, at)).toBe(-1)
  expect(findRevision(2, 2, 3, at)).toBe(-1)
})

function vectorOf(dimensions: number): Float32Array {
  return Float32Array.from({ length: dimensions }, () => random.next() + 0.1)
}

function bytesOf(vector: Float32Array): Uint8Array {
  return new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength)
}
