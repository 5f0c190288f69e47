/** What a filter finds through indexes, in a store that is being written to. */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Concept, open, type Store, type StoreOptions, type Where } from 'sutra-storage'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Pinned } from '#sutra/projections/pinned.js'
import { PREFIX } from '#sutra/projections/tables/keys.js'
import { conceptSubject } from '#sutra/query/present.js'
import { estimate, select } from '#sutra/query/selection.js'
import { compileWhere } from '#sutra/query/where.js'
import { Engine } from '#sutra/store/engine.js'
import { openTemporaryStore } from '../support/open-store.ts'
import { Random } from '../support/random.ts'
import { changeRow, deleteRows, flipped, rowsOf, tablesOf } from '../support/raw.ts'
import { temporaryPath } from '../support/temp.ts'

const INDEXES = { lang: 'string', year: 'number', tags: 'string' } as const
const LANGS = ['en', 'de', 'fr', 'pt']
/** Builds and rebuilds go on in the background, on whatever machine this is. */
const PATIENCE = { timeout: 30_000, interval: 50 }
const OS = { durability: 'os' } as const

afterEach(() => vi.restoreAllMocks())

/** What a view of the store reads from, for as long as the work takes. */
async function withPinned<T>(store: Store, work: (pinned: Pinned) => T | Promise<T>): Promise<T> {
  const pinning = vi.spyOn(Engine.prototype, 'pin')
  const view = await store.view()
  const pinned: unknown = pinning.mock.results.at(-1)?.value
  pinning.mockRestore()
  try {
    return await work(pinned as Pinned)
  } finally {
    await view.close()
  }
}

async function guess(store: Store, where: Where): Promise<number | undefined> {
  return withPinned(store, (pinned) => estimate(pinned, where))
}

async function found(store: Store, where: Where, max: number): Promise<number | undefined> {
  return withPinned(store, async (pinned) => (await select(pinned, where, max))?.ordinals.length)
}

async function built(store: Store): Promise<void> {
  await vi.waitFor(() => {
    for (const one of Object.values(store.stats().indexes)) expect(one.built).toBe(true)
  }, PATIENCE)
}

async function idsOf(concepts: AsyncIterable<Concept>): Promise<string[]> {
  const ids: string[] = []
  for await (const { id } of concepts) ids.push(id)
  return ids
}

const WHERES: Where[] = [
  { lang: 'en' },
  { lang: { in: ['de', 'fr'] } },
  { and: [{ lang: 'de' }, { year: { gte: 1990 } }] },
  { year: { gt: 1985, lt: 1988 } },
  { tags: { contains: 'rare' } },
  { or: [{ year: 1999 }, { tags: { contains: 'rare' } }] },
  { and: [{ lang: 'pt' }, { '@type': 'row' }, { not: { year: 1980 } }] },
  { '@type': 'other' },
  { lang: 'none' }
]

function metadataOf(random: Random): Record<string, unknown> {
  return {
    lang: random.pick(LANGS),
    year: 1980 + random.below(20),
    ...(random.next() < 0.05 ? { tags: ['rare'] } : {})
  }
}

async function changeSome(store: Store, random: Random, keys: string[]): Promise<void> {
  for (let n = 0; n < 40; n++) {
    const roll = random.next()
    if (keys.length < 50 || roll < 0.5) {
      const key = `k${keys.length}`
      const type = random.pick(['row', 'row', 'other'])
      await store.learn({ id: { key }, type, content: key, metadata: metadataOf(random) }, OS)
      keys.push(key)
      continue
    }
    const id = { key: random.pick(keys) }
    if (!(await store.has(id))) continue
    if (roll < 0.8) await store.revise(id, { metadata: metadataOf(random) }, OS)
    else await store.forget(id, OS)
  }
}

/** Compares with a look at every concept. */
async function check(reader: Pick<Store, 'concepts'>): Promise<void> {
  const all: Concept[] = []
  for await (const concept of reader.concepts()) all.push(concept)
  for (const where of WHERES) {
    const accept = compileWhere(where)
    const passing = all.filter((one) => {
      const metadata = { ...one.metadata }
      return accept({ ...one, type: one.type, metadata })
    })
    const wanted = passing.map(({ id }) => id)
    expect(await idsOf(reader.concepts({ where })), JSON.stringify(where)).toEqual(wanted)
    const rows = passing.filter(({ type }) => type === 'row')
    const typed = await idsOf(reader.concepts({ where, type: 'row' }))
    expect(typed).toEqual(rows.map(({ id }) => id))
    const page = await idsOf(reader.concepts({ where, limit: 3 }))
    const after = page.at(-1)
    const next = after === undefined ? [] : await idsOf(reader.concepts({ where, after }))
    expect([...page, ...next]).toEqual(wanted)
  }
}

