/** The tables of one store against a copy of them in which rows were changed by hand. */
import { cp } from 'node:fs/promises'
import { open } from 'sutra-storage'
import { beforeAll, describe, expect, test } from 'vitest'
import { compareTables } from '#sutra/projections/tables/compare.js'
import { differingRanges } from '#sutra/projections/tables/differing-ranges.js'
import { META, PREFIX, pageKey } from '#sutra/projections/tables/keys.js'
import {
  childEntry,
  encodePage,
  type PageEntry,
  PageReader
} from '#sutra/projections/tables/page.js'
import {
  type DigestSlice,
  differingIn,
  digestRanges,
  mayDiffer,
  type RangeDigest
} from '#sutra/projections/tables/range-digest.js'
import { openRow, sealRow } from '#sutra/projections/tables/rows.js'
import { TablesSnapshot } from '#sutra/projections/tables/snapshot.js'
import { Level } from '#sutra/storage/level.js'
import { Random } from '../support/random.ts'
import { flipped, type Row, rowsOf, tablesOf } from '../support/raw.ts'
import { lastingPath, temporaryPath } from '../support/temp.ts'

const CONCEPTS = 1100
const HUB = 20

let tables = ''
let rows: Row[] = []

beforeAll(async () => {
  const directory = await lastingPath('compared')
  const store = await open(directory, { durability: 'os' })
  const concepts = Array.from({ length: CONCEPTS }, (_, n) => ({
    do: 'learn' as const,
    id: { key: `k${n}` },
    type: 'row',
    content: `Concept ${n}`
  }))
  for (let at = 0; at < CONCEPTS; at += 550) await store.commit(concepts.slice(at, at + 550))
  const spokes = Array.from({ length: HUB }, (_, n) => ({
    do: 'associate' as const,
    source: { key: 'k0' },
    target: { key: `k${n + 1}` },
    type: 'spoke',
    strength: 0.5
  }))
  await store.commit(spokes)
  await store.close()
  tables = await tablesOf(directory)
  // Its value says how far batches went, so it is no row that a change could be seen in.
  rows = (await rowsOf(tables)).filter(([key]) => key[0] !== PREFIX.record)
})

describe('a row with another value of the same length, rightly sealed', () => {
  const places: [string, () => Row][] = [
    ['the first row', () => at(0)],
    ['a row at the end of a range', () => at(511)],
    ['a row at the beginning of a range', () => at(512)],
    ['a row in the middle', () => at(rows.length >> 1)],
    ['the last row', () => at(-1)]
  ]
  test.each(places)('is found: %s', async (_, row) => {
    const [key, value] = row()

    const differences = await compared([[key, resealed(key, value)]])

    expect(differences).toEqual([`row ${nameOf(key)} differs from the one rebuilt from the log`])
  })
})

describe('rows that only one side has', () => {
  const behind = Buffer.from([0x7e, 1])
  const before = Buffer.from([0x01, 1])

  test.each([
    ['before all others', before],
    ['behind all others', behind],
    ['between two', Buffer.concat([Buffer.from('c'), Buffer.alloc(5, 0x77)])]
  ])('one %s does not follow from the log', async (_, key) => {
    const differences = await compared([[key, sealRow(key, Buffer.from('more'))]])

    expect(differences).toEqual([`row ${nameOf(key)} does not follow from the log`])
  })

  test.each([
    ['the first', () => at(0)],
    ['one in the middle', () => at(rows.length >> 1)],
    ['the last', () => at(-1)]
  ])('%s is missing', async (_, row) => {
    const [key] = row()

    expect(await compared([[key, undefined]])).toEqual([`row ${nameOf(key)} is missing`])
  })

  test('a whole range is missing, and enough of it is told', async () => {
    const lost = rows.slice(512, 1024).map(([key]): Change => [key, undefined])

    const differences = await compared(lost)

    expect(differences).toHaveLength(20)
    expect(differences[0]).toBe(`row ${nameOf(at(512)[0])} is missing`)
  })
})

test('two rows that changed places, each sealed for its new place, are both found', async () => {
  const [[keyA, valueA], [keyB, valueB]] = [at(100), at(101)]

  const differences = await compared([
    [keyA, sealRow(keyA, openRow(keyB, valueB))],
    [keyB, sealRow(keyB, openRow(keyA, valueA))]
  ])

  expect(differences).toHaveLength(2)
})

