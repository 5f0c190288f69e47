import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type Command,
  defineProjection,
  open,
  type RowRange,
  type Rows,
  restore,
  type Store
} from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { openTemporaryStore } from '../support/open-store.ts'
import { temporaryPath } from '../support/temp.ts'
import { asRecord, compareWithModel, modelOf, tally } from './tally.ts'

const plain = tally(1)
const os = { durability: 'os' } as const

function learn(from: number, count: number): Command[] {
  return Array.from({ length: count }, (_, n) => ({
    do: 'learn',
    id: { key: `k${from + n}` },
    content: `Concept ${from + n}`
  }))
}

async function fill(store: Store, commits: number, size: number, from = 0): Promise<void> {
  for (let n = 0; n < commits; n++) await store.commit(learn(from + n * size, size), os)
}

describe('queries of a projection', () => {
  test('see every commit that was acknowledged before them', async () => {
    await using temporary = await openTemporaryStore({ projections: [plain] })
    const { store } = temporary
    for (let n = 1; n <= 30; n++) {
      await store.learn({ content: `Concept ${n}` }, n % 2 === 0 ? os : {})

      expect(await store.projection(plain).total()).toMatchObject({ count: n, last: n })
    }
  })

  test('answer at the position of their view, whatever happens behind it', async () => {
    await using temporary = await openTemporaryStore({ projections: [plain] })
    const { store } = temporary
    const views = []
    for (let n = 0; n < 12; n++) {
      await fill(store, 1, 7, n * 7)
      views.push(await store.view())
      if (n % 3 === 0) await store.caughtUp()
      if (n === 8) await store.rebuild({ projections: ['tally'] })
    }

    // Asked in another order than they were made, and some of them at once.
    const answers = await Promise.all(
      views.toReversed().map(async (view) => ({
        position: view.position,
        rows: asRecord(await view.projection(plain).all())
      }))
    )

    for (const { position, rows } of answers) {
      expect(rows).toEqual(await modelOf(store.events({ to: position }), 1))
    }
    for (const view of views) await view.close()
  })

  test('of a view are pinned to it even when the projection was far behind', async () => {
    await using temporary = await openTemporaryStore()
    await fill(temporary.store, 40, 250)
    // 10 000 events are not there yet: more than anybody folds in memory.
    const store = await temporary.reopen({ projections: [plain] })
    await using view = await store.view()
    await fill(store, 4, 250, 10_000)

    const rows = asRecord(await view.projection(plain).all())

    expect(rows).toEqual(await modelOf(store.events({ to: view.position }), 1))
    const { actual, expected } = await compareWithModel(store, plain)
    expect(actual).toEqual(expected)
  })

  test('do not wait for rows that are being built, if they are told so', async () => {
    await using temporary = await openTemporaryStore()
    await fill(temporary.store, 20, 250)
    const store = await temporary.reopen({ projections: [plain] })

    const answer = store.projection(plain, { building: 'fail' }).total()

    await expect(answer).rejects.toMatchObject({
      code: 'PROJECTION_BUILDING',
      retryable: true,
      details: { projection: 'tally', head: 5000 }
    })
    await store.caughtUp()
    expect(await store.projection(plain, { building: 'fail' }).total()).toMatchObject({
      count: 5000
    })
  })

  test('end with their signal, while they wait as well', async () => {
    await using temporary = await openTemporaryStore()
    await fill(temporary.store, 20, 250)
    const store = await temporary.reopen({ projections: [plain] })
    const stop = new AbortController()

    const waiting = store.projection(plain, { signal: stop.signal }).total()
    stop.abort()

    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' })
    await expect(
      store.projection(plain, { signal: AbortSignal.abort() }).total()
    ).rejects.toMatchObject({ code: 'ABORTED' })
  })

  test('of a closed view or store are refused', async () => {
    const store = await open(await temporaryPath(), { projections: [plain] })
    const view = await store.view()
    const [ofView, ofStore] = [view.projection(plain), store.projection(plain)]
    await view.close()
    await expect(ofView.total()).rejects.toMatchObject({ code: 'VIEW_CLOSED' })
    await store.close()

    await expect(ofStore.total()).rejects.toMatchObject({ code: 'STORE_CLOSED' })
    expect(() => store.projection(plain)).toThrow(/closed/)
    expect(() => store.projections.list()).toThrow(/closed/)
  })

  test('are those of a definition that was declared', async () => {
    await using temporary = await openTemporaryStore({ projections: [plain] })
    const { store } = temporary

    expect(() => store.projection(tally(2))).toThrow(
      expect.objectContaining({ code: 'QUERY_INVALID' })
    )
    expect(() => store.projection(tally(1, { name: 'other' }))).toThrow(
      expect.objectContaining({ code: 'QUERY_INVALID' })
    )
    await using without = await openTemporaryStore()
    expect(() => without.store.projection(plain)).toThrow(/declared: none is declared, received/)
  })

  test('are given rows that they cannot change, and cannot keep', async () => {
    let kept: { get(key: string): unknown } | undefined
    const curious = defineProjection({
      name: 'curious',
      version: 1,
      apply: (event, rows: Rows<string, number>) => rows.put('a', event.position),
      queries: {
        keep(rows) {
          kept = rows
        },
        change: (rows) => (rows as Rows<string, number>).put('a', 1)
      }
    })
    await using temporary = await openTemporaryStore({ projections: [curious] })
    const queries = temporary.store.projection(curious)
    await queries.keep()

    expect(() => kept?.get('a')).toThrow(TypeError)
    await expect(queries.change()).rejects.toThrow(TypeError)
  })
})

