import { describe, expect, test } from 'vitest'
import { resolveOptions } from '#sutra/options.js'
import { IntervalController } from '#sutra/pipeline/controller.js'

const options = resolveOptions().pipeline
const CAPACITY = options.queueEventsMax
const BATCH_MAX = options.batchEventsMax
const STEP_MS = 1

interface Server {
  fixedMs: number
  eventMs: number
}
interface Moment {
  now: number
  depth: number
  lagMs: number
  intervalMs: number
  predictedDepth: number
  timeToFullMs: number
  batches: number
}

const FAST: Server = { fixedMs: 1, eventMs: 0.004 }

/**
 * A store on a virtual clock, in steps of 1 ms: `rate(now)` events a millisecond come, and one
 * server takes them away in batches, as the loops of the pipeline do.
 */
function simulate(rate: (now: number) => number, ms: number, server = (_: number) => FAST) {
  const controller = new IntervalController(options)
  const moments: Moment[] = []
  let depth = 0
  let owed = 0
  let waitingSince: number | undefined
  let batch: { events: number; since: number; endsAt: number; firstAt: number } | undefined
  let appended = 0
  let batches = 0
  let sampledAt = -5
  const sample = (now: number, processed: number, batchMs: number): void => {
    controller.sample({ now, depth, capacity: CAPACITY, appended, processed, batchMs })
    appended = 0
    sampledAt = now
  }
  sample(0, 0, 0)
  for (let now = STEP_MS; now <= ms; now += STEP_MS) {
    owed += rate(now) * STEP_MS
    const come = Math.min(Math.floor(owed), CAPACITY - depth)
    owed -= Math.floor(owed)
    depth += come
    appended += come
    if (come > 0) waitingSince ??= now
    if (come > 0 && now - sampledAt >= 5) sample(now, 0, 0)
    if (batch !== undefined && now >= batch.endsAt) {
      depth -= batch.events
      batches += 1
      sample(now, batch.events, now - batch.since)
      batch = undefined
    }
    const dueAt = (waitingSince ?? Infinity) + controller.reading.intervalMs
    const free = batch === undefined && depth > 0
    if (free && (now >= dueAt || depth > CAPACITY * options.warnAt)) {
      const events = Math.min(depth, BATCH_MAX)
      const { fixedMs, eventMs } = server(now)
      const endsAt = now + fixedMs + eventMs * events
      batch = { events, since: now, endsAt, firstAt: waitingSince ?? now }
      waitingSince = depth > events ? now : undefined
    }
    const oldest = batch?.firstAt ?? waitingSince ?? now
    const { intervalMs, predictedDepth, timeToFullMs } = controller.reading
    moments.push({
      now,
      depth,
      lagMs: now - oldest,
      intervalMs,
      predictedDepth,
      timeToFullMs,
      batches
    })
  }
  return { controller, moments, last: moments.at(-1) as Moment }
}

/** How often the interval moved between idle, base and busy. */
function bandChanges(moments: Moment[]): number {
  const band = (one: Moment): number =>
    one.intervalMs === options.intervalMs.max
      ? 0
      : one.intervalMs === options.intervalMs.base
        ? 1
        : 2
  return moments.filter((one, i) => i > 0 && band(one) !== band(moments[i - 1] as Moment)).length
}

