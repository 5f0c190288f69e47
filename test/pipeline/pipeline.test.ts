import { afterEach, describe, expect, test, vi } from 'vitest'
import { BoundedQueue } from '#sutra/pipeline/queue.js'
import type { TelemetryEvent } from '#sutra/telemetry/types.js'
import { delay, FakeProjection, type Rig, rig } from './fakes.js'

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

/** Runs on a virtual clock, which only `vi.advanceTimersByTimeAsync` moves. */
async function virtually(run: (one: Rig) => Promise<void>, queueEventsMax = 1000): Promise<void> {
  vi.useFakeTimers()
  const one = rig({ queueEventsMax })
  try {
    one.pipeline.start()
    await run(one)
  } finally {
    const stopped = one.pipeline.stop()
    await vi.advanceTimersByTimeAsync(1000)
    await stopped
    vi.useRealTimers()
  }
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 1000 && !condition(); i += 1) await delay(2)
  expect(condition()).toBe(true)
}

describe('Batches', () => {
  test('cover every event once, in order, one batch at a time', async () => {
    const { append, pipeline, tables, vectors, log } = started()
    vectors.batchMax = 70
    for (let i = 0; i < 200; i += 1) {
      append(1 + ((i * 37) % 50))
      if (i % 10 === 0) await delay(1)
    }
    await pipeline.caughtUp(log.head())
    for (const projection of [tables, vectors]) {
      let next = 1
      for (const { from, to } of projection.batches) {
        expect(from).toBe(next)
        next = to + 1
      }
      expect(next).toBe(log.head() + 1)
      expect(projection.overlapped).toBe(false)
    }
  })

  test('3: never pass the durable head, and share one sync of the log', async () => {
    const { append, pipeline, tables, vectors, log } = started()
    log.alwaysDurable = false
    log.syncMs = 5
    for (let i = 0; i < 20; i += 1) {
      append(10)
      await pipeline.caughtUp(log.head())
    }
    for (const { asked, to } of [...tables.batches, ...vectors.batches]) {
      expect(to).toBeLessThanOrEqual(asked)
      expect(asked).toBeLessThanOrEqual(log.durableHead())
    }
    expect(log.syncs).toBe(20)
  })

  test('need no sync where the log is durable already', async () => {
    const { append, pipeline, log } = started()
    append(10)
    await pipeline.caughtUp(10)
    expect(log.syncs).toBe(0)
  })

  test('gather for the interval when the store is idle', async () => {
    await virtually(async ({ append, tables }) => {
      await vi.advanceTimersByTimeAsync(1000)
      const at = performance.now()
      for (let i = 0; i < 5; i += 1) {
        append()
        await vi.advanceTimersByTimeAsync(5)
      }
      await vi.advanceTimersByTimeAsync(500)
      expect(tables.batches).toEqual([expect.objectContaining({ from: 1, to: 5, at: at + 100 })])
    })
  })

  test('start at once when the queue is nearly full, even in the middle of an interval', async () => {
    await virtually(async ({ append, tables }) => {
      append(1)
      await vi.advanceTimersByTimeAsync(50)
      const at = performance.now()
      append(75)
      await vi.advanceTimersByTimeAsync(2)
      expect(tables.batches).toEqual([expect.objectContaining({ from: 1, to: 76, at })])
    }, 100)
  })

  test('follow one another without a pause while one batch cannot hold what is there', async () => {
    await virtually(async ({ append, pipeline, tables }) => {
      tables.batchMax = 10
      append(60)
      // Nobody waits for more than the first batch, and nothing is as old as the interval.
      const first = pipeline.caughtUp(10)
      await vi.advanceTimersByTimeAsync(2)
      await first
      await vi.advanceTimersByTimeAsync(20)
      expect(tables.position).toBe(60)
    })
  })

  test('gather again for what came while a batch ran', async () => {
    await virtually(async ({ append, tables }) => {
      tables.batchMs = 20
      append(5)
      await vi.advanceTimersByTimeAsync(110)
      append(5)
      const at = performance.now()
      await vi.advanceTimersByTimeAsync(300)
      expect(tables.batches).toHaveLength(2)
      expect(tables.batches[1]).toMatchObject({ from: 6, to: 10, at: at + 100 })
    })
  })

  test('begin with what the log held at open', async () => {
    const { pipeline, tables } = started({}, 500)
    expect(pipeline.stats().queueDepth).toBe(500)
    await pipeline.caughtUp(500)
    expect(tables.batches).toEqual([expect.objectContaining({ from: 1, to: 500 })])
  })

  test('of a slow projection do not delay another one', async () => {
    const { append, tables, vectors, pipeline } = started()
    const held = gate()
    vectors.gate = held.promise
    for (let i = 0; i < 10; i += 1) {
      append(10)
      await until(() => tables.position === (i + 1) * 10)
    }
    expect(vectors.position).toBe(0)
    const { projections, queueDepth } = pipeline.stats()
    expect(queueDepth).toBe(0)
    expect(projections['tables']).toEqual({
      state: 'running',
      position: 100,
      lagEvents: 0,
      lagMs: 0
    })
    expect(projections['vectors']?.lagEvents).toBe(100)
    expect(projections['vectors']?.lagMs).toBeGreaterThan(500)
    held.open()
    await pipeline.caughtUp(100)
    expect(vectors.position).toBe(100)
  })
})

