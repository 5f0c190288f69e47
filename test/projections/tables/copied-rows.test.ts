/** Concepts that are copied from their events into rows must stand there as if they had been folded. */
import { mkdir } from 'node:fs/promises'
import * as fc from 'fast-check'
import { ConceptId } from 'sutra-storage'
import { expect, test } from 'vitest'
import {
  type ConceptChanged,
  type ConceptFields,
  type LogEvent,
  MalformedEvent
} from '#sutra/log/event.js'
import { LearnedConcept } from '#sutra/log/event-reader.js'
import { checkFrame, encodeFrame } from '#sutra/log/frame.js'
import { BodyReader, type RawFrame } from '#sutra/log/frame-decode.js'
import { foldConcept } from '#sutra/projections/state.js'
import {
  conceptBytesMax,
  copyLearned,
  learnedBytesMax,
  writeConcept
} from '#sutra/projections/tables/concept-row.js'
import { readWriterState, tablesTuning } from '#sutra/projections/tables/generation.js'
import { META, PREFIX } from '#sutra/projections/tables/keys.js'
import { TablesWriter } from '#sutra/projections/tables/tables-writer.js'
import { pack } from '#sutra/storage/codec.js'
import { Level } from '#sutra/storage/level.js'
import { Random } from '../../support/random.ts'
import { temporaryPath } from '../../support/temp.ts'

const { seed } = new Random()
const STORE_ID = Buffer.alloc(16, 7)
const TIME = 1_700_000_000_000
const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.nat({ max: 400 }).map((length) => 'é'.repeat(length))
)
const bytes = fc.option(fc.uint8Array({ maxLength: 80 }))
const unit = fc.oneof(fc.constantFrom(0, 1, 0.5), fc.double({ min: 0, max: 1, noNaN: true }))
const vector = fc.option(
  fc.record({ space: text, revision: fc.integer({ min: 1, max: 2 ** 31 }), bytes: fc.uint8Array() })
)
const fields: fc.Arbitrary<ConceptFields> = fc.record(
  {
    key: text,
    type: fc.option(fc.constantFrom('', 'a', 'another type', 'ein längerer Typ')),
    content: text,
    data: bytes,
    strength: unit,
    confidence: unit,
    metadata: fc.option(fc.dictionary(text, fc.double({ noNaN: true })).map(pack)),
    vector,
    stub: fc.boolean()
  },
  { requiredKeys: [] }
)

test(`a copied row is the folded one, seed: ${seed}`, () => {
  const where = fc.record({
    ordinal: fc.nat({ max: 2 ** 31 }),
    version: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
    position: fc.integer({ min: 1, max: 2 ** 48 - 1 }),
    time: fc.integer({ min: 1, max: 2 ** 48 - 1 })
  })
  fc.assert(
    fc.property(fields, where, (given, { ordinal, version, position, time }) => {
      const event = { ...learned(ordinal, given), version }
      const body = new BodyReader(frameOf(1, [event]))
      body.nextCommit()
      const found = new LearnedConcept()
      // As another event left it.
      found.read(new BodyReader(frameOf(1, [learned(1, FULL)])).reader)

      expect(found.read(body.reader)).toBe(true)
      expect(body.nextCommit()).toBeUndefined()

      const state = foldConcept(undefined, event, { position, time })
      const folded = Buffer.alloc(conceptBytesMax(state) + 5)
      const copied = Buffer.alloc(learnedBytesMax(found) + 5)
      const end = writeConcept(folded, 5, state)
      expect(copyLearned(copied, 5, body.reader.bytes, found, { position, time })).toBe(end)
      expect(copied.subarray(0, end).equals(folded.subarray(0, end))).toBe(true)
      expect(end).toBeLessThanOrEqual(copied.length)
    }),
    { seed, numRuns: 500 }
  )
})

