/** Events that older releases wrote are read in the layout of today. */
import * as fc from 'fast-check'
import { ConceptId, open } from 'sutra-storage'
import { expect, test } from 'vitest'
import { decodeEvent, encodeEvent, versionOf } from '#sutra/log/event.js'
import { temporaryPath } from '../support/temp.ts'

const SEED = Number(process.env['SUTRA_TEST_SEED'] ?? Date.now() % 1_000_000)
const number = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })
const id = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes))

test('a concept-forgotten of version 1 reads as one of version 2 without a key', () => {
  fc.assert(
    fc.property(number, id, number, (ordinal, bytes, version) => {
      const read = decodeEvent([4, 1, ordinal, bytes, version])

      const forgotten = { type: 'concept-forgotten', ordinal, id: bytes.toString('hex'), version }
      expect(read).toEqual({ ...forgotten, key: undefined, storedVersion: 1 })
      expect(versionOf(read)).toBe(1)
    }),
    { seed: SEED }
  )
})

test('a concept-forgotten of version 2 reads as it was written', () => {
  fc.assert(
    fc.property(number, id, number, fc.option(fc.string()), (ordinal, bytes, version, key) => {
      const hex = ConceptId.fromHex(bytes.toString('hex'))
      const event = { type: 'concept-forgotten', ordinal, id: hex, version } as const
      const written = encodeEvent({ ...event, key: key ?? undefined })

      expect(written).toEqual([4, 2, ordinal, bytes, version, key])
      expect(decodeEvent(written)).toEqual({ ...event, key: key ?? undefined })
      expect(versionOf(decodeEvent(written))).toBe(2)
    }),
    { seed: SEED }
  )
})

test.each([
  { event: [4, 3, 1, Buffer.alloc(16), 1], says: 'unknown version 3 of concept-forgotten' },
  { event: [4, 0, 1, Buffer.alloc(16), 1], says: 'unknown version 0 of concept-forgotten' },
  { event: [10, 2], says: 'unknown version 2 of commit-noted' },
  { event: [11, 2], says: 'unknown version 2 of event-quarantined' },
  { event: [12, 1, 'a', 1, 'lost'], says: "unknown outcome 'lost'" },
  { event: [99, 1], says: 'unknown event code 99' },
  { event: [4, 1, 1, Buffer.alloc(15), 1], says: 'is not 16 bytes' },
  { event: [4, 1, 1, Buffer.alloc(16)], says: 'is not an integer' }
])('what no release wrote is told apart: $says', ({ event, says }) => {
  expect(() => decodeEvent(event)).toThrow(says)
})

test('a watcher learns the key of what was forgotten', async () => {
  await using store = await open(await temporaryPath())
  await store.learn({ id: { key: 'known' }, content: 'known' })
  await store.learn({ content: 'nameless' })
  await store.forget({ key: 'known' })
  await store.forget(ConceptId.fromContent('nameless'))

  const told: unknown[] = []
  for await (const { version, data } of store.events({ types: ['concept-forgotten'] })) {
    told.push({ version, data })
  }

  expect(told).toEqual([
    { version: 2, data: { id: ConceptId.fromKey('known'), version: 2, key: 'known' } },
    { version: 2, data: { id: ConceptId.fromContent('nameless'), version: 2 } }
  ])
})
