/** How old the oldest event is that a projection lacks, through restarts and whatever clocks do. */
import { defineProjection, open } from 'sutra-storage'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { temporaryPath } from '../support/temp.ts'
import { delay, type Rig, rig } from './fakes.js'

const HOUR = 3_600_000

afterEach(() => {
  vi.useRealTimers()
})

function lagOf({ pipeline }: Rig, name = 'tables'): number | undefined {
  return pipeline.stats().projections[name]?.lagMs
}

/** A pipeline that finds 100 events in the log and does not begin with them. */
async function behind(timeOf: (position: number) => Promise<number>): Promise<Rig> {
  const one = rig({}, 100, undefined, undefined, timeOf)
  await delay(5)
  return one
}

describe('Events from before the open', () => {
  test('are as old as their own times say', async () => {
    const asked: number[] = []
    const one = await behind(async (position) => {
      asked.push(position)
      return Date.now() - HOUR
    })
    expect(lagOf(one)).toBeGreaterThanOrEqual(HOUR)
    expect(lagOf(one)).toBeLessThan(2 * HOUR)
    // Once for each of the two projections, however often somebody asks.
    expect(asked).toEqual([1, 1])
    await one.pipeline.stop()
  })

  test('are looked up again where a projection has come further', async () => {
    const one = await behind(async (position) => Date.now() - (position === 1 ? 2 * HOUR : HOUR))
    one.tables.position = 50
    await vi.waitFor(() => {
      expect(lagOf(one)).toBeLessThan(1.5 * HOUR)
    })
    expect(lagOf(one)).toBeGreaterThanOrEqual(HOUR)
    expect(lagOf(one, 'vectors')).toBeGreaterThanOrEqual(2 * HOUR)
    one.tables.position = 100
    expect(lagOf(one)).toBe(0)
    one.append()
    expect(lagOf(one)).toBeLessThan(HOUR)
    await one.pipeline.stop()
  })

  test.each([
    ['lie in the future', async () => Date.now() + HOUR],
    ['are unknown', async () => 0],
    ['are damaged', async () => Promise.reject(new Error('damaged'))]
  ])('are as old as the open where they %s', async (_, timeOf) => {
    const one = await behind(timeOf)
    expect(lagOf(one)).toBeGreaterThan(0)
    expect(lagOf(one)).toBeLessThan(HOUR)
    await one.pipeline.stop()
  })

  test('are not looked up once the pipeline has stopped, and it waits for what is', async () => {
    let isOver = false
    const one = rig({}, 100, undefined, undefined, async () => {
      await delay(20)
      isOver = true
      return 1
    })
    await one.pipeline.stop()
    expect(isOver).toBe(true)
    one.tables.position = 50
    expect(lagOf(one)).toBeGreaterThanOrEqual(0)
  })
})

test('A projection that comes later is as late as the events that it lacks', async () => {
  const one = await behind(async () => Date.now() - HOUR)
  one.pipeline.start()
  one.append(10)
  await one.pipeline.caughtUp(110)
  await one.pipeline.remove('vectors')
  one.vectors.position = 0
  one.vectors.gate = new Promise(() => {})
  one.pipeline.add(one.vectors)
  await delay(5)
  expect(lagOf(one, 'vectors')).toBeGreaterThanOrEqual(HOUR)
  one.vectors.gate = undefined
})

test('A projection that stopped is as late after the next open as before', async () => {
  const stops = defineProjection({
    name: 'stops',
    version: 1,
    apply(event) {
      if (event.position >= 3) throw new Error('cannot apply this one')
    }
  })
  const directory = await temporaryPath()
  vi.useFakeTimers({ toFake: ['Date'] })
  {
    await using store = await open(directory, { projections: [stops] })
    for (let i = 0; i < 5; i++) await store.learn({ content: `Concept ${i}` })
  }
  vi.setSystemTime(Date.now() + HOUR)
  await using store = await open(directory, { projections: [stops] })
  await vi.waitFor(() => {
    const found = store.stats().pipeline.projections['stops']
    expect(found).toMatchObject({ state: 'stopped', position: 2, lagEvents: 3 })
    expect(found?.lagMs).toBeGreaterThanOrEqual(HOUR)
  })
  // A clock that was set back makes nothing younger than it is held.
  vi.setSystemTime(Date.now() - 3 * HOUR)
  expect(store.stats().pipeline.projections['stops']?.lagMs).toBeGreaterThan(0)
})
