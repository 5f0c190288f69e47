import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { Random } from '../support/random.ts'
import { delay, type Rig, rig } from './fakes.js'

const { seed } = new Random()
const rigs: Rig[] = []

function started(...options: Parameters<typeof rig>): Rig {
  const one = rig(...options)
  rigs.push(one)
  one.pipeline.start()
  return one
}

afterEach(async () => {
  for (const { pipeline } of rigs.splice(0)) await pipeline.stop()
})

function gate(): { promise: Promise<void>; open: () => void } {
  let open = (): void => {}
  const promise = new Promise<void>((resolve) => {
    open = resolve
  })
  return { promise, open }
}

/** Whether a promise settles within a few turns of the event loop. */
async function settles(promise: Promise<unknown>): Promise<boolean> {
  return Promise.race([promise.then(() => true), delay(20).then(() => false)])
}

describe('ready', () => {
  test('resolves at once below the warning, and above it once the queue is below', async () => {
    const { append, pipeline, tables } = started({ queueEventsMax: 100 })
    await pipeline.flow.ready()
    const held = gate()
    tables.gate = held.promise
    append(69)
    await pipeline.flow.ready()
    append(1)
    const ready = pipeline.flow.ready()
    expect(await settles(ready)).toBe(false)
    expect(pipeline.flow.room()).toBeUndefined()
    held.open()
    await ready
    expect(pipeline.stats().queueDepth).toBeLessThan(70)
    expect(pipeline.stats().backPressureMs).toBeGreaterThan(10)
  })

  test('counts what waits for the writer, and hears when that is less', async () => {
    const line = { events: 80, bytes: 0 }
    const { pipeline } = started({ queueEventsMax: 100 }, 0, () => line)
    const ready = pipeline.flow.ready()
    expect(await settles(ready)).toBe(false)
    line.events = 10
    pipeline.flow.lineMoved()
    await ready
  })

  test('answers in the order of the questions', async () => {
    const { append, pipeline, tables } = started({ queueEventsMax: 100 })
    const held = gate()
    tables.gate = held.promise
    append(90)
    const order: number[] = []
    const all = Array.from({ length: 20 }, async (_, i) => {
      await pipeline.flow.ready()
      order.push(i)
    })
    held.open()
    await Promise.all(all)
    expect(order).toEqual(Array.from({ length: 20 }, (_, i) => i))
  })

  test('does not wait for the interval', async () => {
    const { append, pipeline, tables } = started({
      queueEventsMax: 100,
      intervalMs: { min: 100, base: 100, max: 100 }
    })
    append(70)
    await pipeline.flow.ready()
    expect(tables.batches[0]?.at).toBeDefined()
  })

  test('ends by its signal, before and while it waits', async () => {
    const { append, pipeline, tables } = started({ queueEventsMax: 100 })
    const held = gate()
    tables.gate = held.promise
    append(90)
    const aborted = { code: 'ABORTED' }
    const signal = AbortSignal.timeout(10)
    await expect(pipeline.flow.ready(signal)).rejects.toMatchObject(aborted)
    held.open()
    await pipeline.flow.ready()
    await expect(pipeline.flow.ready(signal)).rejects.toMatchObject(aborted)
  })

  test('rejects where nothing will leave the queue, unless writers are welcome', async () => {
    const { append, pipeline, tables } = started({ queueEventsMax: 100 })
    tables.failAt = 1
    append(50)
    await expect(pipeline.caughtUp(50)).rejects.toMatchObject({ code: 'PROJECTION_STOPPED' })
    await pipeline.flow.ready()
    append(30)
    await expect(pipeline.flow.ready()).rejects.toMatchObject({ code: 'PROJECTION_STOPPED' })
  })

  test('rejects who waits when the projection stops, and when the store closes', async () => {
    const failing = started({ queueEventsMax: 100 })
    failing.tables.gate = delay(20)
    failing.tables.failAt = 1
    failing.append(80)
    await expect(failing.pipeline.flow.ready()).rejects.toMatchObject({
      code: 'PROJECTION_STOPPED'
    })

    const closing = started({ queueEventsMax: 100 })
    const held = gate()
    closing.tables.gate = held.promise
    closing.append(80)
    const ready = expect(closing.pipeline.flow.ready()).rejects.toMatchObject({
      code: 'STORE_CLOSED'
    })
    const stopped = closing.pipeline.stop()
    await ready
    held.open()
    await stopped
    await expect(closing.pipeline.flow.ready()).rejects.toMatchObject({ code: 'STORE_CLOSED' })
  })

  test('is answered in the end, whatever else comes and goes', async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('append' as const), events: fc.integer({ min: 1, max: 60 }) }),
      fc.record({ do: fc.constant('ready' as const), abort: fc.boolean() }),
      fc.record({ do: fc.constant('room' as const), abort: fc.boolean() }),
      fc.record({ do: fc.constant('bulk' as const) }),
      fc.record({ do: fc.constant('line' as const), events: fc.integer({ min: 0, max: 90 }) }),
      fc.record({ do: fc.constant('pause' as const), ms: fc.integer({ min: 0, max: 3 }) })
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const line = { events: 0, bytes: 0 }
        const { append, pipeline, tables } = started({ queueEventsMax: 100 }, 0, () => line)
        tables.batchMax = 30
        const asked: Promise<unknown>[] = []
        const ask = (wait: (signal: AbortSignal) => Promise<void>, abort: boolean): void => {
          const leaving = new AbortController()
          asked.push(wait(leaving.signal).catch((error: unknown) => error))
          if (abort) setTimeout(() => leaving.abort(), 1)
        }
        for (const one of steps) {
          if (one.do === 'append') {
            const room = pipeline.flow.room()
            if (room === undefined) append(one.events)
            else asked.push(room)
          }
          if (one.do === 'ready') ask(async (signal) => pipeline.flow.ready(signal), one.abort)
          if (one.do === 'room') {
            const load = { events: 50, bytes: 0 }
            ask(async (signal) => pipeline.flow.room(load, signal), one.abort)
          }
          if (one.do === 'bulk') ask(async () => pipeline.flow.bulkRoom(), false)
          if (one.do === 'pause') await delay(one.ms)
          if (one.do === 'line') {
            line.events = one.events
            pipeline.flow.lineMoved()
          }
        }
        line.events = 0
        pipeline.flow.lineMoved()
        const answered = await Promise.race([Promise.all(asked), delay(5000)])
        expect(answered).toBeDefined()
        await pipeline.stop()
      }),
      { numRuns: 25, seed }
    )
  })
})

describe('Bulk', () => {
  test('leaves the last part of the queue to others', async () => {
    const { append, pipeline, tables } = started({ queueEventsMax: 100 })
    const held = gate()
    tables.gate = held.promise
    append(84)
    expect(pipeline.flow.bulkRoom()).toBeUndefined()
    append(2)
    const bulk = pipeline.flow.bulkRoom()
    expect(bulk).toBeInstanceOf(Promise)
    expect(pipeline.flow.room()).toBeUndefined()
    held.open()
    await bulk
  })
})
