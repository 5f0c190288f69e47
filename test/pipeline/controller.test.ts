import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { resolveOptions } from '#sutra/options.js'
import { IntervalController } from '#sutra/pipeline/controller.js'
import { RecentPeak } from '#sutra/pipeline/recent-peak.js'
import type { LoadShape } from '../../bench/simulation/shapes.ts'
import {
  EVENT_MS,
  FIXED_MS,
  type Moment,
  type Simulation,
  simulate
} from '../../bench/simulation/simulate.ts'
import { Random } from '../support/random.ts'

const options = resolveOptions().pipeline
const { min, base, max } = options.intervalMs
const CAPACITY = options.queueEventsMax
/** Events a millisecond that batches of full size take away. */
const SPEED = options.batchEventsMax / (FIXED_MS + EVENT_MS * options.batchEventsMax)
const STOPPED = Number.POSITIVE_INFINITY

const { seed } = new Random()

function under(rate: (now: number) => number, ms: number, more: Partial<LoadShape> = {}) {
  return simulate({ name: 'test', ms, rate, commitEvents: 1, ...more })
}

type Band = 'idle' | 'base' | 'busy'

function bandOf({ intervalMs }: Moment): Band {
  return intervalMs === max ? 'idle' : intervalMs === base ? 'base' : 'busy'
}

/** The bands that the interval was in, one after the other. */
function bands(moments: readonly Moment[]): Band[] {
  return moments.map(bandOf).filter((band, i, all) => band !== all[i - 1])
}

function at({ moments }: Simulation, now: number): Moment {
  const moment = moments[now - 1]
  if (moment === undefined) throw new Error(`there is no moment ${now}`)
  return moment
}

describe('The interval', () => {
  test('is the longest one for a trickle of single commits', async () => {
    const { moments, batches } = await under((now) => (now % 20 === 0 ? 1 : 0), 5000)
    expect(bands(moments)).toEqual(['idle'])
    expect(batches).toBeLessThan(50)
  })

  test('is the longest one for many small commits far below what batches could take', async () => {
    const { moments } = await under(() => 1, 5000)
    expect(bands(moments)).toEqual(['idle'])
  })

  test('is the base one under a moderate steady load, once that is no news any more', async () => {
    const { moments } = await under(() => SPEED / 2, 6000, { commitEvents: 50 })
    expect(bands(moments.slice(2000))).toEqual(['base'])
  })

  test('is between 5 and 1 ms under a high steady load', async () => {
    const { moments } = await under(() => SPEED * 0.9, 4000, { commitEvents: 50 })
    for (const { intervalMs } of moments.slice(500)) {
      expect(intervalMs).toBeGreaterThanOrEqual(min)
      expect(intervalMs).toBeLessThanOrEqual(5)
    }
  })

  test('passes through each band once while the load ramps up, and back when it goes', async () => {
    const up = await under((now) => (now / 5000) * SPEED, 5000, { commitEvents: 50 })
    expect(bands(up.moments)).toEqual(['idle', 'base', 'busy'])
    const down = await under((now) => (1 - now / 4000) * SPEED, 6000, { commitEvents: 50 })
    expect(bands(down.moments.slice(500))).toEqual(['busy', 'base', 'idle'])
  })

  test('stays short through a square wave', async () => {
    const wave = (now: number): number => (now % 400 < 200 ? SPEED * 0.8 : 0)
    const { moments } = await under(wave, 5000, { commitEvents: 50 })
    expect(bands(moments.slice(50))).toEqual(['busy'])
  })

  test('follows a burst from its first milliseconds, and is the longest one soon after', async () => {
    const burst = (now: number): number => (now > 1000 && now <= 1400 ? SPEED / 2 : 0)
    const simulation = await under(burst, 4000, { commitEvents: 20 })
    const passed = bands(simulation.moments).filter((band) => band !== 'base')
    expect(passed).toEqual(['idle', 'busy', 'idle'])
    expect(at(simulation, 1010).intervalMs).toBeLessThan(base)
    expect(simulation.lag.max).toBeLessThan(base)
    expect(at(simulation, 2500).intervalMs).toBe(max)
    expect(at(simulation, 4000).depth).toBe(0)
  })

  test('does not adapt where one interval is given for all loads', async () => {
    const shape = { name: 'fixed', ms: 2000, rate: () => SPEED / 2, commitEvents: 50 }
    const { moments, batches } = await simulate(shape, {
      intervalMs: { min: 20, base: 20, max: 20 }
    })
    expect(new Set(moments.map(({ intervalMs }) => intervalMs))).toEqual(new Set([20]))
    expect(batches).toBeLessThan(102)
  })

  test('keeps to a shortest interval that is longer than 5 ms', async () => {
    const shape = { name: 'full', ms: 2000, rate: () => SPEED * 2, commitEvents: 50 }
    const { moments } = await simulate(shape, { intervalMs: { min: 20, base: 30, max: 50 } })
    expect(moments.at(-1)?.intervalMs).toBe(20)
  })
})

