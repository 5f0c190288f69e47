import fc from 'fast-check'
import { ConceptId, type ImportRecord } from 'sutra-storage'
import { expect, test } from 'vitest'
import { importRecords } from '#sutra/import/import.js'
import { BATCHES_BEHIND } from '#sutra/import/window.js'
import { openTemporaryStore } from '../support/open-store.ts'
import { FakeTarget } from './fake-target.ts'

const SEED = Number(process.env['SUTRA_TEST_SEED'] ?? Date.now() % 1_000_000)
const ROWS = 2
/** An association may wait longer than it has to, by the batches whose outcome is not awaited. */
const SLACK = (BATCHES_BEHIND + 2) * ROWS

type Given = { concept: number } | { source: number; target: number } | { fault: true }

const given: fc.Arbitrary<Given> = fc.oneof(
  fc.record({ concept: fc.nat(60) }),
  fc.record({ source: fc.nat(60), target: fc.nat(60) }),
  fc.record({ fault: fc.constant(true as const) })
)

test(`an association is accepted if its ends stand within the window, seed: ${SEED}`, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(given, { maxLength: 400 }),
      fc.constantFrom(0, 1, 50, 1000),
      fc.constantFrom(0, 3),
      async (all, window, delayMs) => {
        // Small batches, so that many of them are under way.
        const target = new FakeTarget({ limits: { commitCommands: ROWS }, delayMs })

        const report = await importRecords(target, all.map(toRecord), { window })

        const lines = new Set(report.rejected.map(({ line }) => line))
        all.forEach((one, index) => {
          const line = index + 1
          if ('fault' in one) expect(lines).toContain(line)
          if ('concept' in one) expect(lines).not.toContain(line)
          if (!('source' in one)) return
          const behind = Math.max(
            distance(all, one.source, index),
            distance(all, one.target, index)
          )
          if (behind <= window) expect(lines).not.toContain(line)
          if (window === 0 && behind > 0) expect(lines).toContain(line)
          if (window > 0 && behind > window + SLACK) expect(lines).toContain(line)
        })
        expect(report.records).toBe(all.length)
        expect(report.rejectedCount).toBe(lines.size)
        expect(report.associations).toBe(
          target.accepted.filter((command) => command.do === 'associate').length
        )
      }
    ),
    { seed: SEED, numRuns: 60 }
  )
})

test('one whose end comes far behind the window is rejected, or gets it made up', async () => {
  const late: ImportRecord[] = [
    concept(0),
    { kind: 'association', sourceKey: 'k0', targetKey: 'k9999', type: 'next' },
    ...Array.from({ length: 9999 }, (_, i) => concept(i + 1))
  ]

  const target = new FakeTarget()
  const report = await importRecords(target, late, { window: 500 })
  const made = new FakeTarget()
  const second = await importRecords(made, late, { window: 500, createMissing: true })

  expect(report.rejected).toEqual([{ line: 2, reason: expect.stringContaining('NOT_FOUND') }])
  expect(second).toMatchObject({ rejectedCount: 0, associations: 1 })
  // It was made before it was learned.
  expect([...made.concepts.keys()].indexOf(ConceptId.fromKey('k9999'))).toBeLessThan(9999)
})

test('createMissing makes nothing up that comes within the window', async () => {
  const target = new FakeTarget()
  const records: ImportRecord[] = [
    { kind: 'association', sourceKey: 'k0', targetKey: 'k1', type: 'next' },
    { kind: 'association', sourceKey: 'k0', targetKey: 'nobody', type: 'next' },
    concept(0),
    concept(1)
  ]

  const report = await importRecords(target, records, { createMissing: true })

  expect(report).toMatchObject({ concepts: 2, associations: 2, rejectedCount: 0 })
  expect(target.accepted.map((command) => command.do)).toEqual([
    'learn',
    'learn',
    'associate',
    'associate'
  ])
})

test('those that wait keep their order, and a million of them go', {
  timeout: 60_000
}, async () => {
  const count = 30_000
  const records = function* (): Generator<ImportRecord> {
    for (let i = 0; i < count; i++) {
      yield { kind: 'association', sourceKey: 'k0', targetKey: `k${i}`, type: 'next' }
    }
    for (let i = 0; i < count; i++) yield concept(i)
  }
  const target = new FakeTarget()

  const report = await importRecords(target, records(), {})

  expect(report).toMatchObject({ concepts: count, associations: count, rejectedCount: 0 })
  const targets = target.accepted
    .filter((command) => command.do === 'associate')
    .map((command) => command.target)
  expect(targets).toEqual(Array.from({ length: count }, (_, i) => ({ key: `k${i}` })))
})