async function checkSelections(pinned: Pinned): Promise<void> {
  for (const where of WHERES) {
    const accept = compileWhere(where)
    const selection = await select(pinned, where, 100_000)
    expect(selection, JSON.stringify(where)).toBeDefined()
    if (selection === undefined) continue
    const { ordinals, revisions, exact } = selection
    const passing: number[] = []
    for (let ordinal = 1; ordinal <= 5000; ordinal++) {
      const state = pinned.concept(ordinal)
      const at = ordinals.indexOf(ordinal)
      if (at >= 0) expect(state?.revision).toBe(revisions[at])
      if (state !== undefined && accept(conceptSubject(state))) passing.push(ordinal)
    }
    if (exact) expect([...ordinals]).toEqual(passing)
    else expect([...ordinals]).toEqual(expect.arrayContaining(passing))
    // What was found may be fewer than what had to be read for it.
    const again = await select(pinned, where, ordinals.length)
    if (again !== undefined || 'lang' in where) expect(again).toEqual(selection)
    if (ordinals.length > 0)
      expect(await select(pinned, where, ordinals.length - 1)).toBeUndefined()
    // Zero is said only where it is sure.
    if (ordinals.length > 0) expect(estimate(pinned, where)).toBeGreaterThan(0)
  }
}

describe('while the store is written to', () => {
  const slow: StoreOptions = { pipeline: { intervalMs: { min: 50, base: 100, max: 100 } } }

  test('every view finds what it would find by looking at every concept', async () => {
    const random = new Random()
    await using temporary = await openTemporaryStore({ indexes: INDEXES, ...slow })
    const { store } = temporary
    const keys: string[] = []
    // The first batch says which indexes there are.
    await changeSome(store, random, keys)
    await built(store)
    const views: Awaited<ReturnType<Store['view']>>[] = []
    for (let round = 0; round < 8; round++) {
      await changeSome(store, random, keys)
      if (round % 2 === 0) views.push(await store.view())
      if (round % 3 === 2) await store.caughtUp()
      await withPinned(store, checkSelections)
      await check(store)
    }
    for (const view of views) {
      await check(view)
      await view.close()
    }
  })

  test('a filter stops on its signal', async () => {
    await using temporary = await openTemporaryStore({ indexes: INDEXES })
    const { store } = temporary
    await store.learn({ content: 'a', metadata: { lang: 'en' } })
    await store.caughtUp()
    const listing = idsOf(store.concepts({ where: { lang: 'en' }, signal: AbortSignal.abort() }))
    await expect(listing).rejects.toMatchObject({ code: 'ABORTED' })
  })

  test('what is given out may be changed: the next one who asks gets what is right', async () => {
    await using temporary = await openTemporaryStore({ indexes: INDEXES })
    const { store } = temporary
    for (let n = 0; n < 5; n++) await store.learn({ content: `${n}`, metadata: { lang: 'en' } }, OS)
    await store.caughtUp()
    await withPinned(store, async (pinned) => {
      for (let n = 0; n < 3; n++) {
        const selection = await select(pinned, { lang: 'en' }, 100)
        expect([...(selection?.ordinals ?? [])]).toEqual([1, 2, 3, 4, 5])
        expect([...(selection?.revisions ?? [])]).toEqual([0, 0, 0, 0, 0])
        selection?.ordinals.fill(9)
        selection?.revisions.fill(9)
      }
      expect(await select(pinned, { lang: 'en' }, 4)).toBeUndefined()
    })
  })

  test('a concept is found by the commit that just wrote it', async () => {
    await using temporary = await openTemporaryStore({ indexes: INDEXES })
    const { store } = temporary
    for (let n = 0; n < 300; n++) {
      const { results } = await store.learn({ content: `${n}`, metadata: { year: n } }, OS)
      expect(await idsOf(store.concepts({ where: { year: n } }))).toEqual([results[0]?.id])
    }
  })
})