describe('ranges of rows', () => {
  const words = defineProjection({
    name: 'words',
    version: 1,
    types: ['concept-learned'],
    apply({ data, position }, rows: Rows<[first: string, n: number], string>) {
      const { content = '' } = data
      rows.put([content.slice(0, 1), position], content)
      // Every fourth takes the one before with it.
      if (position % 4 === 0) rows.del([content.slice(1, 2), position - 1])
    },
    queries: {
      async some(rows, range: RowRange<[first: string, n: number]> = {}) {
        const found = []
        for await (const [[first, n]] of rows.range(range)) found.push(`${first}${n}`)
        return found
      }
    }
  })

  test('are in order, over rows that are stored and rows that are not', async () => {
    await using temporary = await openTemporaryStore({ projections: [words] })
    const { store } = temporary
    for (const content of ['a1', 'b2', 'a3', 'ca', 'a5']) await store.learn({ content })
    await store.caughtUp()
    for (const content of ['b6', 'a7', 'aa']) await store.learn({ content }, os)
    const { some } = store.projection(words)

    expect(await some()).toEqual(['a1', 'a5', 'a8', 'b2', 'b6', 'c4'])
    expect(await some({ prefix: ['b'] })).toEqual(['b2', 'b6'])
    expect(await some({ reverse: true, limit: 3 })).toEqual(['c4', 'b6', 'b2'])
    expect(await some({ gt: ['a', 3], lte: ['b', 2] })).toEqual(['a5', 'a8', 'b2'])
    expect(await some({ prefix: ['a'], gte: ['a', 4], limit: 2 })).toEqual(['a5', 'a8'])
    expect(await some({ limit: 0 })).toEqual([])
    expect(await some({ gte: ['c', 1], lt: ['a', 1] })).toEqual([])
    await expect(some({ limit: -1 })).rejects.toThrow(TypeError)
    await expect(some({ from: ['a', 1] } as object)).rejects.toThrow(/'from'/)
  })

  test('may be read while events are applied, with what they have changed so far', async () => {
    const ranged = tally(1, { ranged: true })
    await using temporary = await openTemporaryStore({
      projections: [ranged],
      pipeline: { batchEventsMax: 7 }
    })
    const { store } = temporary
    await fill(store, 3, 40)
    await store.forget({ key: 'k3' })
    await store.caughtUp()
    await fill(store, 1, 5, 200)

    const rows = asRecord(await store.projection(ranged).all())

    const { '["ranged"]': last, ...rest } = rows
    expect(rest).toEqual(await modelOf(store.events(), 1))
    const abouts = Object.keys(rest).filter((key) => key.startsWith('["about"'))
    const length = abouts.reduce((sum, key) => sum + JSON.parse(key).toString().length, 0)
    expect(last).toEqual({ count: length, chain: 0, last: store.head })
  })
})