describe('Back-pressure', () => {
  test('lets writers in in the order they came, and counts how long they waited', async () => {
    const { append, tables, pipeline, log } = started({ queueEventsMax: 100 })
    const held = gate()
    tables.gate = held.promise
    tables.batchMax = 10
    expect(pipeline.flow.room()).toBeUndefined()
    append(100)
    const order: number[] = []
    const writers = Array.from({ length: 30 }, async (_, i) => {
      await pipeline.flow.room({ events: 5, bytes: 500 })
      expect(log.head() - tables.position).toBeLessThan(100)
      append(5)
      order.push(i)
    })
    await delay(30)
    expect(order).toEqual([])
    expect(pipeline.stats().recommendation).toMatch(/full/)
    expect(pipeline.stats().healthScore).toBe(0)
    held.open()
    await Promise.all(writers)
    expect(order).toEqual(Array.from({ length: 30 }, (_, i) => i))
    await pipeline.caughtUp(250)
    expect(pipeline.stats().backPressureMs).toBeGreaterThan(30 * 25)
    expect(pipeline.flow.room()).toBeUndefined()
  })

  test('counts bytes as well as events', async () => {
    const { append, pipeline, log } = started({ queueBytesMax: 1024 * 1024 })
    append(1, 1024 * 1024)
    expect(pipeline.stats().queueUtilization).toBe(1)
    const room = pipeline.flow.room()
    expect(room).toBeInstanceOf(Promise)
    await room
    await pipeline.caughtUp(log.head())
    expect(pipeline.stats().queueUtilization).toBe(0)
  })

  test('takes what comes for as large as what is there, also while a batch has just ended', () => {
    let depth = 500
    const queue = new BoundedQueue({
      eventsMax: 100_000,
      bytesMax: 1_000_000,
      depth: () => depth,
      now: () => 0
    })
    queue.added(500, { events: 500, bytes: 100_000 })
    expect(queue.capacity).toBe(5000)
    // The tables have moved, the queue is told next.
    depth = 2
    expect(queue.capacity).toBe(5000)
    queue.removed(500)
    expect(queue.capacity).toBe(100_000)
  })

  test('does not strand those behind a writer that was let in and wrote nothing', async () => {
    const { append, pipeline } = started({ queueEventsMax: 100 })
    append(100)
    const wants = { events: 1000, bytes: 0 }
    await Promise.all([
      pipeline.flow.room(wants),
      pipeline.flow.room(wants),
      pipeline.flow.room(wants)
    ])
  })

  test('lets a writer leave by its signal', async () => {
    const { append, pipeline, tables } = started({ queueEventsMax: 100 })
    const held = gate()
    tables.gate = held.promise
    append(100)
    const leaving = new AbortController()
    const left = pipeline.flow.room({ events: 1, bytes: 0 }, leaving.signal)
    const stays = pipeline.flow.room()
    leaving.abort()
    await expect(left).rejects.toMatchObject({ code: 'ABORTED' })
    held.open()
    await stays
  })
})

