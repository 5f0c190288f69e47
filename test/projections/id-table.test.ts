/** The id table against a map: whatever it is told, in whatever order, and however full it is. */
import { expect, test } from 'vitest'
import { ConceptId } from '#sutra/ids.js'
import { type IdEntry, IdTable } from '#sutra/projections/id-table.js'
import { Pinned } from '#sutra/projections/pinned.js'
import type { TablesSnapshot } from '#sutra/projections/tables/snapshot.js'
import { Random } from '../support/random.ts'

const IDS = 4000
const STEPS = 30_000
const PLENTY = 2 ** 24

test('it finds what it was told last, as it grows', () => {
  const random = new Random()
  const table = new IdTable(PLENTY)
  const ids = randomIds(random)
  const known = new Map<ConceptId, IdEntry>()

  for (let step = 0; step < STEPS; step++) {
    const id = random.pick(ids)
    const before = known.get(id)
    expect(table.find(id), `seed ${random.seed}, step ${step}`).toEqual(before)
    if (random.below(3) === 0) continue
    const entry = randomEntry(random)
    const isOnly = entry.isOnly && (before === undefined || before.ordinal === entry.ordinal)
    const hadOther = before?.isOnly === false
    if (random.below(4) === 0) {
      table.fill(Buffer.from(id, 'hex'), 0, entry)
      if (before === undefined) known.set(id, { ...entry, isOnly: true })
    } else {
      table.set(id, entry)
      known.set(id, { ...entry, isOnly: isOnly && !hadOther })
    }
  }
  for (const id of ids) expect(table.find(id), `seed ${random.seed}`).toEqual(known.get(id))
})

test('ids that differ in one digit are told apart', () => {
  const random = new Random()
  const table = new IdTable(PLENTY)
  const [id] = randomIds(random)
  if (id === undefined) throw new Error('no id')
  const near = Array.from({ length: 32 }, (_, at) => {
    const digit = ((Number.parseInt(id[at] ?? '0', 16) + 1) % 16).toString(16)
    return ConceptId.fromHex(id.slice(0, at) + digit + id.slice(at + 1))
  })
  for (const [at, other] of [id, ...near].entries()) table.set(other, entryOf(at))

  expect([id, ...near].map((one) => table.find(one)?.ordinal)).toEqual(
    Array.from({ length: 33 }, (_, at) => at)
  )
})

test('what is taken back is unknown again, or what it was', () => {
  const random = new Random()
  const table = new IdTable(PLENTY)
  const [known, unknown] = randomIds(random)
  if (known === undefined || unknown === undefined) throw new Error('no ids')
  table.set(known, entryOf(1))
  const before = table.find(known)

  table.set(known, entryOf(2))
  table.restore(known, before)
  table.set(unknown, entryOf(3))
  table.restore(unknown, undefined)

  expect(table.find(known)).toMatchObject({ ordinal: 1, isAlive: true })
  // Whoever meets an ordinal that no concept has, and that need not be the only one, looks further.
  expect(table.find(unknown)).toMatchObject({ ordinal: 0, isAlive: false, isOnly: false })
})

test('beyond its budget it keeps what it has and says that it is not complete', () => {
  const random = new Random()
  const table = new IdTable(40_000)
  table.markFilled()
  const ids = randomIds(random)
  expect(table.complete).toBe(true)

  for (const [at, id] of ids.entries()) table.set(id, entryOf(at))

  expect(table.complete).toBe(false)
  expect(table.bytes).toBeLessThanOrEqual(40_000)
  const found = ids.map((id) => table.find(id)?.ordinal)
  expect(found.every((ordinal, at) => ordinal === undefined || ordinal === at)).toBe(true)
  const kept = found.filter((ordinal) => ordinal !== undefined).length
  expect(kept).toBeGreaterThan(100)
  expect(kept).toBeLessThan(IDS)
  // What is there can still change.
  const [id] = ids.filter((_, at) => found[at] !== undefined)
  if (id === undefined) throw new Error('nothing was kept')
  table.set(id, entryOf(9999))
  expect(table.find(id)?.ordinal).toBe(9999)
})

test('an ordinal beyond two thousand million is kept', () => {
  const table = new IdTable(PLENTY)
  const id = ConceptId.fromKey('far')

  table.set(id, entryOf(2 ** 32 - 1))

  expect(table.find(id)?.ordinal).toBe(2 ** 32 - 1)
})

test('what a read found in the tables is known from then on, and changes nothing newer', () => {
  const table = new IdTable(PLENTY)
  const [read, changed] = [ConceptId.fromKey('read'), ConceptId.fromKey('changed')]
  table.set(changed, { ...entryOf(2), isAlive: false })

  table.remember(read, { ordinal: 1, deadVersion: 0, hasKey: true })
  table.remember(changed, { ordinal: 1, deadVersion: 0, hasKey: true })

  expect(table.find(read)).toEqual({ ...entryOf(1), hasKey: true })
  expect(table.find(changed)).toMatchObject({ ordinal: 2, isAlive: false })
  // That nobody has asked for an id does not say that it never was.
  expect(table.complete).toBe(false)
})

test('a full table takes nothing from reads: what it could not take may be newer', () => {
  const random = new Random()
  const table = new IdTable(1000)
  const ids = randomIds(random)
  for (const [at, id] of ids.entries()) table.set(id, { ...entryOf(at), isAlive: false })
  const lost = ids.filter((id) => table.find(id) === undefined)
  expect(lost.length).toBeGreaterThan(0)

  for (const id of lost) table.remember(id, { ordinal: 1, deadVersion: 0, hasKey: false })

  expect(lost.filter((id) => table.find(id) !== undefined)).toEqual([])
})

test('an id that is asked for before the table is filled is read from the tables once', () => {
  const table = new IdTable(PLENTY)
  const id = ConceptId.fromKey('hot')
  let reads = 0
  // As much of a snapshot as looking for an id takes.
  const snapshot = {
    checkpoint: 1,
    idRow: () => {
      reads += 1
      return { ordinal: 7, deadVersion: 0, hasKey: true }
    },
    concept: (ordinal: number) => ({ ordinal })
  } as unknown as TablesSnapshot
  const pinned = new Pinned(1, snapshot, { segments: [], dead: new Map() }, table)

  for (let n = 0; n < 3; n++) expect(pinned.conceptById(id)?.ordinal).toBe(7)
  expect(reads).toBe(1)
})

function entryOf(ordinal: number): IdEntry {
  return { ordinal, isAlive: true, hasKey: false, isOnly: true }
}

function randomEntry(random: Random): IdEntry {
  const flag = (): boolean => random.below(2) === 0
  return { ordinal: 1 + random.below(3), isAlive: flag(), hasKey: flag(), isOnly: flag() }
}

/** Half of them from a few shards, where they meet each other. */
function randomIds(random: Random): ConceptId[] {
  return Array.from({ length: IDS }, (_, i) => {
    const hex = random.bytes(16).toString('hex')
    return ConceptId.fromHex(i % 2 === 0 ? hex : `${hex.slice(0, 24)}00${hex.slice(26)}`)
  })
}
