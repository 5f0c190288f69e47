import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { open, type Store } from 'sutra-storage'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { temporaryPath } from '../support/temp.ts'
import { countsByDay } from './counts-by-day.ts'

const run = promisify(execFile)
const a = { key: 'a' }
const b = { key: 'b' }

describe('counts by day', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  test('tell what happened on each day, in a view as well', async () => {
    await using store = await open(await temporaryPath(), { projections: [countsByDay] })
    await threeDays(store)
    await using view = await store.view()
    await store.learn({ content: 'Later' })
    const { count, on, lastDays } = store.projection(countsByDay)

    expect(await on('2026-11-20')).toEqual({ 'concept-learned': 2, 'association-created': 1 })
    expect(await on('2026-11-21')).toEqual({})
    expect(await count('2026-11-23', 'concept-learned')).toBe(1)
    expect(await view.projection(countsByDay).count('2026-11-23', 'concept-learned')).toBe(0)
    expect(await lastDays(2)).toEqual([
      { day: '2026-11-23', counts: { 'concept-forgotten': 1, 'concept-learned': 1 } },
      { day: '2026-11-22', counts: { 'concept-learned': 1, 'concept-revised': 1 } }
    ])
  })

  test('are there for a store that never heard of them', async () => {
    const directory = await temporaryPath()
    await using older = await open(directory)
    await threeDays(older)
    await older.close()

    await using store = await open(directory, { projections: [countsByDay] })

    const days = await store.projection(countsByDay).lastDays(10)
    expect(days.map(({ day }) => day)).toEqual(['2026-11-23', '2026-11-22', '2026-11-20'])
  })

  test('are printed by the program', async () => {
    const directory = await temporaryPath()
    const store = await open(directory)
    await threeDays(store)
    await store.close()

    const program = ['test/examples/counts-by-day.ts', directory]
    const { stdout } = await run(process.execPath, ['--import', 'tsx', ...program])

    expect(stdout.split('\n')).toEqual([
      '2026-11-23  1 concept-forgotten',
      '2026-11-22  1 concept-revised, 1 concept-learned',
      '2026-11-20  2 concept-learned, 1 association-created',
      ''
    ])
  })
})

async function threeDays(store: Store): Promise<void> {
  vi.setSystemTime(new Date('2026-11-20T10:00:00Z'))
  await store.learn({ id: a, content: 'A' })
  await store.learn({ id: b, content: 'B' })
  await store.associate({ source: a, target: b, type: 'before' })
  vi.setSystemTime(new Date('2026-11-22T00:00:00Z'))
  await store.learn({ content: 'C' })
  await store.revise(b, { content: 'B, revised' })
  vi.setSystemTime(new Date('2026-11-23T23:59:59.999Z'))
  await store.forget(a)
}