describe('A projection that fails', () => {
  test('stops where it is, visibly, and the others go on', async () => {
    const { append, tables, vectors, pipeline, hub } = started()
    const seen: TelemetryEvent[] = []
    hub.events$.subscribe((event) => seen.push(event))
    append(10)
    await pipeline.caughtUp(10)
    vectors.failAt = 15
    append(10)
    await expect(pipeline.caughtUp(20)).rejects.toMatchObject({
      code: 'PROJECTION_STOPPED',
      details: { projection: 'vectors', position: 10 }
    })
    append(10)
    await until(() => tables.position === 30)
    expect(vectors.position).toBe(10)
    expect(vectors.running).toBe(0)
    const stats = pipeline.stats()
    expect(stats.projections['vectors']).toMatchObject({
      state: 'stopped',
      position: 10,
      lagEvents: 20,
      error: 'cannot apply 15'
    })
    expect(stats.healthScore).toBeLessThan(0.5)
    expect(stats.recommendation).toMatch(/'vectors' stopped at 10/)
    expect(seen).toContainEqual(
      expect.objectContaining({ type: 'projection-stopped', projection: 'vectors', position: 10 })
    )
    expect(seen).toContainEqual(expect.objectContaining({ type: 'health-changed' }))
    await expect(pipeline.caughtUp(30)).rejects.toMatchObject({ code: 'PROJECTION_STOPPED' })
    await pipeline.caughtUp(10)
  })

  test('refuses writers once the queue before it is full', async () => {
    const { append, tables, pipeline } = started({ queueEventsMax: 100 })
    tables.failAt = 1
    append(50)
    await until(() => pipeline.stats().projections['tables']?.state === 'stopped')
    expect(pipeline.flow.room()).toBeUndefined()
    append(50)
    await expect(pipeline.flow.room()).rejects.toMatchObject({ code: 'PROJECTION_STOPPED' })
    expect(pipeline.stats().healthScore).toBe(0)
  })

  test('rejects writers that wait already', async () => {
    const { append, tables, pipeline } = started({ queueEventsMax: 100 })
    tables.gate = delay(20)
    tables.failAt = 1
    append(100)
    await expect(pipeline.flow.room()).rejects.toMatchObject({ code: 'PROJECTION_STOPPED' })
  })

  test('is stopped from outside a batch too', async () => {
    const { append, vectors, pipeline } = started()
    pipeline.fail('vectors', new Error('checksum'))
    append(5)
    await expect(pipeline.caughtUp(5)).rejects.toMatchObject({ code: 'PROJECTION_STOPPED' })
    expect(vectors.batches).toEqual([])
  })

  test('runs again once a rebuilt one takes its place', async () => {
    const { append, tables, pipeline } = started({ queueEventsMax: 100 })
    tables.failAt = 60
    append(100)
    await until(() => pipeline.stats().projections['tables']?.state === 'stopped')
    pipeline.setRebuilding('tables', true)
    expect(pipeline.stats().projections['tables']?.state).toBe('rebuilding')
    const room = pipeline.flow.room()
    const caughtUp = pipeline.caughtUp(100)
    await delay(10)
    const rebuilt = new FakeProjection('tables')
    rebuilt.position = 40
    await pipeline.replace(rebuilt, async () => {})
    await room
    await caughtUp
    expect(rebuilt.batches).toEqual([expect.objectContaining({ from: 41, to: 100 })])
    expect(pipeline.stats().projections['tables']).toMatchObject({
      state: 'running',
      position: 100
    })
  })

  test('keeps those waiting that came while it was rebuilt', async () => {
    const { append, pipeline, vectors } = started()
    vectors.failAt = 1
    pipeline.setRebuilding('vectors', true)
    append(10)
    const caughtUp = pipeline.caughtUp(10)
    await until(() => vectors.running === 0 && pipeline.stats().batches === 1)
    await pipeline.replace(new FakeProjection('vectors'), async () => {})
    await caughtUp
  })

  test('rejects those that waited for its rebuild when that is given up', async () => {
    const { append, vectors, pipeline } = started()
    vectors.failAt = 1
    append(10)
    await until(() => pipeline.stats().projections['vectors']?.state === 'stopped')
    pipeline.setRebuilding('vectors', true)
    const caughtUp = pipeline.caughtUp(10)
    pipeline.setRebuilding('vectors', false)
    await expect(caughtUp).rejects.toMatchObject({ code: 'PROJECTION_STOPPED' })
  })

  test('is one that claims more than is durable, or moves nowhere', async () => {
    const { append, tables, vectors, pipeline } = started()
    tables.project = async (to) => {
      tables.position = to + 1
      return { from: 1, to: to + 1, events: to + 1, ms: 0 }
    }
    vectors.project = async () => ({ from: 1, to: 0, events: 0, ms: 0 })
    append(5)
    await until(() => pipeline.stats().projections['vectors']?.state === 'stopped')
    const { projections } = pipeline.stats()
    expect(projections['tables']?.error).toMatch(/within the durable head/)
    expect(projections['vectors']?.error).toMatch(/moves projection 'vectors' forward/)
  })

  test('projects what is durable before a failed sync of the log stops it', async () => {
    const { append, tables, pipeline, log } = started()
    append(10)
    log.alwaysDurable = false
    log.syncError = new Error('disk gone')
    append(10)
    await expect(pipeline.caughtUp(20)).rejects.toMatchObject({ code: 'PROJECTION_STOPPED' })
    await until(() => pipeline.stats().projections['tables']?.state === 'stopped')
    expect(tables.position).toBe(10)
    expect(pipeline.stats().projections['tables']?.error).toBe('disk gone')
  })
})

