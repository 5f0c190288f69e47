/** A batch of the tables fails on a damaged row: it stops there, and nothing of it is kept. */
import { type Command, open, type TelemetryEvent } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { pageKey, type Side } from '#sutra/projections/tables/keys.js'
import { changeRow, flipped, rowsOf, tablesOf } from '../support/raw.ts'
import { temporaryPath } from '../support/temp.ts'

describe('a batch that fails on a damaged row', () => {
  test('stops the tables, visibly, and they heal by themselves', async () => {
    const directory = await temporaryPath()
    await makeHubs(directory, 3)
    await damagePage(directory)
    await using store = await open(directory)
    const told: TelemetryEvent[] = []
    store.telemetry$.subscribe((event) => told.push(event))
    const position = store.head

    await store.forget({ key: 'fragile' })
    await store.caughtUp()

    const error = expect.stringContaining('damaged')
    const stopped = { type: 'projection-stopped', projection: 'tables', position, error }
    expect(told).toContainEqual(expect.objectContaining(stopped))
    const types = told.map(({ type }) => type)
    expect(types.indexOf('damage-found')).toBeGreaterThan(types.indexOf('projection-stopped'))
    expect(types.indexOf('rebuild-started')).toBeGreaterThan(types.indexOf('damage-found'))
    expect(await store.has({ key: 'fragile' })).toBe(false)
    await store.learn({ id: { key: 'after' }, content: 'After' })
    await store.caughtUp()
    expect(store.stats().pipeline.projections['tables']).toMatchObject({ state: 'running' })
    expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
  })

  test('leaves nothing of itself in the tables when a sweep goes on behind it', async () => {
    const directory = await temporaryPath()
    await makeHubs(directory, 9000)
    await damagePage(directory)
    await using store = await open(directory)
    await store.forget({ key: 'hub' })
    await store.caughtUp()
    const learning: Command[] = Array.from({ length: 50 }, (_, n) => ({
      do: 'learn',
      id: { key: `new${n}` },
      content: `New ${n}`
    }))

    await store.commit([...learning, { do: 'forget', id: { key: 'fragile' } }])
    await store.caughtUp()

    expect(await store.counts()).toEqual({ concepts: 50, associations: 0, vectors: 0, types: {} })
    expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
  })

  test('is told of a sweep that met one before it', async () => {
    const directory = await temporaryPath()
    await makeHubs(directory, 3)
    // The sweep of the hub takes its associations out of this page, behind the batch that forgets it.
    await damagePage(directory, 'in')
    await using store = await open(directory)
    await store.forget({ key: 'hub' })
    await store.caughtUp()
    await new Promise((resolve) => setTimeout(resolve, 200))

    await store.learn({ content: 'Next' })
    await store.caughtUp()

    expect(await store.counts()).toMatchObject({ concepts: 2, associations: 1 })
    expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
  })
})

/** A hub with many associations, and a concept `fragile` with one. */
async function makeHubs(directory: string, spokes: number): Promise<void> {
  await using store = await open(directory, { limits: { commitCommands: 10_000 } })
  await store.learn({ id: { key: 'hub' }, content: 'Hub' })
  await store.learn({ id: { key: 'fragile' }, content: 'Fragile' })
  const commands: Command[] = []
  for (let n = 0; n < spokes; n++) {
    const target = { key: 'fragile' }
    commands.push({ do: 'associate', source: { key: 'hub' }, target, type: 'spoke', key: `${n}` })
  }
  await store.commit(commands)
  const ends = { source: { key: 'fragile' }, target: { key: 'fragile' } }
  await store.associate({ ...ends, type: 'self' })
}

/** Flips a bit in a page of the associations of `fragile`, the second concept. */
async function damagePage(directory: string, side: Side = 'out'): Promise<void> {
  const tables = await tablesOf(directory)
  const key = pageKey(side, 2, 0)
  const row = (await rowsOf(tables)).find(([found]) => found.equals(key))
  if (row === undefined) throw new Error('The concept has no page')
  await changeRow(tables, key, flipped(row[1], 6))
}
