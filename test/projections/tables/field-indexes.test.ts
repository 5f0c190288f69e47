/** Indexes of metadata fields against a model that looks at every concept. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Indexes } from '#sutra/projections/tables/index-states.js'
import { Random } from '../../support/random.ts'
import { IndexedTables } from './indexed-model.ts'

const LONG = 'x'.repeat(70)
const STRINGS = ['', 'a', 'ab', 'b', 'é', '\u0000', 'a\u0000', '\ue000', '𐀀', LONG, `${LONG}y`]
const NUMBERS = [0, 1, -1, 2, 0.5, -0.5, 1e300, -1e300, 5e-324, 1990, 1991, 2 ** 53]
const DECLARATIONS: Indexes[] = [
  {},
  { lang: 'string' },
  { lang: 'string', year: 'number', flag: 'boolean', 'a.b': 'number' },
  { lang: 'number', year: 'string' },
  { tags: 'string', year: 'number' }
]

const scalar = (random: Random): unknown =>
  random.pick([
    () => random.pick(STRINGS),
    () => random.pick(NUMBERS),
    () => random.next() < 0.5,
    () => null
  ])()

/** Metadata holds no minus zero, but whoever asks may. */
const asked = (random: Random): unknown => (random.next() < 0.1 ? -0 : scalar(random))

function metadataOf(random: Random): Record<string, unknown> {
  const metadata: Record<string, unknown> = {}
  if (random.next() < 0.8)
    metadata['lang'] = random.pick([() => random.pick(STRINGS), () => scalar(random)])()
  if (random.next() < 0.8)
    metadata['year'] = random.pick([() => random.pick(NUMBERS), () => scalar(random)])()
  if (random.next() < 0.5) metadata['flag'] = random.next() < 0.5
  if (random.next() < 0.5)
    metadata['tags'] = Array.from({ length: random.below(4) }, () => scalar(random))
  if (random.next() < 0.3) metadata['a'] = { b: scalar(random) }
  if (random.next() < 0.1) metadata['a.b'] = random.pick(NUMBERS)
  return metadata
}

function whereOf(random: Random, depth = 0): unknown {
  const field = random.pick(['lang', 'year', 'flag', 'tags', 'a.b', '@type'])
  const value = (): unknown =>
    field === '@type' ? random.pick(['even', 'odd', 'none']) : asked(random)
  const bound = (): unknown => random.pick<unknown>(random.next() < 0.5 ? STRINGS : NUMBERS)
  const simple = [
    () => ({ [field]: value() }),
    () => ({ [field]: { eq: value() } }),
    () => ({ [field]: { in: Array.from({ length: random.below(4) }, value) } }),
    () => ({ [field]: { ne: value() } }),
    () => (field === '@type' ? {} : { [field]: { gt: bound() } }),
    () => (field === '@type' ? {} : { [field]: { gte: bound(), lt: bound() } }),
    () => (field === '@type' ? {} : { [field]: { gt: bound(), lte: bound(), gte: bound() } }),
    () => ({ [field]: { contains: value() } }),
    () => ({ [field]: { exists: true } })
  ]
  const deep = [
    () => ({ and: [whereOf(random, depth + 1), whereOf(random, depth + 1)] }),
    () => ({ or: [whereOf(random, depth + 1), whereOf(random, depth + 1)] }),
    () => ({ not: { and: [whereOf(random, depth + 1)] } }),
    () => ({ lang: random.pick(STRINGS), year: random.pick(NUMBERS), '@type': 'even' })
  ]
  return random.pick(depth < 2 ? [...simple, ...deep] : simple)()
}

function change(tables: IndexedTables, random: Random): void {
  const living = [...tables.concepts.keys()]
  const roll = random.next()
  if (living.length === 0 || roll < 0.45) {
    const type = random.pick(['even', 'odd', 'none'])
    tables.learn(metadataOf(random), type === 'none' ? undefined : type, random.next() < 0.5)
    return
  }
  const ordinal = random.pick(living)
  if (roll < 0.65) tables.revise(ordinal, random.next() < 0.1 ? null : metadataOf(random))
  else if (roll < 0.8) tables.embed(ordinal, random.next() < 0.7)
  else tables.forget(ordinal)
}