describe('caughtUp', () => {
  test('asks for batches at once instead of waiting for the interval', async () => {
    await virtually(async ({ append, pipeline }) => {
      append()
      await vi.advanceTimersByTimeAsync(30)
      const wait = pipeline.caughtUp(1)
      await vi.advanceTimersByTimeAsync(2)
      await wait
    })
  })

  test('resolves at once for what every projection holds', async () => {
    const { pipeline } = started()
    await pipeline.caughtUp(0)
  })

  test('waits for events that are yet to come', async () => {
    const { append, pipeline, tables, vectors } = started()
    const wait = pipeline.caughtUp(20)
    append(15)
    await delay(20)
    append(15)
    await wait
    expect(Math.min(tables.position, vectors.position)).toBeGreaterThanOrEqual(20)
  })

  test('ends by its signal, before and while it waits', async () => {
    const { append, pipeline, vectors } = started()
    vectors.gate = delay(50)
    append()
    const signal = AbortSignal.timeout(10)
    await expect(pipeline.caughtUp(1, signal)).rejects.toMatchObject({ code: 'ABORTED' })
    await expect(pipeline.caughtUp(1, signal)).rejects.toMatchObject({ code: 'ABORTED' })
  })
})

describe('Projections that come and go', () => {
  test('catch up when added later', async () => {
    const { append, pipeline } = started()
    append(50)
    await pipeline.caughtUp(50)
    const words = new FakeProjection('words')
    pipeline.add(words)
    await pipeline.caughtUp(50)
    expect(words.position).toBe(50)
  })

  test('keep nobody waiting once removed', async () => {
    const { append, pipeline, vectors } = started()
    const held = gate()
    vectors.gate = held.promise
    append(10)
    const wait = pipeline.caughtUp(10)
    await until(() => vectors.running === 1)
    const removed = pipeline.remove('vectors')
    held.open()
    await removed
    await wait
    expect(Object.keys(pipeline.stats().projections)).toEqual(['tables'])
  })
})