test(`lines of one association count in their order, seed: ${SEED}`, {
  timeout: 60_000
}, async () => {
  const action = fc.constantFrom('merge', 'replace', 'keep', 'fail')
  const near = fc.nat(3)
  const line = fc.oneof(
    { weight: 1, arbitrary: fc.record({ concept: near }) },
    { weight: 4, arbitrary: fc.record({ source: near, target: near, strength: fc.nat(100) }) }
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { minLength: 20, maxLength: 60 }),
      action,
      fc.boolean(),
      async (all, ifExists, strict) => {
        const limits = { commitCommands: 3 }
        await using mixed = await openTemporaryStore({ limits })
        await using sorted = await openTemporaryStore({ limits })
        // All concepts come in the end, if not before.
        const lines = [...all, ...[0, 1, 2, 3].map((i) => ({ concept: i }))]
        const concepts = lines.filter((one) => 'concept' in one)
        const associations = lines.filter((one) => 'source' in one)
        const wanted = [...concepts, ...associations].map(toLine)
        // A strict one ends with what `fail` refuses.
        const options = {
          ifExists: strict && ifExists === 'fail' ? 'merge' : ifExists,
          strict,
          window: 1000
        } as const

        const report = await mixed.store.import(lines.map(toLine), options)
        const other = await sorted.store.import(wanted, options)

        expect(await mixed.store.contentHash()).toBe(await sorted.store.contentHash())
        expect(report).toMatchObject({
          concepts: other.concepts,
          associations: other.associations,
          rejectedCount: other.rejectedCount
        })
      }
    ),
    { seed: SEED, numRuns: 10, endOnFailure: true }
  )
})

test('a dry run waits as well, and sees what an earlier line associated', async () => {
  const target = new FakeTarget()
  const link: ImportRecord = { kind: 'association', sourceKey: 'k0', targetKey: 'k1', type: 'next' }
  const filler = Array.from({ length: 300 }, (_, i) => concept(i + 10))

  const report = await importRecords(target, [link, concept(0), concept(1), ...filler, link], {
    dryRun: true,
    ifExists: 'fail',
    window: 5
  })

  expect(report).toMatchObject({ concepts: 302, associations: 1, rejectedCount: 1 })
  expect(report.rejected).toEqual([{ line: 304, reason: expect.stringContaining('EXISTS') }])
  expect(target.concepts.size).toBe(0)
})

test('a strict import takes lines as they come, unless it is given a window', async () => {
  const link: ImportRecord = { kind: 'association', sourceKey: 'k0', targetKey: 'k1', type: 'next' }
  const records = [link, concept(0), concept(1)]

  await expect(importRecords(new FakeTarget(), records, { strict: true })).rejects.toMatchObject({
    code: 'IMPORT_LINE_INVALID',
    details: { line: 1 }
  })
  const report = await importRecords(new FakeTarget(), records, { strict: true, window: 10 })

  expect(report).toMatchObject({ concepts: 2, associations: 1 })
})

/** How many records behind this one the concept first stands; 0 if it stands before. */
function distance(all: readonly Given[], concept: number, from: number): number {
  const at = all.findIndex((one) => 'concept' in one && one.concept === concept)
  return at < 0 ? Number.POSITIVE_INFINITY : Math.max(0, at - from)
}

function toRecord(one: Given): ImportRecord {
  if ('concept' in one) return concept(one.concept)
  // Wrong on purpose.
  if ('fault' in one) return { kind: 'nothing' } as unknown as ImportRecord
  const ends = { sourceKey: `k${one.source}`, targetKey: `k${one.target}` }
  return { kind: 'association', ...ends, type: 'next' }
}

function toLine(
  one: { concept: number } | { source: number; target: number; strength: number }
): ImportRecord {
  if ('concept' in one) return concept(one.concept)
  const ends = { sourceKey: `k${one.source}`, targetKey: `k${one.target}` }
  const { strength } = one
  return { kind: 'association', ...ends, type: 'next', strength: strength / 100 }
}

function concept(i: number): Extract<ImportRecord, { kind: 'concept' }> {
  return { kind: 'concept', key: `k${i}`, content: `concept ${i}` }
}
