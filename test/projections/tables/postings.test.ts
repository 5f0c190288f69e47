/** Which ordinals have a value: rows that split and join by their entries alone. */
import { mkdir } from 'node:fs/promises'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { tablesTuning } from '#sutra/projections/tables/generation.js'
import { encodeValue, fieldPrefix } from '#sutra/projections/tables/index-keys.js'
import { PostingCollector } from '#sutra/projections/tables/posting-collector.js'
import { PostingEditor } from '#sutra/projections/tables/posting-editor.js'
import { checkPosting, ROW_ENTRIES_MAX } from '#sutra/projections/tables/postings.js'
import { openRow, rowDamaged } from '#sutra/projections/tables/rows.js'
import { countBetween, ValueCounts } from '#sutra/projections/tables/value-counts.js'
import { Level } from '#sutra/storage/level.js'
import { Random } from '../../support/random.ts'
import type { Row } from '../../support/raw.ts'
import { temporaryPath } from '../../support/temp.ts'

const prefix = Buffer.concat([fieldPrefix('lang', 'string', 'scalar'), encodeValue('en')])
let level: Level
let model: Map<number, number>

beforeEach(async () => {
  const path = await temporaryPath('tables')
  await mkdir(path, { recursive: true })
  level = await Level.create(path, tablesTuning(0))
  model = new Map()
})

afterEach(async () => level.close())

async function write(edit: (editor: PostingEditor) => void, into = level): Promise<void> {
  const editor = new PostingEditor(into)
  edit(editor)
  const batch = into.batch()
  editor.flush(batch)
  await batch.write({ sync: false })
}

async function put(entries: Iterable<[number, number]>): Promise<void> {
  await write((editor) => {
    for (const [ordinal, revision] of entries) {
      editor.put(prefix, ordinal, revision)
      model.set(ordinal, revision)
    }
  })
}

async function remove(ordinals: Iterable<number>): Promise<void> {
  await write((editor) => {
    for (const ordinal of ordinals) {
      editor.remove(prefix, ordinal)
      model.delete(ordinal)
    }
  })
}

async function rows(of = level): Promise<Row[]> {
  const found: Row[] = []
  for await (const block of of.blocks({})) found.push(...block)
  return found
}

/** What is stored is the model, in the layout that a single batch of it has. */
async function check(): Promise<Row[]> {
  const stored = await rows()
  const collector = new PostingCollector()
  for (const [key, value] of stored) {
    const payload = checkPosting(key, openRow(key, value))
    expect((payload.length - 1) / 6).toBeLessThanOrEqual(ROW_ENTRIES_MAX)
    collector.take(key, payload)
  }
  const { ordinals, revisions } = await collector.ordinals(async () => {})
  const sorted = [...model].sort(([a], [b]) => a - b)
  expect([...ordinals].map((ordinal, at) => [ordinal, revisions[at]])).toEqual(sorted)
  const path = await temporaryPath('once')
  await mkdir(path, { recursive: true })
  const once = await Level.create(path, tablesTuning(0))
  await write((editor) => {
    for (const [ordinal, revision] of sorted) editor.put(prefix, ordinal, revision)
  }, once)
  expect(stored).toEqual(await rows(once))
  await once.close()
  return stored
}

const range = (from: number, to: number): [number, number][] =>
  Array.from({ length: to - from }, (_, n) => [from + n, n % 3])

describe('the rows of a value', () => {
  test('a group is one row up to its limit, parts beyond, and one row again', async () => {
    await put(range(1, 1 + ROW_ENTRIES_MAX))
    expect(await check()).toHaveLength(1)
    await put(range(20_000, 20_001))
    // The counts, two parts from 1 on and one at 20 000.
    expect(await check()).toHaveLength(4)
    await put(range(60_000, 75_000))
    await check()
    await remove(range(60_000, 75_000).map(([ordinal]) => ordinal))
    expect(await check()).toHaveLength(4)
    await remove([1])
    expect(await check()).toHaveLength(1)
    await remove(model.keys())
    expect(await check()).toEqual([])
  })

  test('what is put and removed in one batch leaves nothing, and the last word holds', async () => {
    await put([[7, 1]])
    await write((editor) => {
      editor.put(prefix, 9, 1)
      editor.remove(prefix, 9)
      editor.remove(prefix, 7)
      editor.put(prefix, 7, 2)
    })
    model.set(7, 2)
    await check()
  })

  test('an entry that should be there and is not is damage', async () => {
    await put([[7, 1]])
    const removing = write((editor) => editor.remove(prefix, 8))
    await expect(removing).rejects.toMatchObject({ code: 'TABLES_DAMAGED' })
  })

  test('any edits in any batches give what one batch gives', async () => {
    const random = new Random()
    for (let round = 0; round < 12; round++) {
      const from = random.below(140_000)
      await put(range(from, from + random.below(6000)))
      const gone = [...model.keys()].filter(() => random.next() < 0.5)
      if (round % 3 === 2) await remove(gone)
    }
    await check()
  })
})