describe('what is equal', () => {
  test('has the same digests, range by range', async () => {
    const copy = await changed([])

    const digests = await digestsOf(copy)

    expect(digests).toEqual(await digestsOf(tables))
    expect(digests.length).toBeGreaterThan(3)
    const kept = rows.filter(([key]) => !mayDiffer(key))
    expect(digests.reduce((sum, range) => sum + range.rows, 0)).toBe(kept.length)
    expect(await compared([])).toEqual([])
  })

  test('is not read row by row, but where a range differs', async () => {
    const digests = await digestsOf(tables)
    const [key, value] = at(600)
    const copy = await changed([[key, resealed(key, value)]])

    const inCopy = await withTables(copy, async (snapshot) =>
      differingRanges(snapshot, digests, nothing)
    )
    const inOriginal = await withTables(tables, async (snapshot) =>
      differingRanges(snapshot, digests, nothing)
    )

    expect(inCopy).toEqual([{ gte: behind(at(511)[0]), lt: behind(at(1023)[0]) }])
    expect(inOriginal).toEqual([])
  })

  test('is found by two that share the reading, whoever reads what', async () => {
    const digests = await digestsOf(tables)
    const random = new Random()
    for (let round = 0; round < 6; round++) {
      const numbers = Array.from({ length: round }, () => random.below(rows.length))
      const copy = await changed(numbers.map(at).map(([key, value]) => [key, resealed(key, value)]))
      await withTables(copy, async (snapshot) => {
        const alone = await differingRanges(snapshot, digests, nothing, { sliceRows: 1e9 })
        const helps = async (slice: DigestSlice) => differingIn(snapshot, slice, nothing)
        let left = random.below(digests.length)
        const dies = async (slice: DigestSlice) => (left-- > 0 ? helps(slice) : undefined)
        for (const helper of [undefined, helps, dies, async () => undefined]) {
          const shared = differingRanges(snapshot, digests, nothing, { helper, sliceRows: 1 })
          expect(await shared, `seed ${random.seed}, round ${round}`).toEqual(alone)
        }
      })
    }
  })

  test('is not looked for any more once one of the two fails', async () => {
    const digests = await digestsOf(tables)
    const failed = new Error('the disk')
    const helper = async (): Promise<never> => Promise.reject(failed)
    await withTables(tables, async (snapshot) => {
      const shared = differingRanges(snapshot, digests, nothing, { helper, sliceRows: 1 })
      await expect(shared).rejects.toBe(failed)
    })
  })

  test('may lie in other pages', async () => {
    const split = splitRoot()
    expect(await digestsOf(await changed(split))).not.toEqual(await digestsOf(tables))

    expect(await compared(split)).toEqual([])
  })

  test('may not hold other associations in them', async () => {
    const differences = await compared(splitRoot((entries) => entries.slice(1)))

    expect(differences).toEqual([expect.stringMatching(/^associations of concept .*, out, differ/)])
  })

  test('may have gone through other batches and sweeps', async () => {
    const record = Buffer.from('720000000000ff', 'hex')
    const dead = Buffer.from('78000000ff', 'hex')
    const [, counts] = at(rows.findIndex(([key]) => key.equals(META.counts)))

    const changes: Change[] = [
      [record, sealRow(record, Buffer.from('another batch'))],
      [META.counts, resealed(META.counts, counts)]
    ]

    expect(await compared(changes)).toEqual([])
    expect(await digestsOf(await changed([[dead, sealRow(dead, Buffer.alloc(9))]]))).toEqual(
      await digestsOf(tables)
    )
  })
})

test('a row whose checksum is wrong is damage, wherever it stands', async () => {
  for (const [key, value] of [at(0), at(rows.length >> 1), at(-1)]) {
    const copy = await changed([[key, flipped(value, value.length - 1)]])

    await expect(digestsOf(copy)).rejects.toMatchObject({ code: 'TABLES_DAMAGED' })
  }
})