describe('a projection that fails', () => {
  test('stops in front of the event, and the store and others go on', async () => {
    const failing = tally(1, { name: 'failing', failAt: 8 })
    await using temporary = await openTemporaryStore({
      check: false,
      projections: [failing, plain]
    })
    const { store } = temporary
    const told: unknown[] = []
    store.telemetry$.subscribe(({ type, ...rest }) => {
      if (type === 'projection-stopped') told.push(rest)
    })
    await fill(store, 1, 7)
    const before = await store.view()
    await fill(store, 5, 3, 7)

    await expect(store.caughtUp()).rejects.toMatchObject({
      code: 'PROJECTION_STOPPED',
      details: { projection: 'failing', position: 7 }
    })
    expect(told).toMatchObject([{ projection: 'failing', position: 7 }])
    await expect(store.projection(failing).total()).rejects.toMatchObject({
      code: 'PROJECTION_STOPPED',
      message: expect.stringContaining('This one cannot be applied')
    })
    expect(await before.projection(failing).total()).toMatchObject({ count: 7 })
    await before.close()
    expect(store.projections.list()).toMatchObject([
      { name: 'failing', state: 'stopped', position: 7, error: expect.stringContaining('8') },
      { name: 'tally', state: 'running' }
    ])
    expect(store.stats().pipeline.projections).toMatchObject({
      failing: { state: 'stopped', position: 7 },
      tables: { state: 'running' },
      tally: { state: 'running' }
    })
    await fill(store, 1, 3, 100)
    expect(await store.projection(plain).total()).toMatchObject({ count: 25 })
    // What needs the tables alone does not mind.
    await store.rebuild({ projections: ['tables', 'tally'] })
    expect((await store.verify()).problems).toMatchObject([{ part: 'projection failing' }])
    await expect(store.rebuild({ projections: ['failing'] })).rejects.toMatchObject({
      code: 'PROJECTION_STOPPED'
    })
    expect(store.projections.list()[0]).not.toHaveProperty('build')
  })

  test('goes on where it was once its code is mended', async () => {
    await using temporary = await openTemporaryStore({
      check: false,
      projections: [tally(1, { failAt: 8 })]
    })
    await fill(temporary.store, 10, 2)
    await expect(temporary.store.caughtUp()).rejects.toMatchObject({ code: 'PROJECTION_STOPPED' })

    const store = await temporary.reopen({ projections: [plain] })
    await store.caughtUp()

    const { actual, expected } = await compareWithModel(store, plain)
    expect(actual).toEqual(expected)
  })

  test.each([
    ['a value that is no value', undefined],
    ['a value that is too long', 'x'.repeat(2 ** 20)]
  ])('by %s stops as well', async (_, value) => {
    const wrong = defineProjection({
      name: 'wrong',
      version: 1,
      apply: (_event, rows) => rows.put('a', value)
    })
    await using temporary = await openTemporaryStore({ check: false, projections: [wrong] })
    await temporary.store.learn({ content: 'One' })

    await expect(temporary.store.caughtUp()).rejects.toMatchObject({ code: 'PROJECTION_STOPPED' })
  })
})

