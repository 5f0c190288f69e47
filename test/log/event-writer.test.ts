/** What an import writes without making it first must be what the general encoder would make. */
import * as fc from 'fast-check'
import { ConceptId } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import type {
  AssociationEnd,
  AssociationFields,
  ConceptFields,
  LogEvent
} from '#sutra/log/event.js'
import { encodeEvent } from '#sutra/log/event.js'
import { encodeBody, encodeFrame, type LogCommit, sealFrame } from '#sutra/log/frame.js'
import { decodeFrame } from '#sutra/log/frame-decode.js'
import { pack, unpack } from '#sutra/storage/codec.js'
import { MessageWriter } from '#sutra/storage/message-writer.js'

const SEED = Number(process.env['SUTRA_TEST_SEED'] ?? Date.now() % 1_000_000)
const OPTIONS = { seed: SEED, numRuns: 300 }

/** Lengths at which MessagePack changes how it writes a length, and a bit more or less. */
const LENGTHS = [
  0, 1, 10, 11, 15, 16, 31, 32, 33, 47, 48, 63, 64, 85, 86, 255, 256, 300, 65_535, 65_536
]
const length = fc.constantFrom(...LENGTHS)
const character = fc.constantFrom('a', 'z', '\u007f', '\u0080', 'é', '\u07ff', '\u0800', '€', '😀')
const text = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.tuple(character, length).map(([one, count]) => one.repeat(count)),
  fc
    .tuple(fc.array(character), length)
    .map((parts) => `${parts[0].join('')}${'x'.repeat(parts[1])}`)
)
const bytes = fc.oneof(
  fc.uint8Array(),
  length.map((count) => new Uint8Array(count).fill(count % 251))
)
const integer = fc.oneof(
  fc.constantFrom(0, 127, 128, 255, 256, 65_535, 65_536, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 52),
  fc.nat({ max: Number.MAX_SAFE_INTEGER })
)
const number = fc.oneof(
  integer,
  fc.double({ noNaN: true }),
  fc.constantFrom(-0, 0.5, -1, -32, -33, -128, -129, -32_768, -32_769, -(2 ** 31), -(2 ** 31) - 1)
)
const id = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((raw) => ConceptId.fromHex(Buffer.from(raw).toString('hex')))
const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(value, { nil: undefined })
const clearable = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null | undefined> =>
  fc.oneof(value, fc.constantFrom(null, undefined))
const vector = fc.record({ space: text, revision: integer, bytes })

/** Without the members that are `undefined`. */
const some = <T extends object>(fields: fc.Arbitrary<object>): fc.Arbitrary<T> =>
  fields.map(
    (given) =>
      Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as T
  )
const conceptFields = some<ConceptFields>(
  fc.record({
    key: optional(text),
    type: clearable(text),
    content: optional(text),
    data: clearable(bytes),
    strength: optional(number),
    confidence: optional(number),
    metadata: clearable(bytes),
    vector: clearable(vector),
    stub: optional(fc.boolean())
  })
)
const associationFields = some<AssociationFields>(
  fc.record({
    strength: optional(number),
    confidence: optional(number),
    metadata: clearable(bytes)
  })
)
const end: fc.Arbitrary<AssociationEnd> = fc.record({ ordinal: integer, id, key: optional(text) })
const event: fc.Arbitrary<LogEvent> = fc.oneof(
  fc.record({
    type: fc.constantFrom('concept-learned', 'concept-reinforced', 'concept-revised'),
    ordinal: integer,
    id,
    version: integer,
    created: fc.boolean(),
    fields: conceptFields
  }),
  fc.record({
    type: fc.constantFrom('association-created', 'association-reinforced', 'association-revised'),
    source: end,
    target: end,
    name: text,
    key: optional(text),
    version: integer,
    created: fc.boolean(),
    fields: associationFields
  }),
  fc.record({
    type: fc.constant('association-removed'),
    source: end,
    target: end,
    name: text,
    key: optional(text),
    version: integer
  }),
  fc.constant({ type: 'commit-noted' }),
  fc.record({
    type: fc.constant('event-quarantined'),
    subscription: text,
    position: integer,
    attempts: integer,
    error: text
  }),
  fc.record({
    type: fc.constant('event-released'),
    subscription: text,
    position: integer,
    outcome: fc.constantFrom('handled', 'discarded')
  })
)

