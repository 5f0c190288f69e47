/** Rows that cannot be trusted are never read as if they were whole, and heal by themselves. */
import { cp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { defineProjection, open, type Rows, repair, type Store } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { openTemporaryStore } from '../support/open-store.ts'
import { changeRow, deleteRows, flipFile, flipped, rowsOf } from '../support/raw.ts'
import { lastingPath, temporaryPath } from '../support/temp.ts'
import { compareWithModel, tally } from './tally.ts'

const first = tally(1)
const projections = [first]

/** Some rows, written in several batches. */
async function makeStore(): Promise<string> {
  const directory = await temporaryPath()
  await using store = await open(directory, { projections })
  for (let n = 0; n < 5; n++) {
    await store.learn({ id: { key: `k${n}` }, content: `Concept ${n}` })
    await store.caughtUp()
  }
  return directory
}

function rowsDirectory(directory: string, generation = 1): string {
  return join(directory, 'projections', 'tally', String(generation))
}

async function rowNamed(
  directory: string,
  part: string,
  generation = 1
): Promise<[Buffer, Buffer]> {
  const rows = await rowsOf(rowsDirectory(directory, generation))
  const row = rows.find(([key]) => key.toString('latin1').includes(part))
  if (row === undefined) throw new Error(`There is no row '${part}'`)
  return row
}

async function flipRow(directory: string, part: string, generation = 1): Promise<void> {
  const [key, value] = await rowNamed(directory, part, generation)
  await changeRow(rowsDirectory(directory, generation), key, flipped(value, value.length - 1))
}

async function expectRows(store: Store): Promise<void> {
  const { actual, expected } = await compareWithModel(store, first)
  expect(actual).toEqual(expected)
}

function findingsOf(store: Store): unknown[] {
  const found: unknown[] = []
  store.telemetry$.subscribe(({ type, ...rest }) => found.push({ type, ...rest })).unsubscribe()
  return found
}

describe('rows that cannot be opened are made anew', () => {
  const damages: [string, (directory: string) => Promise<void>][] = [
    ['the generation deleted', async (path) => rm(rowsDirectory(path), { recursive: true })],
    ["LevelDB's CURRENT deleted", async (path) => rm(join(rowsDirectory(path), 'CURRENT'))],
    ['the checkpoint flipped', async (path) => flipRow(path, 'mcheckpoint')],
    ['the definition flipped', async (path) => flipRow(path, 'mdefinition')],
    ['a continuity record flipped', async (path) => flipRow(path, 'c\0\0\0\0\0\u0002')],
    ...[1, 3, 5].map((batch): [string, (directory: string) => Promise<void>] => [
      `the continuity record of batch ${batch} removed`,
      async (path) => {
        const [key] = await rowNamed(path, `c\0\0\0\0\0${String.fromCharCode(batch)}`)
        await deleteRows(rowsDirectory(path), [key])
      }
    ])
  ]

  test.each(damages)('%s', async (_, damage) => {
    const directory = await makeStore()
    await damage(directory)

    await using store = await open(directory, { projections })

    expect(findingsOf(store)).toMatchObject([
      { type: 'damage-found', part: 'projection tally', reason: expect.any(String) },
      { type: 'rebuild-started', projection: 'tally' },
      { type: 'recovery' },
      { type: 'opened' }
    ])
    await store.caughtUp()
    await expectRows(store)
    expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
  })

  test.each([
    ['CURRENT deleted', async (path: string) => rm(path)],
    ['CURRENT flipped', async (path: string) => flipFile(path, 0)],
    ['CURRENT empty', async (path: string) => writeFile(path, '')]
  ])('%s', async (_, damage) => {
    const directory = await makeStore()
    await damage(join(directory, 'projections', 'tally', 'CURRENT'))

    await using store = await open(directory, { projections })

    await expectRows(store)
    expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
  })

  test('rows of another store', async () => {
    const [mine, other] = [await makeStore(), await makeStore()]
    await rm(join(mine, 'projections'), { recursive: true })
    await cp(join(other, 'projections'), join(mine, 'projections'), { recursive: true })

    await using store = await open(mine, { projections })

    expect(findingsOf(store)).toContainEqual(
      expect.objectContaining({ reason: expect.stringContaining('another store') })
    )
    await expectRows(store)
  })
})

describe('a damaged row', () => {
  test('is told to whoever reads it, and heals', async () => {
    const directory = await makeStore()
    await flipRow(directory, 'total')
    await using store = await open(directory, { projections })
    const told: { type: string }[] = []
    store.telemetry$.subscribe((event) => told.push(event))

    await expect(store.projection(first).total()).rejects.toMatchObject({
      code: 'PROJECTION_DAMAGED',
      details: { projection: 'tally', key: '"total"', reason: expect.any(String) }
    })

    await healed(store)
    await expectRows(store)
    const types = told.map(({ type }) => type)
    expect(types.filter((type) => type === 'damage-found')).toHaveLength(1)
    expect(types).toContain('rebuilt')
    expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
  })

  test('that a batch meets stops it there until it is healed', async () => {
    const directory = await makeStore()
    await flipRow(directory, 'total')
    await using store = await open(directory, { projections })

    await store.learn({ content: 'Needs the total' })
    await store.caughtUp()

    await expectRows(store)
    expect(store.projections.list()).toMatchObject([{ state: 'running', position: 6 }])
  })

  test('among those that are being built makes them begin again', async () => {
    const directory = await makeStore()
    const newer = tally(2, { previous: first, promote: 'manual' })
    await using store = await open(directory, { projections: [newer] })
    await store.projections.compare('tally')
    await store.close()
    await flipRow(directory, 'total', 2)
    await using again = await open(directory, { projections: [newer] })
    expect(again.projections.list()).toMatchObject([{ version: 1, build: { position: 5 } }])

    await again.learn({ content: 'Needs the total' })
    await built(again)

    await again.projections.promote('tally')
    expect(await again.projection(newer).version()).toBe(2)
    const { actual, expected } = await compareWithModel(again, newer)
    expect(actual).toEqual(expected)
  })

  test('of an older version heals by the newer one that is ready', async () => {
    const directory = await makeStore()
    await flipRow(directory, 'total')
    const newer = tally(2, { previous: first, promote: 'manual' })
    await using store = await open(directory, { projections: [newer] })

    await expect(store.projection(newer).total()).rejects.toMatchObject({
      code: 'PROJECTION_DAMAGED'
    })

    await healed(store)
    expect(await store.projection(newer).version()).toBe(2)
    const { actual, expected } = await compareWithModel(store, newer)
    expect(actual).toEqual(expected)
  })

  test('is found by verify, as are rows that the log does not make', async () => {
    const directory = await makeStore()
    await flipRow(directory, 'total')
    await using store = await open(directory, { projections })

    expect((await store.verify()).problems).toMatchObject([
      { part: 'projection tally', reason: expect.stringContaining('"total"') }
    ])
  })
})

describe('verify', () => {
  test('finds an apply that does not follow from events and rows alone', async () => {
    let calls = 0
    const impure = defineProjection({
      name: 'impure',
      version: 1,
      apply: (event, rows: Rows<number, number>) => rows.put(event.position, ++calls)
    })
    await using temporary = await openTemporaryStore({ check: false, projections: [impure] })
    for (let n = 0; n < 8; n++) await temporary.store.learn({ content: `Concept ${n}` })
    await temporary.store.caughtUp()

    const { ok, problems } = await temporary.store.verify()

    expect(ok).toBe(false)
    expect(problems).toHaveLength(6)
    expect(problems[0]).toMatchObject({
      part: 'projection impure',
      reason: expect.stringContaining('row 1 ')
    })
  })
})

describe('rows and the log', () => {
  test('which ends before them: refused', async () => {
    const directory = await makeStore()
    const early = join(await lastingPath('early'), 'store')
    await cp(directory, early, { recursive: true })
    await using store = await open(directory, { projections })
    await store.learn({ content: 'Later' })
    await store.close()
    await rm(join(early, 'projections'), { recursive: true })
    await cp(join(directory, 'projections'), join(early, 'projections'), { recursive: true })

    await expect(open(early, { projections })).rejects.toMatchObject({
      code: 'LOG_BEHIND_CHECKPOINT',
      details: { projection: 'tally', checkpoint: 6, head: 5 }
    })
  })

  test('that is repaired: rows are made anew', async () => {
    const directory = await makeStore()
    const rows = await rowsOf(join(directory, 'log'))
    const [key, value] = rows[2] ?? [Buffer.alloc(0), Buffer.alloc(0)]
    await changeRow(join(directory, 'log'), key, flipped(value, value.length - 1))

    expect(await repair(directory)).toMatchObject({ changed: true, eventsLost: 1 })
    await using store = await open(directory, { projections })

    await expectRows(store)
    expect(await store.projection(first).total()).toMatchObject({ count: 4, last: 5 })
  })
})

/** The build has stopped at the damage, was made anew, and has caught up. */
async function built(store: Store): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    const build = store.projections.list()[0]?.build
    if (build?.state === 'ready' && build.position === store.head) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('It is not built')
}

async function healed(store: Store): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    const [status] = store.projections.list()
    if (status?.state === 'running' && status.build === undefined) {
      const rows = await store
        .projection(first)
        .total()
        .catch(() => undefined)
      if (rows !== undefined) return
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('It does not heal')
}
