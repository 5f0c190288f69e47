import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Partitions } from '#sutra/import/ntriples-partitions.js'
import { Spill } from '#sutra/import/spill.js'
import { Turns } from '#sutra/import/turns.js'
import { temporaryPath } from '../support/temp.ts'
import { seeded } from './bytes.ts'

test('streams come back line by line, in memory and from the file', async () => {
  const directory = dirname(await temporaryPath('x'))
  const line = fc.oneof(fc.string({ unit: 'grapheme' }), fc.constant('é'.repeat(70_000)))
  const lines = fc.array(
    fc.tuple(
      fc.nat(2),
      line.map((one) => one.replaceAll('\n', ''))
    ),
    { maxLength: 40 }
  )
  await fc.assert(
    fc.asyncProperty(lines, fc.boolean(), async (all, isFlushed) => {
      const spill = new Spill(directory, 0)
      const ids = [spill.stream(), spill.stream(), spill.stream()]
      for (const [stream, text] of all) {
        spill.append(ids[stream] ?? 0, text)
        if (isFlushed && spill.isFull) await spill.flush()
      }
      for (const [index, id] of ids.entries()) {
        const back: string[] = []
        for await (const page of spill.pages(id)) back.push(...page)
        const given = all.filter(([stream]) => stream === index).map(([, text]) => text)
        expect(back).toEqual(given)
        const bytes = given.reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0)
        expect(spill.bytesOf(id)).toBe(bytes)
      }
      await spill.close()
    }),
    seeded(60)
  )
  expect(await readdir(directory)).toEqual([])
})

test('a stream that is dropped is never written, and others stay whole', async () => {
  const spill = new Spill(dirname(await temporaryPath('x')), 0)
  const [one, two] = [spill.stream(), spill.stream()]
  for (let i = 0; i < 4; i++) {
    spill.append(one, 'x'.repeat(50_000))
    spill.append(two, String(i).repeat(50_000))
  }

  spill.drop(one)
  await spill.flush()

  const pages: string[][] = []
  for await (const page of spill.pages(two)) pages.push(page)
  expect(pages.flat().map((text) => text[0])).toEqual(['0', '1', '2', '3'])
  expect(spill.bytesOf(one)).toBe(0)
  await spill.close()
})

test('a place that cannot be written is a typed error', async () => {
  const spill = new Spill(join(await temporaryPath('x'), 'nowhere'), 0)
  const stream = spill.stream()
  for (let i = 0; i < 4; i++) spill.append(stream, 'x'.repeat(50_000))

  await expect(spill.flush()).rejects.toMatchObject({ code: 'IO_FAILED' })
  await spill.close()
})

test('all entries of a subject come out in one part and in order, however small parts are', async () => {
  const entries = fc.array(
    fc.tuple(
      fc.integer({ min: 0, max: 60 }).map((n) => `urn:${n}`),
      fc.nat()
    ),
    { maxLength: 200 }
  )
  await fc.assert(
    fc.asyncProperty(entries, fc.constantFrom(1, 60, 1000, 1e6), async (all, partBytes) => {
      const spill = new Spill(undefined, 0)
      const partitions = new Partitions(spill, { partBytes })
      const turns = new Turns()
      for (const [subject, n] of all) {
        partitions.append(subject, `${subject}\t${n}`)
        await partitions.settle(turns)
      }
      const found = new Map<string, string[]>()
      for await (const part of partitions.all(turns)) {
        const here = new Map<string, string[]>()
        for await (const page of part) {
          for (const entry of page) {
            const [subject = '', n = ''] = entry.split('\t')
            here.set(subject, [...(here.get(subject) ?? []), n])
          }
        }
        for (const [subject, ns] of here) {
          expect(found.has(subject)).toBe(false)
          found.set(subject, ns)
        }
      }
      await spill.close()
      const expected = new Map<string, string[]>()
      for (const [subject, n] of all) {
        expected.set(subject, [...(expected.get(subject) ?? []), String(n)])
      }
      expect([...found].sort()).toEqual([...expected].sort())
    }),
    seeded(60)
  )
})

test('the triples of a hub come out in several parts, equal ones in one', async () => {
  const spill = new Spill(undefined, 0)
  const partBytes = 2000
  const links = new Partitions(spill, { partBytes, isOfTriples: true })
  const turns = new Turns()
  const entries = Array.from(
    { length: 900 },
    (_, n) => `urn:hub\ta\t0\t${n}\turn:p\t\turn:${n % 300}`
  )
  for (const entry of entries) links.append('urn:hub', entry)

  const partOf = new Map<string, number>()
  let parts = 0
  let count = 0
  for await (const part of links.all(turns)) {
    parts += 1
    let bytes = 0
    for await (const page of part) {
      for (const entry of page) {
        bytes += entry.length + 1
        count += 1
        const object = entry.slice(entry.lastIndexOf('\t'))
        expect(partOf.get(object) ?? parts).toBe(parts)
        partOf.set(object, parts)
      }
    }
    expect(bytes).toBeLessThanOrEqual(partBytes)
  }
  await spill.close()

  expect(count).toBe(entries.length)
  expect(parts).toBeGreaterThan(10)
})