describe(`seed ${SEED}`, () => {
  test('a frame is what the general encoder makes of its layout', () => {
    const commits = fc.array(
      fc.record({ time: integer, events: fc.array(event, { maxLength: 40 }) }),
      { maxLength: 20 }
    )
    fc.assert(
      fc.property(commits, (given) => {
        const written = given.map((commit) => ({ ...commit, first: 1, meta: undefined }))

        const body = encodeBody(written)

        const layout = given.map(({ time, events }) => [time, null, events.map(layoutOf)])
        expect(body.equals(pack(layout))).toBe(true)
      }),
      OPTIONS
    )
  })

  test('a frame made in one go is the body sealed, and reads as it was written', () => {
    const storeId = Buffer.alloc(16, 7)
    fc.assert(
      fc.property(fc.array(event, { minLength: 1 }), integer, (events, time) => {
        const commits: LogCommit[] = [{ time, first: 1, meta: { subject: 'someone' }, events }]
        const count = events.length
        const header = { format: 2, first: 1, count, time, previous: 5, storeId } as const

        const { key, value, checksum } = encodeFrame(commits, header)

        const sealed = sealFrame(encodeBody(commits), header)
        expect(value.equals(sealed.value)).toBe(true)
        expect(checksum).toBe(sealed.checksum)
        const layout = decodeFrame(key, value, storeId).commits[0]?.events.map(layoutOf) ?? []
        expect(pack(layout).equals(pack(events.map(layoutOf)))).toBe(true)
      }),
      OPTIONS
    )
  })

  test.each([
    ['a concept', [1, 1, 1, Buffer.alloc(16), 1, true, 512, 'more'], 'unknown mask 512'],
    ['a concept', [1, 1, 1, Buffer.alloc(16), 1, true, 4, 'a', 'b'], '2 fields where the mask'],
    ['an association', associationLayout(4, 'content'), 'unknown mask 4'],
    ['an association', associationLayout(16), '0 fields where the mask']
  ])('%s whose mask tells of other fields than follow is refused', (_, layout, says) => {
    const header = { format: 2, first: 1, count: 1, time: 5, previous: 0 } as const
    const body = pack([[5, null, [layout]]])
    const { key, value } = sealFrame(body, { ...header, storeId: Buffer.alloc(16) })

    expect(() => decodeFrame(key, value, Buffer.alloc(16))).toThrow(says)
  })

  test('a message is not changed by the next one, however large', () => {
    const writer = new MessageWriter()
    const sizes = [10, 100_000, 5_000_000, 3, 70_000]

    const messages = sizes.map((size) => {
      writer.begin()
      writer.array(2)
      writer.text('é'.repeat(size))
      writer.bytes(new Uint8Array(size).fill(size % 256))
      return writer.finish()
    })

    for (const [i, size] of sizes.entries()) {
      const [written, filled] = unpack(messages[i] ?? Buffer.alloc(0)) as [string, Buffer]
      expect(written === 'é'.repeat(size)).toBe(true)
      expect(filled.equals(Buffer.alloc(size, size % 256))).toBe(true)
    }
  })
})

/** The layout that event.ts tells, as an array. */
function layoutOf(one: LogEvent): unknown[] {
  switch (one.type) {
    case 'concept-learned':
    case 'concept-reinforced':
    case 'concept-revised': {
      const {
        key,
        type,
        content,
        data,
        strength,
        confidence,
        metadata,
        vector: v,
        stub
      } = one.fields
      const shown = v ? [v.space, v.revision, v.bytes] : v
      const fields = [key, type, content, data, strength, confidence, metadata, shown, stub]
      const code = ['', 'concept-learned', 'concept-reinforced', 'concept-revised'].indexOf(
        one.type
      )
      const head = [code, 1, one.ordinal, bytesOf(one.id), one.version, one.created]
      return [...head, maskOf(fields), ...given(fields)]
    }
    case 'association-created':
    case 'association-reinforced':
    case 'association-revised': {
      const { source, target, name, key, version, created } = one
      const { strength, confidence, metadata } = one.fields
      const code = { created: 5, reinforced: 6, revised: 7 }[one.type.slice('association-'.length)]
      const fields = [...new Array<undefined>(4).fill(undefined), strength, confidence, metadata]
      const ends = [...endOf(source), ...endOf(target)]
      const head = [code, 1, ...ends, name, key ?? null, version, created]
      return [...head, maskOf(fields), ...given(fields)]
    }
    case 'association-removed':
    case 'concept-forgotten':
    case 'vectors-declared':
    case 'commit-noted':
    case 'event-quarantined':
    case 'event-released':
      return encodeEvent(one)
  }
}

function associationLayout(mask: number, ...fields: unknown[]): unknown[] {
  const ends = [1, Buffer.alloc(16), null, 2, Buffer.alloc(16, 1), null]
  return [5, 1, ...ends, 'knows', null, 1, true, mask, ...fields]
}

function endOf({ ordinal, id: of, key }: AssociationEnd): unknown[] {
  return [ordinal, bytesOf(of), key ?? null]
}

function bytesOf(of: string): Buffer {
  return Buffer.from(of, 'hex')
}

function maskOf(fields: readonly unknown[]): number {
  return Array.from(fields).reduce<number>(
    (mask, value, bit) => (value === undefined ? mask : mask | (1 << bit)),
    0
  )
}

function given(fields: readonly unknown[]): unknown[] {
  return Array.from(fields).filter((value) => value !== undefined)
}