describe('whatever is done to concepts and to the declaration', () => {
  test.each(Array.from({ length: 12 }, (_, n) => n))(
    'what is selected is what a look at every concept finds, run %i',
    async (run) => {
      const base = new Random()
      const random = new Random(base.seed * 31 + run)
      const tables = await IndexedTables.create(random.pick(DECLARATIONS))
      let selected = 0
      try {
        for (let round = 0; round < 40; round++) {
          for (let n = random.below(12); n > 0; n--) change(tables, random)
          await tables.project()
          if (random.next() < 0.15) {
            // A crash, or another open: what was half built or half removed goes on there.
            await tables.reopen(random.next() < 0.5 ? undefined : random.pick(DECLARATIONS))
          }
          for (let n = random.below(3); n > 0; n--) await tables.step()
          for (let n = 0; n < 6; n++) {
            if (await tables.check(whereOf(random))) selected += 1
          }
        }
        await tables.settle()
        const [rows, rebuilt] = await tables.rowsAndRebuilt()
        expect(rows).toEqual(rebuilt)
      } catch (error) {
        throw new Error(`With SUTRA_TEST_SEED=${base.seed}`, { cause: error })
      } finally {
        await tables.close()
      }
      expect(selected).toBeGreaterThan(10)
    }
  )
})

describe('an index that is declared over concepts that are there', () => {
  // A step ends by the clock: this one goes so fast that each reads a block of a thousand rows.
  let now = 0
  beforeEach(() => {
    vi.spyOn(performance, 'now').mockImplementation(() => {
      now += 50
      return now
    })
  })
  afterEach(() => vi.restoreAllMocks())

  async function filled(count: number): Promise<IndexedTables> {
    const tables = await IndexedTables.create()
    for (let n = 0; n < count; n++) tables.learn({ year: n % 50 }, 'row', n % 2 === 0)
    await tables.project()
    await tables.reopen({ year: 'number' })
    return tables
  }

  test('is not used until it is built, and then is', async () => {
    const tables = await filled(2500)
    expect(await tables.check({ year: 7 })).toBe(false)
    expect(await tables.step()).toBe(true)
    expect(await tables.check({ year: 7 })).toBe(false)
    await tables.settle()
    expect(await tables.check({ year: 7 })).toBe(true)
    await tables.close()
  })

  test('follows what changes before, behind and beyond the place it came to', async () => {
    const tables = await filled(2500)
    await tables.step()
    for (const ordinal of [5, 990, 1000, 1003, 1500, 2400]) {
      tables.revise(ordinal, { year: 1000 })
      tables.embed(ordinal + 1, ordinal % 2 === 0)
      tables.forget(ordinal + 2)
    }
    tables.learn({ year: 1000 })
    await tables.project()
    await tables.reopen()
    await tables.settle()
    expect(await tables.check({ year: 1000 })).toBe(true)
    expect(await tables.check({ year: { gte: 5, lt: 9 } })).toBe(true)
    const [rows, rebuilt] = await tables.rowsAndRebuilt()
    expect(rows).toEqual(rebuilt)
    await tables.close()
  })

  test('leaves no rows when it is dropped, and is built anew when its type changes', async () => {
    const tables = await filled(2500)
    await tables.settle()
    await tables.reopen({ year: 'string' })
    expect(await tables.check({ year: 7 })).toBe(true)
    await tables.step()
    expect(await tables.check({ year: 7 })).toBe(false)
    tables.revise(3, { year: 'late' })
    await tables.project()
    // Declared again before it is all gone.
    await tables.reopen({ year: 'number' })
    await tables.settle()
    expect(await tables.check({ year: { lte: 3 } })).toBe(true)
    expect(await tables.check({ year: 'late' })).toBe(false)
    await tables.reopen({})
    await tables.settle()
    const [rows] = await tables.rowsAndRebuilt()
    expect(rows).toEqual([])
    await tables.close()
  })
})
