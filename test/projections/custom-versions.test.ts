import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { defineProjection, type Rows, type Store } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { openTemporaryStore } from '../support/open-store.ts'
import { compareWithModel, tally } from './tally.ts'

const first = tally(1)
const second = tally(2, { previous: first })
const manual = tally(2, { previous: first, promote: 'manual' })

async function fill(store: Store, count: number): Promise<void> {
  const from = store.head
  await store.import(
    Array.from({ length: count }, (_, n) => {
      const key = `k${from + n}`
      return { kind: 'concept' as const, key, content: `Concept ${key}` }
    })
  )
}

async function expectRows(store: Store, definition: typeof first): Promise<void> {
  const { actual, expected } = await compareWithModel(store, definition)
  expect(actual).toEqual(expected)
}

describe('another version of a projection', () => {
  test('is built beside the older one, which answers until it has caught up', async () => {
    await using temporary = await openTemporaryStore({ projections: [first] })
    await fill(temporary.store, 9000)
    await temporary.store.caughtUp()
    const store = await temporary.reopen({ projections: [second] })
    const queries = store.projection(second)

    // In this turn nothing is built yet.
    expect(store.projections.list()).toMatchObject([
      { version: 1, state: 'running', build: { version: 2, state: 'building', progress: 0 } }
    ])
    expect(await queries.version()).toBe(1)
    await expectRows(store, second)
    await using view = await store.view()
    await store.projections.promote('tally')

    expect(await queries.version()).toBe(2)
    await expectRows(store, second)
    // A view goes on with the rows it began with.
    expect(await view.projection(second).version()).toBe(1)
    const [status] = store.projections.list()
    expect(status).toMatchObject({ version: 2, state: 'running' })
    expect(status).not.toHaveProperty('build')
    await view.close()
    await store.learn({ content: 'Later' })
    await expectRows(store, second)
    await temporary.reopen()
    const generations = await readdir(join(temporary.directory, 'projections', 'tally'))
    expect(generations.sort()).toEqual(['2', 'CURRENT'])
  })

  test('takes over by itself', async () => {
    await using temporary = await openTemporaryStore({ projections: [first] })
    await fill(temporary.store, 500)
    const store = await temporary.reopen({ projections: [second] })

    while ((await store.projection(second).version()) === 1) await store.learn({ content: 'More' })

    await expectRows(store, second)
    expect(store.projections.list()[0]).not.toHaveProperty('build')
  })

  test('is compared with the older one at one position, and promoted by hand', async () => {
    await using temporary = await openTemporaryStore({ projections: [first] })
    await fill(temporary.store, 300)
    const store = await temporary.reopen({ projections: [manual] })
    await fill(store, 50)

    const compared = await store.projections.compare('tally', { limit: 3 })

    // Each row depends on the version; as many rows as there are concepts, a type and the total.
    const { differences, ...counts } = compared
    const changed = 352
    expect(counts).toEqual({
      ...{ position: 350, before: 1, after: 2 },
      ...{ same: 0, added: 0, removed: 0, changed }
    })
    expect(differences).toHaveLength(3)
    expect(differences[0]).toMatchObject({
      key: 'total',
      before: { count: 350 },
      after: { count: 350 }
    })
    await expect(store.caughtUp()).resolves.toBeUndefined()
    expect(await store.projection(manual).version()).toBe(1)
    await fill(store, 20)
    expect(await store.projection(manual).total()).toMatchObject({ count: 370 })
    expect(store.stats().pipeline.projections).toHaveProperty('tally@2')
    await store.projections.promote('tally')
    expect(await store.projection(manual).version()).toBe(2)
    await expectRows(store, manual)
    expect(store.stats().pipeline.projections).not.toHaveProperty('tally@2')
  })

  test('can be cancelled, and begins again at the next open', async () => {
    await using temporary = await openTemporaryStore({ projections: [first] })
    await fill(temporary.store, 300)
    let store = await temporary.reopen({ projections: [manual] })
    const comparing = store.projections.compare('tally')
    comparing.catch(() => undefined)

    await store.projections.cancel('tally')

    expect(store.projections.list()[0]).not.toHaveProperty('build')
    await expect(store.projections.cancel('tally')).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    await expect(store.projections.promote('tally')).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    await expect(store.projections.compare('tally')).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    expect(await store.projection(manual).version()).toBe(1)
    store = await temporary.reopen()
    await store.projections.promote('tally')
    await expectRows(store, manual)
  })

  test('goes on where it was when the store is opened again', async () => {
    await using temporary = await openTemporaryStore({ projections: [first] })
    await fill(temporary.store, 300)
    let store = await temporary.reopen({ projections: [manual] })
    await store.projections.compare('tally')
    const built = (): number => store.projections.list()[0]?.build?.position ?? 0
    // A comparison adds to the rows what they lack: it waits for no batch.
    await expect.poll(built).toBeGreaterThan(0)
    const position = built()

    store = await temporary.reopen()

    expect(store.projections.list()[0]?.build?.position).toBeGreaterThanOrEqual(position)
    expect(await store.projection(manual).version()).toBe(1)
    await store.projections.promote('tally')
    await expectRows(store, manual)
  })

  test('without the older definition answers once it is built, and the older rows stay', async () => {
    await using temporary = await openTemporaryStore({ projections: [first] })
    await fill(temporary.store, 5000)
    const alone = tally(2)
    const store = await temporary.reopen({ projections: [alone] })
    expect(store.projections.list()).toMatchObject([{ version: 2, state: 'building' }])

    await expectRows(store, alone)

    expect(await store.projection(alone).version()).toBe(2)
    await store.caughtUp()
    await temporary.reopen()
    const parent = join(temporary.directory, 'projections', 'tally')
    expect(await readFile(join(parent, 'CURRENT'), 'utf8')).toBe('2')
    expect((await readdir(parent)).sort()).toEqual(['2', 'CURRENT'])
  })

  test('that is taken back before it was built finds the older rows as they were', async () => {
    await using temporary = await openTemporaryStore({ projections: [first] })
    await fill(temporary.store, 200)
    await temporary.store.caughtUp()
    // It cannot be built.
    const store = await temporary.reopen({ projections: [tally(2, { failAt: 3 })] })
    await expect(store.caughtUp()).rejects.toMatchObject({ code: 'PROJECTION_STOPPED' })

    const back = await temporary.reopen({ projections: [first] })

    expect(back.projections.list()).toMatchObject([{ version: 1, state: 'running', position: 200 }])
    await expectRows(back, first)
  })

  test('that fails while it is built leaves the older one answering', async () => {
    await using temporary = await openTemporaryStore({ projections: [first] })
    await fill(temporary.store, 200)
    const failing = tally(2, { previous: first, failAt: 100 })
    const store = await temporary.reopen({ projections: [failing] })

    await expect(store.projections.promote('tally')).rejects.toMatchObject({
      code: 'PROJECTION_STOPPED',
      details: { projection: 'tally@2', position: 99 }
    })

    expect(store.projections.list()).toMatchObject([
      { version: 1, state: 'running', build: { state: 'stopped', position: 99 } }
    ])
    await store.learn({ content: 'Later' })
    await store.caughtUp()
    await expectRows(store, failing)
    await expect(store.projections.compare('tally')).rejects.toMatchObject({
      code: 'PROJECTION_STOPPED'
    })
    await store.projections.cancel('tally')
    expect(store.projections.list()[0]).not.toHaveProperty('build')
  })

  test('may ask what the older one did not know, once it is there', async () => {
    const older = defineProjection({
      name: 'counted',
      version: 1,
      apply: (_, rows: Rows<string, number>) => rows.put('n', (rows.get('n') ?? 0) + 1),
      queries: { count: (rows) => rows.get('n') ?? 0, old: () => 'old' }
    })
    const newer = defineProjection({
      name: 'counted',
      version: 2,
      previous: older,
      promote: 'manual',
      apply(_, rows: Rows<string, number>) {
        rows.put('n', (rows.get('n') ?? 0) + 1)
        rows.put('twice', (rows.get('twice') ?? 0) + 2)
      },
      queries: { count: (rows) => rows.get('n') ?? 0, twice: (rows) => rows.get('twice') ?? 0 }
    })
    await using temporary = await openTemporaryStore({ projections: [older] })
    await fill(temporary.store, 10)
    const store = await temporary.reopen({ projections: [newer] })

    expect(await store.projection(newer).count()).toBe(10)
    await expect(store.projection(newer).twice()).rejects.toMatchObject({
      code: 'PROJECTION_BUILDING'
    })
    expect(await store.projection(older).old()).toBe('old')
    const compared = await store.projections.compare('counted')
    expect(compared).toMatchObject({ same: 1, added: 1, removed: 0, changed: 0 })
    expect(compared.differences).toEqual([{ key: 'twice', after: 20 }])
    await store.projections.promote('counted')
    expect(await store.projection(newer).twice()).toBe(20)
    expect(await store.projection(older).count()).toBe(10)
    await expect(store.projection(older).old()).rejects.toMatchObject({ code: 'QUERY_INVALID' })
  })
})