test('entries of many values come out once each, in order', async () => {
  const ordinals = fc.uniqueArray(fc.nat(200_000), { maxLength: 300 })
  await fc.assert(
    fc.asyncProperty(fc.array(ordinals, { maxLength: 5 }), async (lists) => {
      const collector = new PostingCollector()
      for (const list of lists) {
        for (const [key, payload] of payloadsOf(list)) collector.take(key, payload)
      }
      const wanted = [...new Set(lists.flat())].sort((a, b) => a - b)
      const found = await collector.ordinals(async () => {})
      expect([...found.ordinals]).toEqual(wanted)
      expect([...found.revisions]).toEqual(wanted.map((ordinal) => ordinal * 3))
    })
  )
})

function payloadsOf(ordinals: readonly number[]): Row[] {
  const editor = new PostingEditor(nothing)
  for (const ordinal of ordinals) editor.put(prefix, ordinal, ordinal * 3)
  const found: Row[] = []
  editor.flush({
    put: (key: Buffer, value: Buffer) => found.push([key, openRow(key, value)]),
    del: () => {}
  } as never)
  return found
}

/** A database without rows. */
const nothing = { getSync: () => undefined } as unknown as Level

describe('bytes of values', () => {
  const text = fc.string({ unit: 'binary', maxLength: 80 })
  const key = (value: string | number): Buffer => encodeValue(value)

  test('texts sort by their bytes as they compare, but for what is cut', () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        const order = key(a).compare(key(b))
        if (order !== 0) expect(order).toBe(a < b ? -1 : 1)
        else if (Buffer.byteLength(a) < 32 && Buffer.byteLength(b) < 32) expect(a).toBe(b)
      })
    )
    // By characters they would sort the other way round.
    expect(key('\ue000').compare(key('\u{10000}'))).toBe(1)
  })

  test('numbers sort by their bytes as they compare', () => {
    const number = fc.double({ noNaN: true, noDefaultInfinity: true })
    fc.assert(
      fc.property(number, number, (a, b) => {
        expect(key(a).compare(key(b))).toBe(a === b ? 0 : a < b ? -1 : 1)
      })
    )
  })
})

test('counts of ranges are never too small, and right to a few bits', async () => {
  const random = new Random()
  const counts = new ValueCounts(level)
  const values = Array.from({ length: 5000 }, () => random.next() * 2000 - 500)
  for (const [at, value] of values.entries()) {
    counts.add(prefix, encodeValue(value), 1)
    if (at % 3 === 0) counts.add(prefix, encodeValue(value), -1)
  }
  const batch = level.batch()
  counts.flush(batch)
  await batch.write({ sync: false })
  const left = values.filter((_, at) => at % 3 !== 0)
  const read = (key: Buffer): Buffer | undefined => {
    const value = level.getSync(key)
    return value && openRow(key, value)
  }
  for (let n = 0; n < 200; n++) {
    const [from = 0, to = 0] = [random.pick(values), random.pick(values)].sort((a, b) => a - b)
    const exact = left.filter((value) => value >= from && value <= to).length
    const counted = countBetween(read, prefix, encodeValue(from), encodeValue(to))
    expect(counted).toBeGreaterThanOrEqual(exact)
    expect(counted).toBeLessThanOrEqual(exact + 30)
  }
  expect(countBetween(read, prefix, undefined, undefined)).toBe(left.length)
})

test('a row of another length than it can have is damage', () => {
  for (const payload of [[], [0, 1], [1, 2, 3], [2]]) {
    expect(() => checkPosting(prefix, Buffer.from(payload))).toThrow(
      rowDamaged(prefix, 'malformed').message
    )
  }
})