describe('A warning', () => {
  test('comes long before the queue is full when the disk stands still', async () => {
    const slowness = (now: number): number => (now > 500 ? STOPPED : 1)
    const { moments } = await under(() => 50, 3500, { commitEvents: 10, slowness })
    const fullAt = moments.find(({ isBlocked }) => isBlocked)?.now ?? STOPPED
    const warnedAt = moments.find(({ timeToFullMs }) => timeToFullMs < 1500)?.now ?? STOPPED
    const pressedAt = moments.find(({ pressure }) => pressure > 0)?.now ?? STOPPED
    const reachedAt = moments.find(({ depth }) => depth >= CAPACITY * options.warnAt)?.now ?? 0
    expect(fullAt).toBeLessThan(3000)
    expect(warnedAt).toBeLessThan(fullAt - 1000)
    expect(pressedAt).toBeLessThan(reachedAt)
    expect(moments.at(-1)?.pressure).toBe(1)
    expect(moments.at(-1)?.predictedDepth).toBeLessThanOrEqual(CAPACITY)
  })

  test('does not come from a queue that does not grow', async () => {
    const { moments } = await under(() => SPEED / 2, 2000, { commitEvents: 50 })
    expect(moments.at(-1)?.timeToFullMs).toBe(STOPPED)
    expect(moments.every(({ pressure }) => pressure === 0)).toBe(true)
  })

  test('of a stall is over when the stall is', async () => {
    const slowness = (now: number): number => (now > 500 && now < 1400 ? STOPPED : 1)
    const simulation = await under(() => 80, 5000, { commitEvents: 50, slowness })
    expect(at(simulation, 1390).load).toBeGreaterThan(options.warnAt)
    expect(at(simulation, 5000)).toMatchObject({ pressure: 0, intervalMs: base })
  })

  test('is lateness alone, where events are few and dear', async () => {
    const slowness = (now: number): number => (now > 500 ? STOPPED : 1)
    const { moments } = await under((now) => (now % 50 === 0 ? 1 : 0), 4000, { slowness })
    expect(moments.at(-1)?.depth).toBeLessThan(100)
    expect(moments.at(-1)?.load).toBeGreaterThanOrEqual(1)
  })
})

test('One slow projection holds up neither the tables nor their writers', async () => {
  const more = { commitEvents: 50, slowProjection: 20 }
  const { moments, lag } = await under(() => 40, 3000, more)
  expect(lag.max).toBeLessThan(base + 10)
  expect(moments.at(-1)?.slowLagMs).toBeGreaterThan(500)
  expect(moments.some(({ isBlocked }) => isBlocked)).toBe(false)
})

