import fc from 'fast-check'
import { ConceptId } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import {
  conceptBytesMax,
  decodeConcept,
  writeConcept
} from '#sutra/projections/tables/concept-row.js'
import { Random } from '../../support/random.ts'

const { seed } = new Random()
const bytes = fc.option(fc.uint8Array({ maxLength: 40 }), { nil: undefined })
const text = (minLength: number) => fc.string({ minLength, maxLength: 60, unit: 'grapheme' })
const name = fc.option(text(1), { nil: undefined })
const whole = fc.integer({ min: 0, max: 2 ** 48 - 1 })
const small = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const unit = fc.oneof(fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true }))

const states = fc.record({
  ordinal: small,
  id: text(1).map((key) => ConceptId.fromKey(key)),
  key: name,
  type: name,
  content: text(0),
  data: bytes,
  strength: unit,
  confidence: unit,
  metadata: bytes,
  version: small,
  createdAt: whole,
  updatedAt: whole,
  position: whole,
  stub: fc.boolean()
})
/** A concept without a vector has neither a revision nor a position of it. */
const vectors = fc.oneof(
  fc.constant({ revision: 0, vectorPosition: 0 }),
  fc.record({ revision: fc.integer({ min: 1, max: 2 ** 32 - 1 }), vectorPosition: whole })
)

describe('the row of a concept', () => {
  test(`gives back what was written, seed: ${seed}`, () => {
    fc.assert(
      fc.property(states, vectors, (state, vector) => {
        const written = { ...state, ...vector }
        const out = Buffer.alloc(conceptBytesMax(written) + 7)
        const end = writeConcept(out, 7, written)
        const read = decodeConcept(written.ordinal, out.subarray(7, end))
        expect({ ...read, data: plain(read.data), metadata: plain(read.metadata) }).toEqual(written)
      }),
      { seed }
    )
  })

  test('of another layout, or cut, is refused', () => {
    const state = fc.sample(states, { seed, numRuns: 1 })[0]
    if (state === undefined) throw new Error('a sample has one')
    const written = { ...state, key: 'a key', revision: 0, vectorPosition: 0 }
    const out = Buffer.alloc(conceptBytesMax(written))
    const row = out.subarray(0, writeConcept(out, 0, written))
    expect(() => decodeConcept(1, row.subarray(0, 38))).toThrow(RangeError)
    row[0] = 0x9f
    expect(() => decodeConcept(1, row)).toThrow('layout 159')
  })
})

function plain(view: Uint8Array | undefined): Uint8Array | undefined {
  return view && Uint8Array.from(view)
}