describe('rows on the disk', () => {
  test('are left alone where nobody declares them, and can be dropped then', async () => {
    const other = tally(1, { name: 'other' })
    await using temporary = await openTemporaryStore({ projections: [plain, other] })
    await fill(temporary.store, 2, 5)
    const parent = join(temporary.directory, 'projections')
    const store = await temporary.reopen({ projections: [other] })

    expect((await readdir(parent)).sort()).toEqual(['other', 'tally'])
    await expect(store.projections.drop('other')).rejects.toMatchObject({ code: 'QUERY_INVALID' })
    await expect(store.projections.drop('../tables')).rejects.toMatchObject({
      code: 'QUERY_INVALID'
    })
    await store.projections.drop('tally')
    expect(await readdir(parent)).toEqual(['other'])
    await temporary.reopen({})
    await temporary.store.projections.drop('other')
    expect(await readdir(temporary.directory)).not.toContain('projections')
  })

  test('are no part of a backup: a restored store makes them from its log', async () => {
    const [backup, restored] = [await temporaryPath('backup'), await temporaryPath('restored')]
    await using temporary = await openTemporaryStore({ projections: [plain] })
    await fill(temporary.store, 3, 20)
    const { hash } = await temporary.store.projections.hash('tally')
    await temporary.store.backup(backup)
    await restore(backup, restored)

    await using store = await open(restored, { projections: [plain] })

    expect(await store.projections.hash('tally')).toEqual({ position: 60, hash })
  })

  test('answer in a store that is read-only, as far as they are there', async () => {
    const directory = await temporaryPath()
    const other = tally(1, { name: 'other' })
    const store = await open(directory, { projections: [plain] })
    await fill(store, 2, 50)
    await store.close()

    await using reading = await open(directory, { readOnly: true, projections: [plain, other] })

    expect(await reading.projection(plain).total()).toMatchObject({ count: 100 })
    await expect(reading.projection(other).total()).rejects.toMatchObject({
      code: 'PROJECTION_BUILDING'
    })
    expect(reading.projections.list()).toMatchObject([{ state: 'running' }, { state: 'missing' }])
    await expect(reading.projections.drop('tally')).rejects.toMatchObject({
      code: 'STORE_READ_ONLY'
    })
    expect(await readdir(join(directory, 'projections'))).toEqual(['tally'])
  })
})

describe('a definition', () => {
  const apply = (): void => {}
  test.each([
    ['name', { name: 'Tables' }],
    ['name', { name: '../up' }],
    ['name', { name: 'tables' }],
    ['name', { name: 'a'.repeat(65) }],
    ['version', { version: 0 }],
    ['version', { version: 1.5 }],
    ['apply', { apply: 'apply' }],
    ['init', { init: 1 }],
    ['types', { types: [] }],
    ['types', { types: 'concept-learned' }],
    ['queries', { queries: { one: 1 } }],
    ['queries.then', { queries: Object.fromEntries([['then', apply]]) }],
    ['promote', { promote: 'later' }],
    ['previous.name', { previous: { name: 'b', version: 1, apply }, version: 2 }],
    ['previous.version', { previous: { name: 'a', version: 2, apply }, version: 2 }],
    ['query', { query: {} }]
  ])('is refused for its %s: %j', (member, wrong) => {
    const given = { name: 'a', version: 1, apply, ...wrong }

    expect(() => defineProjection(given as object as typeof plain)).toThrow(
      expect.objectContaining({
        code: 'OPTION_INVALID',
        details: expect.objectContaining({ option: expect.stringContaining(member) })
      })
    )
  })

  test('is refused by an open that is given it twice, and nothing is made then', async () => {
    const directory = await temporaryPath()

    for (const projections of [[plain, plain], [{ name: 'a', version: 1 }], 'tally']) {
      const opening = open(directory, { projections: projections as [] })
      await expect(opening).rejects.toMatchObject({ code: 'OPTION_INVALID' })
    }

    await expect(readdir(directory)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('with other types under the same version is a conflict', async () => {
    const of = (types: ['concept-learned'] | undefined) =>
      defineProjection({ name: 'a', version: 1, ...(types && { types }), apply })
    await using temporary = await openTemporaryStore({ projections: [of(undefined)] })
    const { directory } = temporary
    await temporary.store.close()

    await expect(open(directory, { projections: [of(['concept-learned'])] })).rejects.toMatchObject(
      { code: 'OPTION_CONFLICT', details: { option: 'projections.a.types' } }
    )
  })
})