describe('The interval controller', () => {
  test('lets a trickle of single commits gather for the longest interval', () => {
    const { last, moments } = simulate((now) => (now % 20 === 0 ? 1 : 0), 5000)
    expect(last.intervalMs).toBe(options.intervalMs.max)
    expect(last.batches).toBeLessThan(60)
    expect(bandChanges(moments)).toBe(0)
  })

  test('does not mistake many small commits for a load near the limit', () => {
    const { last } = simulate(() => 1, 5000)
    expect(last.intervalMs).toBe(options.intervalMs.max)
  })

  test('takes the base interval under a moderate steady load and stays there', () => {
    const { last, moments } = simulate(() => 100, 5000)
    expect(last.intervalMs).toBe(options.intervalMs.base)
    expect(bandChanges(moments)).toBe(1)
  })

  test('takes an interval between 5 and 1 ms under a high steady load', () => {
    const { moments } = simulate(() => 220, 5000)
    const settled = moments.slice(1000)
    for (const { intervalMs } of settled) {
      expect(intervalMs).toBeGreaterThanOrEqual(options.intervalMs.min)
      expect(intervalMs).toBeLessThanOrEqual(5)
    }
  })

  test('passes through each band once while the load ramps up', () => {
    const { moments } = simulate((now) => now / 20, 5000)
    expect(bandChanges(moments)).toBe(2)
  })

  test('does not flutter under a square wave or a noisy load at a threshold', () => {
    const square = simulate((now) => (now % 400 < 200 ? 300 : 0), 5000)
    expect(bandChanges(square.moments)).toBe(2)
    // A fixed sequence that looks random, with an average of 50, which is 20 % of the speed.
    const noise = simulate((now) => (now * 7919) % 101, 5000)
    expect(bandChanges(noise.moments)).toBeLessThanOrEqual(1)
  })

  test('reacts to a burst within a few samples and goes back to idle after it', () => {
    const { moments } = simulate((now) => (now > 1000 && now <= 1200 ? 400 : 0), 4000)
    const reacted = moments.find(
      (one) => one.now > 1000 && one.intervalMs <= options.intervalMs.base
    )
    expect(reacted?.now).toBeLessThan(1015)
    expect(Math.max(...moments.map((one) => one.lagMs))).toBeLessThan(250)
    expect(moments.at(-1)?.depth).toBe(0)
  })

  test('is idle again for the first commit after a burst', () => {
    const { last } = simulate(
      (now) => (now < 200 ? 400 : now > 3000 && now % 50 === 0 ? 1 : 0),
      4000
    )
    expect(last.intervalMs).toBe(options.intervalMs.max)
  })

  test('warns before the queue is full when the projection stalls', () => {
    const stalled = { fixedMs: 60_000, eventMs: 0 }
    const { moments } = simulate(
      () => 50,
      3500,
      (now) => (now > 500 ? stalled : FAST)
    )
    const fullAt = moments.find((one) => one.depth === CAPACITY)?.now ?? Infinity
    const warnedAt = moments.find((one) => one.timeToFullMs < 1500)?.now ?? Infinity
    const predicted = moments.find((one) => one.predictedDepth > CAPACITY * options.warnAt)
    expect(fullAt).toBeLessThan(3000)
    expect(warnedAt).toBeLessThan(fullAt - 1000)
    expect(predicted?.now).toBeLessThan(moments.find((one) => one.depth > CAPACITY * 0.7)?.now ?? 0)
    expect(moments.at(-1)?.predictedDepth).toBeLessThanOrEqual(CAPACITY)
  })

  test('reads a queue that does not grow as never full', () => {
    const { last } = simulate(() => 100, 2000)
    expect(last.timeToFullMs).toBe(Number.POSITIVE_INFINITY)
  })

  test('reports rates per second and forgets them when nothing happens', () => {
    const { controller, last } = simulate(() => 100, 2000)
    expect(controller.reading.arrivalRatePerSec).toBeGreaterThan(90_000)
    expect(controller.reading.arrivalRatePerSec).toBeLessThan(110_000)
    const { processingRatePerSec } = controller.reading
    expect(processingRatePerSec).toBeGreaterThan(60_000)
    const now = last.now + 10_000
    controller.sample({ now, depth: 0, capacity: CAPACITY, appended: 0, processed: 0, batchMs: 0 })
    expect(controller.reading.arrivalRatePerSec).toBeLessThan(1)
    expect(controller.reading.intervalMs).toBe(options.intervalMs.max)
  })

  test('keeps what happened within one millisecond for the next sample', () => {
    const controller = new IntervalController(options)
    const base = { depth: 0, capacity: CAPACITY, processed: 0, batchMs: 0 }
    controller.sample({ ...base, now: 0, appended: 0 })
    for (let i = 1; i <= 10; i += 1) controller.sample({ ...base, now: i / 20, appended: 10 })
    expect(controller.reading.arrivalRatePerSec).toBe(0)
    controller.sample({ ...base, now: 10, appended: 0 })
    expect(controller.reading.arrivalRatePerSec).toBeCloseTo(0.3 * 10_000)
  })

  test('keeps to a shortest interval that is longer than 5 ms', () => {
    const intervalMs = { min: 20, base: 30, max: 50 }
    const controller = new IntervalController({ ...options, intervalMs })
    const full = { depth: CAPACITY, capacity: CAPACITY, appended: 0, processed: 0, batchMs: 0 }
    for (let now = 0; now < 200; now += 10) controller.sample({ ...full, now })
    expect(controller.reading.intervalMs).toBe(20)
  })
})