describe('Whatever the load', () => {
  const piece = fc.record({
    ms: fc.integer({ min: 1, max: 500 }),
    from: fc.double({ min: 0, max: 1, noNaN: true }),
    to: fc.double({ min: 0, max: 1, noNaN: true })
  })
  type Piece = typeof piece extends fc.Arbitrary<infer T> ? T : never

  /** A rate that goes from one value to the next, piece by piece, as a share of the speed. */
  function rateOf(pieces: readonly Piece[], share: number): (now: number) => number {
    return (now) => {
      let left = now - 1
      for (const { ms, from, to } of pieces) {
        if (left < ms) return (from + ((to - from) * left) / ms) * share * SPEED
        left -= ms
      }
      return 0
    }
  }
  const lasting = (pieces: readonly Piece[]): number => pieces.reduce((sum, { ms }) => sum + ms, 0)
  const commits = fc.constantFrom(40, 100, 1000)
  const many = { numRuns: 15, seed }

  test('no event waits for longer than the interval and the batches before it', async () => {
    const pieces = fc.array(piece, { minLength: 1, maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(pieces, commits, async (given, commitEvents) => {
        const ms = lasting(given) + 500
        const simulation = await under(rateOf(given, 0.7), ms, { commitEvents })
        const { lag, batchMsMax, events, projected, moments } = simulation
        expect(lag.max).toBeLessThanOrEqual(max + 2 * batchMsMax + 2)
        expect(projected).toBe(events)
        expect(moments.some(({ isBlocked }) => isBlocked)).toBe(false)
      }),
      many
    )
  })

  test('the interval is within its bounds, the queue too, and all is done in the end', async () => {
    const pieces = fc.array(piece, { minLength: 1, maxLength: 5 })
    const intervals = fc
      .tuple(...Array.from({ length: 3 }, () => fc.integer({ min: 1, max: 100 })))
      .map((given) => given.toSorted((a, b) => a - b))
    const given = fc.tuple(pieces, intervals, fc.double({ min: 0.01, max: 1, noNaN: true }))
    await fc.assert(
      fc.asyncProperty(given, commits, async ([loads, interval, emaAlpha], commitEvents) => {
        const [shortest = 1, middle = 1, longest = 1] = interval
        const intervalMs = { min: shortest, base: middle, max: longest }
        const ms = lasting(loads) + 3000
        const shape = { name: 'any', ms, rate: rateOf(loads, 5), commitEvents }
        const queue = { queueEventsMax: 10_000, batchEventsMax: 2000 }
        const simulation = await simulate(shape, { intervalMs, emaAlpha, ...queue })
        for (const moment of simulation.moments) {
          expect(moment.intervalMs).toBeGreaterThanOrEqual(shortest)
          expect(moment.intervalMs).toBeLessThanOrEqual(longest)
          expect(moment.depth).toBeLessThan(10_000 + commitEvents)
          expect(moment.pressure).toBeGreaterThanOrEqual(0)
          expect(moment.pressure).toBeLessThanOrEqual(1)
        }
        expect(at(simulation, ms).lagMs).toBeLessThan(longest + 50)
      }),
      many
    )
  })

  test('the interval does not flutter under a steady load, however noisy', async () => {
    const load = fc.double({ min: 0, max: 0.95, noNaN: true })
    const noise = fc.double({ min: 0, max: 1, noNaN: true })
    const times = fc.integer()
    await fc.assert(
      fc.asyncProperty(load, noise, times, commits, async (mean, spread, draw, commitEvents) => {
        const random = new Random(draw)
        const rate = (): number => mean * SPEED * (1 + spread * (2 * random.next() - 1))
        const { moments } = await under(rate, 4000, { commitEvents })
        // Its beginning is a burst; then it may cross one threshold, there and back.
        expect(bands(moments.slice(1500)).length).toBeLessThanOrEqual(3)
      }),
      many
    )
  })

  test('a ramp that fills the queue is warned of before it does', async () => {
    const ramp = fc.integer({ min: 200, max: 3000 })
    await fc.assert(
      fc.asyncProperty(ramp, fc.integer({ min: 2, max: 10 }), async (ms, times) => {
        const rate = (now: number): number => Math.min(now / ms, 1) * times * SPEED
        const { moments } = await under(rate, ms + 2500, { commitEvents: 100 })
        const fullAt = moments.find(({ isBlocked }) => isBlocked)?.now ?? STOPPED
        const pressedAt = moments.find(({ pressure }) => pressure > 0)?.now ?? STOPPED
        expect(fullAt).toBeLessThan(STOPPED)
        // A tenth of the queue at the speed at which it fills, at least.
        expect(fullAt - pressedAt).toBeGreaterThan(CAPACITY / 10 / (times * SPEED))
      }),
      many
    )
  })
})

describe('A controller', () => {
  const nothing = { appended: 0, processed: 0, batchMs: 0, lagMs: 0 }

  test('reports rates per second and forgets them when nothing happens', () => {
    const controller = new IntervalController(options)
    for (let now = 0; now <= 1000; now += 5) {
      const batch = { appended: 500, processed: 500, batchMs: 3, lagMs: 2 }
      controller.sample({ now, depth: 100, capacity: CAPACITY, ...batch })
    }
    expect(controller.reading.arrivalRatePerSec).toBeCloseTo(100_000, -2)
    expect(controller.reading.processingRatePerSec).toBeCloseTo(100_000, -2)
    controller.sample({ now: 11_000, depth: 0, capacity: CAPACITY, ...nothing })
    expect(controller.reading.arrivalRatePerSec).toBeLessThan(1)
    expect(controller.reading.intervalMs).toBe(max)
  })

  test('keeps what happened within one millisecond for the next sample', () => {
    const controller = new IntervalController(options)
    const given = { ...nothing, depth: 0, capacity: CAPACITY }
    controller.sample({ ...given, now: 0 })
    for (let i = 1; i <= 10; i += 1) controller.sample({ ...given, now: i / 20, appended: 10 })
    expect(controller.reading.arrivalRatePerSec).toBe(0)
    controller.sample({ ...given, now: 10 })
    expect(controller.reading.arrivalRatePerSec).toBeCloseTo(0.3 * 10_000)
  })

  test('predicts no more than its own rates account for', () => {
    const step = fc.record({
      elapsedMs: fc.integer({ min: 1, max: 50 }),
      appended: fc.constantFrom(0, 0, 100, 1000, 3000),
      processed: fc.constantFrom(0, 0, 0, 500, 2000)
    })
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 80 }), (steps) => {
        const controller = new IntervalController(options)
        let now = 0
        let depth = 0
        for (const { elapsedMs, appended, processed } of steps) {
          now += elapsedMs
          const done = Math.min(processed, depth + appended)
          depth += appended - done
          const sample = { ...nothing, now, depth, capacity: CAPACITY, appended, processed: done }
          const reading = controller.sample(sample)
          const gain = (reading.arrivalRatePerSec - reading.processingRatePerSec) / 1000
          const room = Math.max(CAPACITY - depth, 0)
          const soonest = gain > 0 ? room / gain : Number.POSITIVE_INFINITY
          expect(reading.timeToFullMs).toBeGreaterThanOrEqual(soonest * (1 - 1e-9))
          const most = Math.max(depth + 100 * Math.max(gain, 0), reading.averageDepth)
          expect(reading.predictedDepth).toBeLessThanOrEqual(most * (1 + 1e-9))
        }
      }),
      { numRuns: 100, seed }
    )
  })

  test('lets a warning be over soon after the burst that it came from', () => {
    const controller = new IntervalController(options)
    const given = { ...nothing, capacity: CAPACITY }
    let depth = 0
    for (let now = 0; now <= 100; now += 10) {
      controller.sample({ ...given, now, depth, appended: 3000 })
      depth += 3000
    }
    expect(controller.reading.timeToFullMs).toBeLessThan(500)
    expect(controller.reading.predictedDepth).toBeGreaterThan(50_000)
    // The batch goes on and nothing comes any more: the line still rises for a while.
    for (let now = 110; now <= 170; now += 10) controller.sample({ ...given, now, depth })
    expect(controller.reading.timeToFullMs).toBeGreaterThan(1500)
    expect(controller.reading.predictedDepth).toBeLessThan(depth * 1.15)
    for (let now = 180; now <= 230; now += 10) controller.sample({ ...given, now, depth })
    expect(controller.reading.timeToFullMs).toBeGreaterThan(10_000)
  })

  test('finds few dear events enough for a batch, and many cheap ones', () => {
    const enough = (eventMs: number): number => {
      const controller = new IntervalController(options)
      for (let i = 0; i < 300; i += 1) {
        const processed = 100 + (i % 7) * 400
        const batchMs = 2 + processed * eventMs
        controller.sample({
          ...nothing,
          now: i * 100,
          depth: 0,
          capacity: CAPACITY,
          processed,
          batchMs
        })
      }
      return controller.reading.batchEvents
    }
    expect(enough(1)).toBe(64)
    // Eight milliseconds' worth of them, four times the fixed part.
    expect(enough(0.01)).toBeGreaterThan(600)
    expect(enough(0.01)).toBeLessThan(1000)
  })
})