describe('a rebuild', () => {
  test('gives the same rows, tells how far it is, and can be given up', async () => {
    await using temporary = await openTemporaryStore({ projections: [first] })
    const { store } = temporary
    await fill(store, 3000)
    const before = await store.projections.hash('tally')
    const told: unknown[] = []

    await store.rebuild({
      projections: ['tally'],
      onProgress: (progress) => told.push(progress)
    })

    expect(await store.projections.hash('tally')).toEqual(before)
    expect(told.at(-1)).toEqual({ phase: 'tally', done: 3000, total: 3000 })
    const signal = AbortSignal.abort()
    await expect(store.rebuild({ projections: ['tally'], signal })).rejects.toMatchObject({
      code: 'ABORTED'
    })
    await expect(store.rebuild({ projections: ['tallies'] })).rejects.toMatchObject({
      code: 'QUERY_INVALID'
    })
    const twice = [1, 2].map(async () => store.rebuild({ projections: ['tally'] }))
    await Promise.all(twice)
    expect(await store.projections.hash('tally')).toEqual(before)
    expect(store.projections.list()[0]).not.toHaveProperty('build')
  })

  test('ends with the store, and leaves the rows that answered', async () => {
    await using temporary = await openTemporaryStore({ projections: [first] })
    await fill(temporary.store, 3000)
    await temporary.store.caughtUp()
    const rebuilding = temporary.store.rebuild({ projections: ['tally'] })
    const ended = expect(rebuilding).rejects.toMatchObject({ name: 'StoreError' })

    const store = await temporary.reopen()

    await ended
    await expectRows(store, first)
  })
})