test('whoever sets the pace can stop either reading', async () => {
  const stopped = new Error('enough')
  const pace = async (): Promise<void> => Promise.reject(stopped)

  await withTables(tables, async (snapshot) => {
    await expect(digestRanges(snapshot, pace)).rejects.toBe(stopped)
    const digest = await digestRanges(snapshot, nothing)
    const comparing = compareTables(snapshot, snapshot, { digest, pace })
    await expect(comparing).rejects.toBe(stopped)
  })
})

/** A key with its new value, or without one. */
type Change = readonly [key: Buffer, value: Buffer | undefined]

/** The live tables with changes, against those that were made from the log. */
async function compared(changes: readonly Change[]): Promise<string[]> {
  return withTables(await changed(changes), async (live) => {
    const digest = await digestRanges(live, nothing)
    return withTables(tables, async (rebuilt) => {
      const differences = await compareTables(live, rebuilt, { digest, pace: nothing })
      // What is proven by sums is not read: nothing else may be overlooked for it.
      const { sums } = await digestRanges(rebuilt, nothing)
      const bySums = await compareTables(live, rebuilt, { digest, sums, pace: nothing })
      expect(bySums).toEqual(differences)
      return differences
    })
  })
}

async function changed(changes: readonly Change[]): Promise<string> {
  const copy = await temporaryPath('changed')
  await cp(tables, copy, { recursive: true })
  const level = await Level.open(copy, TUNING)
  const batch = level.batch()
  for (const [key, value] of changes) {
    if (value === undefined) batch.del(key)
    else batch.put(key, value)
  }
  await batch.write({ sync: false })
  await level.close()
  return copy
}

async function digestsOf(path: string): Promise<readonly RangeDigest[]> {
  const { ranges } = await withTables(path, async (tables) => digestRanges(tables, nothing))
  return ranges
}

async function withTables<T>(
  path: string,
  work: (tables: TablesSnapshot) => Promise<T>
): Promise<T> {
  const level = await Level.open(path, TUNING)
  const snapshot = new TablesSnapshot(level, { onClosed: () => {}, onDamaged: () => {} })
  try {
    return await work(snapshot)
  } finally {
    await snapshot.release()
    await level.close()
  }
}

/** The key that follows. */
function behind(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.alloc(1)])
}

/** The hub's one leaf as a root with two leaves below it. */
function splitRoot(keep = (entries: PageEntry[]): PageEntry[] => entries): Change[] {
  const key = pageKey('out', ordinalOfHub(), 0)
  const value = rows.find(([other]) => other.equals(key))?.[1]
  if (value === undefined) throw new Error('The hub has no page')
  const page = new PageReader(openRow(key, value), true).toPage()
  const halves = [page.entries.slice(0, HUB / 2), page.entries.slice(HUB / 2)]
  const children: PageEntry[] = []
  const leaves = halves.map((entries, index): Change => {
    const [first] = entries
    if (first === undefined) throw new Error('The hub is short')
    children.push(childEntry(first, index + 1))
    const leafKey = pageKey('out', ordinalOfHub(), index + 1)
    const leaf = { leaf: true, root: undefined, entries: keep(entries), bytes: 0 }
    return [leafKey, sealRow(leafKey, encodePage(leaf))]
  })
  const root = { leaf: false, root: page.root, entries: children, bytes: 0 }
  return [[key, sealRow(key, encodePage(root))], ...leaves]
}

/** Of all concepts, the hub alone has a page for what goes out. */
function ordinalOfHub(): number {
  const page = rows.find(([key]) => key[0] === PREFIX.outgoing)
  if (page === undefined) throw new Error('There is no page')
  return page[0].readUInt32BE(1)
}

/** Another payload of the same length with its right checksum. */
function resealed(key: Buffer, value: Buffer): Buffer {
  const payload = openRow(key, value)
  const other = payload.length === 0 ? Buffer.from([1]) : flipped(payload, payload.length - 1)
  return sealRow(key, other)
}

function at(index: number): Row {
  const row = rows.at(index)
  if (row === undefined) throw new Error(`There is no row ${index}`)
  return row
}

function nameOf(key: Buffer): string {
  return `${key.toString('latin1', 0, 1)}:${key.toString('hex', 1)}`
}

async function nothing(): Promise<void> {
  // Nobody waits.
}

const TUNING = { cacheBytes: 2 ** 20, writeBufferBytes: 2 ** 22, maxFileBytes: 2 ** 21 }