test(`tables with an index to keep, which folds, and without, which copies, are the same, seed: ${seed}`, async () => {
  const change = fc.record({ fields, kind: fc.nat({ max: 9 }), of: fc.nat({ max: 1000 }) })
  const changes = fc.sample(change, { seed, numRuns: 400 })
  const frames: RawFrame[] = []
  const living: number[] = []
  let next = 1
  for (let at = 0; at < changes.length; at += 23) {
    const events = changes
      .slice(at, at + 23)
      .flatMap(({ fields: given, kind, of }, i): LogEvent[] => {
        const old = living[of % (living.length + 1)]
        if (kind > 6 && old !== undefined) {
          return [{ ...learned(old, given), type: 'concept-revised', version: 2, created: false }]
        }
        if (kind === 6 && old !== undefined) {
          living.splice(living.indexOf(old), 1)
          return [
            { type: 'concept-forgotten', ordinal: old, id: idOf(old), version: 3, key: undefined }
          ]
        }
        const ordinal = at + i + 1
        living.push(ordinal)
        return [learned(ordinal, given)]
      })
    frames.push(frameOf(next, events))
    next += events.length
  }

  const copied = await rowsOf(frames, {})
  const folded = await rowsOf(frames, { never: 'number' })

  expect(copied.length).toBeGreaterThan(400)
  expect(copied).toEqual(folded)
})

test.each([
  { name: 'a version below zero', of: { version: -1 } },
  { name: 'a version that no row has room for', of: { version: 2 ** 32 } },
  { name: 'an ordinal below zero', of: { ordinal: -1 } },
  { name: 'an ordinal that no key has room for', of: { ordinal: 2 ** 48 } },
  { name: 'a key longer than any', of: { fields: { key: 'k'.repeat(2 ** 16) } } },
  { name: 'a type longer than any', of: { fields: { type: 't'.repeat(2 ** 16) } } },
  {
    name: 'a revision below zero',
    of: { fields: { vector: { space: 'default', revision: -1, bytes: new Uint8Array(4) } } }
  }
])('$name is refused before a row is made of it', ({ of }) => {
  const body = new BodyReader(frameOf(1, [{ ...learned(1, {}), ...of }]))
  body.nextCommit()

  expect(() => new LearnedConcept().read(body.reader)).toThrow(MalformedEvent)
})

const FULL: ConceptFields = {
  key: 'key',
  type: 'type',
  content: 'content',
  data: Buffer.from('data'),
  strength: 0.1,
  confidence: 0.2,
  metadata: Buffer.from('metadata'),
  vector: { space: 'default', revision: 9, bytes: Buffer.alloc(8) },
  stub: true
}

function learned(ordinal: number, given: ConceptFields): ConceptChanged {
  return {
    type: 'concept-learned',
    ordinal,
    id: idOf(ordinal),
    version: 1,
    created: true,
    fields: given
  }
}

function idOf(ordinal: number): ConceptId {
  return ConceptId.fromKey(String(ordinal))
}

function frameOf(first: number, events: LogEvent[]): RawFrame {
  const header = {
    format: 2,
    first,
    count: events.length,
    time: TIME,
    previous: 0,
    storeId: STORE_ID
  } as const
  const { key, value } = encodeFrame([{ time: TIME, first, meta: undefined, events }], header)
  return { ...checkFrame(key, value, STORE_ID), value }
}

/** All but what tells of the index. */
async function rowsOf(frames: RawFrame[], indexes: Record<string, 'number'>): Promise<string[]> {
  const path = await temporaryPath('tables')
  await mkdir(path, { recursive: true })
  const level = await Level.create(path, tablesTuning(0))
  try {
    const writer = new TablesWriter(level, await readWriterState(level), indexes)
    for (let at = 0; at < frames.length; at += 3) await writer.apply(frames.slice(at, at + 3))
    const rows: string[] = []
    for await (const block of level.blocks({})) {
      for (const [key, value] of block) {
        const isOfIndex = key[0] === PREFIX.posting || key[0] === PREFIX.valueCount
        if (!isOfIndex && !key.equals(META.indexes)) {
          rows.push(`${key.toString('latin1')} ${value.toString('hex')}`)
        }
      }
    }
    return rows
  } finally {
    await level.close()
  }
}