test('Options of the controller are checked before anything is done', () => {
  const valid = [{ emaAlpha: 1 }, { emaAlpha: 0.001 }, { intervalMs: { min: 7, base: 7, max: 7 } }]
  for (const pipeline of valid)
    expect(resolveOptions({ pipeline }).pipeline).toMatchObject(pipeline)
  const invalid = [
    { emaAlpha: 0 },
    { emaAlpha: 1.01 },
    { emaAlpha: Number.NaN },
    { warnAt: 1 },
    { intervalMs: { min: 20 } },
    { intervalMs: { max: 9 } },
    { intervalMs: { max: 101 } },
    { intervalMs: { min: 0 } }
  ]
  for (const pipeline of invalid) {
    expect(() => resolveOptions({ pipeline })).toThrow(
      expect.objectContaining({ code: 'OPTION_INVALID' })
    )
  }
})

test('A recent peak is kept for one span at least and for two at most', () => {
  const peak = new RecentPeak(100)
  expect(peak.add(5, 1000)).toBe(5)
  expect(peak.add(1, 1099)).toBe(5)
  expect(peak.add(1, 1150)).toBe(5)
  expect(peak.add(1, 1251)).toBe(1)
  peak.add(9, 1260)
  expect(peak.add(0, 9000)).toBe(0)
})