describe('what is declared at open', () => {
  const fill = async (store: Store, count = 3000): Promise<void> => {
    const commands = Array.from({ length: count }, (_, n) => ({
      do: 'learn' as const,
      content: `${n}`,
      metadata: { lang: LANGS[n % 4] ?? '', year: 1980 + (n % 20) }
    }))
    for (let at = 0; at < count; at += 1000) await store.commit(commands.slice(at, at + 1000), OS)
    await store.caughtUp()
  }

  test('is built over what is there, told, and used without another write', async () => {
    await using temporary = await openTemporaryStore()
    await fill(temporary.store)
    const store = await temporary.reopen({ indexes: INDEXES })
    const told: unknown[] = []
    store.telemetry$.subscribe((event) => {
      if (event.type === 'fields-indexed') told.push(event.fields)
    })
    const seen = new Set<number>()
    while (store.stats().indexes['lang']?.built !== true) {
      seen.add(store.stats().indexes['lang']?.progress ?? -1)
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    expect([...seen].filter((one) => one < 0 || one > 1)).toEqual([])
    expect([...seen]).toEqual([...seen].sort((a, b) => a - b))
    await built(store)
    expect(told).toEqual([['lang', 'tags', 'year']])
    expect(store.stats().indexes).toEqual({
      lang: { type: 'string', built: true, progress: 1 },
      tags: { type: 'string', built: true, progress: 1 },
      year: { type: 'number', built: true, progress: 1 }
    })
    expect(await guess(store, { lang: 'en' })).toBe(750)
    expect(await guess(store, { lang: 'en', year: 1980 })).toBe(150)
    expect(await found(store, { lang: 'en', year: 1980 }, 1000)).toBe(150)
    expect(await guess(store, { other: 'en' })).toBeUndefined()
    expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
  })

  test('stays when nothing is said, goes with {}, and changes with another type', async () => {
    await using temporary = await openTemporaryStore({ indexes: INDEXES })
    await fill(temporary.store)
    let store = await temporary.reopen({})
    expect(Object.keys(store.stats().indexes)).toEqual(['lang', 'tags', 'year'])
    expect(await guess(store, { lang: 'en' })).toBe(750)
    store = await temporary.reopen({ readOnly: true, indexes: {} })
    expect(await guess(store, { lang: 'en' })).toBe(750)
    store = await temporary.reopen({ indexes: { lang: 'number', year: 'number' } })
    await built(store)
    expect(await guess(store, { lang: 'en' })).toBeUndefined()
    expect(await guess(store, { year: 1999 })).toBe(150)
    store = await temporary.reopen({ indexes: {} })
    expect(store.stats().indexes).toEqual({})
    const tables = await tablesOf(temporary.directory)
    await vi.waitFor(async () => {
      await store.close()
      const rows = await rowsOf(tables)
      store = await temporary.reopen({})
      expect(rows.filter(([[prefix]]) => prefix === PREFIX.posting)).toEqual([])
    }, PATIENCE)
  })

  test('holds for tables that are damaged and made anew, also without its file', async () => {
    const directory = await temporaryPath()
    const first = await open(directory, { indexes: INDEXES })
    await fill(first)
    await first.close()
    await writeFile(join(directory, 'tables', 'CURRENT'), 'none')
    const healed = await open(directory)
    await healed.caughtUp()
    await healed.close()
    const store = await open(directory)
    expect(await guess(store, { lang: 'en' })).toBe(750)
    await store.close()
    const file = join(directory, 'tables', 'INDEXES')
    for (const damage of ['', 'null', '{"indexes":{"other":"string"},"checksum":1}']) {
      await writeFile(file, damage)
      const damaged = await open(directory)
      expect(Object.keys(damaged.stats().indexes)).toEqual(['lang', 'tags', 'year'])
      await damaged.close()
    }
    await rm(file)
    await using again = await open(directory, { indexes: INDEXES })
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ indexes: INDEXES })
    await again.rebuild()
    expect(await guess(again, { lang: 'en' })).toBe(750)
  })

  test('is checked', async () => {
    const path = await temporaryPath()
    const many = Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`f${n}`, 'string']))
    const wrong: unknown[] = [
      [],
      many,
      { '': 'string' },
      { '@type': 'string' },
      { lang: 'text' },
      { ['x'.repeat(600)]: 'string' },
      { ['__proto__']: 'string' },
      { '\ud800': 'string' }
    ]
    for (const indexes of wrong) {
      const opening = open(path, { indexes } as StoreOptions)
      await expect(opening).rejects.toMatchObject({ code: 'OPTION_INVALID' })
    }
  })

  test('damage of a row is met by whoever reads it, and by verify', async () => {
    const directory = await temporaryPath()
    const options: StoreOptions = { indexes: INDEXES, scrubBytesPerSec: 0 }
    const first = await open(directory, options)
    await fill(first)
    await first.close()
    const tables = await tablesOf(directory)
    const [row, other] = (await rowsOf(tables)).filter(([[prefix]]) => prefix === PREFIX.posting)
    if (row === undefined || other === undefined) throw new Error('There are no postings')
    await deleteRows(tables, [other[0]])
    const lost = await open(directory, options)
    expect(await lost.verify()).toMatchObject({ ok: false, problems: [{ part: 'tables' }] })
    await lost.close()
    await changeRow(tables, row[0], flipped(row[1], 5))
    const store = await open(directory, options)
    const reading = found(store, { lang: { in: LANGS } }, 10_000)
    await expect(reading).rejects.toMatchObject({ code: 'TABLES_DAMAGED' })
    // It heals by a rebuild, without being asked.
    await vi.waitFor(async () => {
      expect(await found(store, { lang: 'de' }, 10_000)).toBe(750)
    }, PATIENCE)
    await store.close()
  })
})