describe('stop', () => {
  test('lets the running batch end, starts no other and rejects whoever waits', async () => {
    const { append, pipeline, tables } = started({ queueEventsMax: 100 })
    const held = gate()
    tables.gate = held.promise
    tables.batchMax = 50
    append(100)
    const room = expect(pipeline.flow.room()).rejects.toMatchObject({ code: 'STORE_CLOSED' })
    const wait = expect(pipeline.caughtUp(100)).rejects.toMatchObject({ code: 'STORE_CLOSED' })
    await until(() => tables.running === 1)
    let ended = false
    const stopped = pipeline.stop().then(() => {
      ended = true
    })
    await room
    await wait
    expect(ended).toBe(false)
    held.open()
    await stopped
    expect(tables.position).toBe(50)
    await delay(20)
    expect(tables.batches).toHaveLength(1)
    await expect(pipeline.flow.room()).rejects.toMatchObject({ code: 'STORE_CLOSED' })
    await expect(pipeline.caughtUp(0)).rejects.toMatchObject({ code: 'STORE_CLOSED' })
    await pipeline.stop()
  })

  test('starts no batch after a sync that was under way', async () => {
    const { append, pipeline, tables, log } = started()
    log.alwaysDurable = false
    log.syncMs = 30
    append(10)
    const wait = expect(pipeline.caughtUp(10)).rejects.toMatchObject({ code: 'STORE_CLOSED' })
    await until(() => log.syncs === 1)
    await pipeline.stop()
    await wait
    expect(log.durableHead()).toBe(10)
    expect(tables.running).toBe(0)
    expect(tables.position).toBe(0)
  })

  test('leaves no timer, not even one for events that wait for their interval', async () => {
    await virtually(async ({ append, pipeline }) => {
      const counts = [vi.getTimerCount()]
      append(1)
      counts.push(vi.getTimerCount())
      append(99)
      counts.push(vi.getTimerCount())
      await pipeline.stop()
      counts.push(vi.getTimerCount())
      // One window for each projection, then one timer more for health.
      expect(counts).toEqual([0, 2, 3, 0])
    }, 100)
  })
})

test('A window that is open does not keep the process alive', async () => {
  const { append } = started()
  const timers = (): number =>
    process.getActiveResourcesInfo().filter((one) => /Timeout|Immediate/.test(one)).length
  const before = timers()
  append(1)
  await delay(5)
  expect(timers()).toBe(before)
})

describe('What the pipeline tells', () => {
  test('is a batch-applied event and a latency for each batch', async () => {
    const { append, pipeline, hub, latency, tables } = started()
    const seen: TelemetryEvent[] = []
    hub.events$.subscribe((event) => seen.push(event))
    append(10)
    await pipeline.caughtUp(10)
    expect(seen).toContainEqual({
      v: 1,
      type: 'batch-applied',
      time: expect.any(Number),
      projection: 'tables',
      from: 1,
      to: 10,
      events: 10,
      ms: tables.batchMs
    })
    expect(latency.summary().projection.count).toBe(2)
    expect(pipeline.stats().batches).toBe(2)
  })

  test('is calm on an idle store', async () => {
    const { pipeline } = started()
    await delay(20)
    expect(pipeline.stats()).toEqual({
      queueDepth: 0,
      queueUtilization: 0,
      predictedQueueDepth: 0,
      intervalMs: 100,
      batchEvents: 667,
      load: 0,
      pressure: 0,
      healthScore: 1,
      recommendation: 'Nothing to do: the load is low',
      arrivalRatePerSec: 0,
      processingRatePerSec: 0,
      estimatedLagMs: 0,
      timeToFullMs: Number.POSITIVE_INFINITY,
      batches: 0,
      backPressureMs: 0,
      projections: {
        tables: { state: 'running', position: 0, lagEvents: 0, lagMs: 0 },
        vectors: { state: 'running', position: 0, lagEvents: 0, lagMs: 0 }
      }
    })
  })

  test('is a change of health for the worse at once, and for the better when it lasts', async () => {
    const { append, pipeline, hub, tables } = started({ queueEventsMax: 100 })
    const scores: number[] = []
    hub.events$.subscribe((event) => {
      if (event.type === 'health-changed') scores.push(event.healthScore)
    })
    tables.gate = delay(30)
    append(100)
    expect(scores).toEqual([0])
    await pipeline.flow.room()
    await pipeline.caughtUp(100)
    expect(scores).toEqual([0])
    await delay(1200)
    expect(scores).toEqual([0, 1])
  })

  test('survives a subscriber that throws', async () => {
    const { append, pipeline, hub, tables } = started()
    const uncaught: unknown[] = []
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', (error) => uncaught.push(error))
    const subscription = hub.events$.subscribe(() => {
      throw new Error('a bug of the subscriber')
    })
    append(10)
    await pipeline.caughtUp(10)
    await delay(20)
    process.removeAllListeners('uncaughtException')
    for (const listener of listeners) process.on('uncaughtException', listener)
    subscription.unsubscribe()
    expect(tables.position).toBe(10)
    expect(uncaught).toHaveLength(2)
  })
})
