/** A batch of the tables fails on a damaged row: it stops there, and nothing of it is kept. */
import { type Command, open, type Store } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { pageKey, type Side } from '#sutra/projections/tables/keys.js'
import { changeRow, flipped, rowsOf, tablesOf } from '../support/raw.ts'
import { temporaryPath } from '../support/temp.ts'

describe('a batch that fails on a damaged row', () => {
  test('stops the tables, visibly; a rebuild sets them going again', async () => {
    const directory = await temporaryPath()
    await makeHubs(directory, 3)
    await damagePage(directory)
    await using store = await open(directory, { pipeline: { queueEventsMax: 100 } })
    const stopped = new Promise((resolve) => {
      store.telemetry$.subscribe((event) => {
        if (event.type === 'projection-stopped') resolve(event)
      })
    })
    const position = store.head

    await store.forget({ key: 'fragile' })

    const error = expect.stringContaining('damaged')
    const expected = { type: 'projection-stopped', projection: 'tables', position, error }
    expect(await stopped).toMatchObject(expected)
    expect(store.stats().pipeline.projections['tables']).toMatchObject({
      state: 'stopped',
      position,
      error
    })
    const details = { projection: 'tables', position }
    const waiting = store.caughtUp()
    await expect(waiting).rejects.toMatchObject({ code: 'PROJECTION_STOPPED', details })
    expect(await store.has({ key: 'fragile' })).toBe(false)
    const failed = await commitUntilRefused(store)
    expect(failed).toMatchObject({ code: 'PROJECTION_STOPPED', details, outcome: 'none' })
    expect(store.head).toBe(position + 100)

    await store.rebuild({ projections: ['tables'] })

    await store.learn({ id: { key: 'after' }, content: 'After' })
    await store.caughtUp()
    expect(store.stats().pipeline.projections['tables']).toMatchObject({ state: 'running' })
    expect(await store.verify()).toMatchObject({ ok: true })
  })

  test('leaves nothing of itself in the tables when a sweep goes on behind it', async () => {
    const directory = await temporaryPath()
    await makeHubs(directory, 9000)
    const heal = await damagePage(directory)
    const store = await open(directory)
    await store.forget({ key: 'hub' })
    await store.caughtUp()
    const learning: Command[] = Array.from({ length: 50 }, (_, n) => ({
      do: 'learn',
      id: { key: `new${n}` },
      content: `New ${n}`
    }))
    await store.commit([...learning, { do: 'forget', id: { key: 'fragile' } }])
    await expect(store.caughtUp()).rejects.toMatchObject({ code: 'PROJECTION_STOPPED' })
    // Long enough for some steps of the sweep.
    await new Promise((resolve) => setTimeout(resolve, 300))
    await store.close()
    await heal()

    await using again = await open(directory)

    await again.caughtUp()
    expect(await again.counts()).toEqual({ concepts: 50, associations: 0, vectors: 0, types: {} })
    expect(await again.verify()).toMatchObject({ ok: true, problems: [] })
  })
  test('is told of a sweep that met one before it', async () => {
    const directory = await temporaryPath()
    await makeHubs(directory, 3)
    // The sweep of the hub takes its associations out of this page, behind the batch that forgets it.
    const heal = await damagePage(directory, 'in')
    const store = await open(directory)
    await store.forget({ key: 'hub' })
    await store.caughtUp()
    await new Promise((resolve) => setTimeout(resolve, 200))
    await store.learn({ content: 'Next' })

    await expect(store.caughtUp()).rejects.toMatchObject({ code: 'PROJECTION_STOPPED' })

    const { error } = store.stats().pipeline.projections['tables'] ?? {}
    expect(error).toContain('damaged')
    await store.close()
    await heal()
    await using again = await open(directory)
    await again.caughtUp()
    expect(await again.counts()).toMatchObject({ concepts: 2, associations: 1 })
    expect(await again.verify()).toMatchObject({ ok: true, problems: [] })
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
async function damagePage(directory: string, side: Side = 'out'): Promise<() => Promise<void>> {
  const tables = await tablesOf(directory)
  const key = pageKey(side, 2, 0)
  const row = (await rowsOf(tables)).find(([found]) => found.equals(key))
  if (row === undefined) throw new Error('The concept has no page')
  await changeRow(tables, key, flipped(row[1], 6))
  return async () => changeRow(await tablesOf(directory), key, row[1])
}

async function commitUntilRefused(store: Store): Promise<unknown> {
  for (let n = 0; n < 1000; n++) {
    try {
      await store.learn({ id: { key: `more${n}` }, content: `More ${n}` }, { durability: 'os' })
    } catch (error) {
      return error
    }
  }
  return undefined
}
