/** What stats() says of a store whose vectors come faster than they get into graphs, and of projections. */
import { describe, expect, test, vi } from 'vitest'
import { resolveOptions } from '#sutra/options.js'
import { IntervalController } from '#sutra/pipeline/controller.js'
import {
  type HealthInputs,
  healthLevel,
  healthScore,
  NO_VECTORS,
  recommend,
  type VectorLoad
} from '#sutra/pipeline/health.js'
import { HealthWatch } from '#sutra/pipeline/health-watch.js'
import { TelemetryHub } from '#sutra/telemetry/hub.js'
import { roomOf } from '../vectors/room-of.ts'
import { rig } from './fakes.js'

const { pipeline: options } = resolveOptions()

function inputs(vectors: Partial<VectorLoad>, utilization = 0): HealthInputs {
  return {
    reading: new IntervalController(options).reading,
    utilization,
    warnAt: options.warnAt,
    waiting: 0,
    vectors: { ...NO_VECTORS, ...vectors },
    primary: 'tables',
    stopped: [],
    behind: []
  }
}

describe('vectors that wait for the index', () => {
  test('are no matter while they are few', () => {
    expect(healthLevel(inputs({ fill: 0.1 }))).toBe('healthy')
    expect(healthScore(inputs({ fill: 0.1 }))).toBe(1)
    expect(recommend(inputs({ fill: 0.1 }))).toContain('Nothing to do')
  })

  test('are told of before writers wait', () => {
    const many = inputs({ fill: 0.9 })
    expect(healthLevel(many)).toBe('filling')
    expect(healthScore(many)).toBeGreaterThan(0)
    expect(healthScore(many)).toBeLessThan(0.5)
    expect(recommend(many)).toContain('90 % of the vectors that may wait for the index do')
  })

  test.each([{ fill: 1 }, { fill: 0.96, waiting: 3 }])('are full: %o', (vectors) => {
    expect(healthLevel(inputs(vectors))).toBe('full')
    expect(healthScore(inputs(vectors))).toBe(0)
    expect(recommend(inputs(vectors))).toContain('As many vectors wait for the index as may')
  })

  test('are not named where the queue is what is full', () => {
    expect(recommend(inputs({ fill: 1 }, 1))).toContain('The queue is full')
  })

  test('are in the statistics of the pipeline', async () => {
    let vectors: VectorLoad = NO_VECTORS
    const { pipeline } = rig({}, 0, undefined, () => vectors)
    try {
      expect(pipeline.stats()).toMatchObject({ pressure: 0, healthScore: 1, backPressureMs: 0 })
      vectors = { fill: 1.3, waiting: 2, waitedMs: 500 }
      expect(pipeline.stats()).toMatchObject({ pressure: 1, healthScore: 0, backPressureMs: 500 })
    } finally {
      await pipeline.stop()
    }
  })

  test('make writers wait, who are counted, and for how long', async () => {
    const { room, builder, progress } = roomOf(5000)
    expect(room.max).toBe(1024)
    expect(room.load).toMatchObject({ waiting: 0, waitedMs: 0 })
    expect(room.load.fill).toBeCloseTo(5000 / 1024)

    const waits = [room.enter(5), room.enter(7)]
    expect(room.load.waiting).toBe(2)
    await new Promise((resolve) => setTimeout(resolve, 20))
    builder.pending = 10
    progress.notify()
    for (const wait of waits) await wait

    // Those that were let in count until they are written.
    expect(room.load).toMatchObject({ waiting: 0, fill: 22 / 1024 })
    expect(room.load.waitedMs).toBeGreaterThan(30)
    room.leave(5)
    room.leave(7)
    expect(room.load.fill).toBe(10 / 1024)
    builder.isDamaged = true
    expect(room.load.fill).toBe(0)
  })
})

describe('a projection that is late', () => {
  const late = (ms: number, name = 'mine'): HealthInputs => ({
    ...inputs({}),
    behind: [{ name, events: 2900, ms }]
  })

  test('is no matter up to what the built-in alert allows', () => {
    expect(healthLevel(late(10_000))).toBe('healthy')
    expect(healthScore(late(10_000))).toBe(1)
    expect(recommend(late(10_000))).toBe('Nothing to do: the load is low')
  })

  test('takes from the score the later it is, without a jump and no more than half', () => {
    const scores = [10_001, 12_000, 20_000, 48_000, 1e9].map((ms) => healthScore(late(ms)))
    expect(scores[0]).toBeGreaterThan(0.99)
    expect(scores).toEqual(scores.toSorted((a, b) => b - a))
    expect(scores[3]).toBeLessThan(0.65)
    expect(scores[4]).toBeCloseTo(0.5)
  })

  test('is named, with what it lacks and what helps', () => {
    expect(healthLevel(late(48_000))).toBe('behind')
    expect(recommend(late(48_000))).toBe(
      "Projection 'mine' lacks 2900 events, the oldest of them 48 s old: " +
        'unless it is catching up, write more slowly or make its `apply` faster'
    )
    expect(recommend(late(7_200_000, 'vectors'))).toMatch(/2 h old: .* write more slowly$/)
  })

  test('is named beside what is worse', () => {
    const full = { ...late(48_000), utilization: 0.9 }
    expect(healthLevel(full)).toBe('filling')
    expect(recommend(full)).toMatch(/^The queue is 90 % full.*\. Projection 'mine' lacks/)
  })

  test('shows in statistics and as a change of health, until it has caught up', async () => {
    vi.useFakeTimers()
    const one = rig()
    const told: string[] = []
    one.hub.events$.subscribe((event) => {
      if (event.type === 'health-changed') told.push(event.recommendation)
    })
    let open = (): void => {}
    one.vectors.gate = new Promise((resolve) => {
      open = resolve
    })
    try {
      one.pipeline.start()
      one.append(10)
      await vi.advanceTimersByTimeAsync(9000)
      expect(one.pipeline.stats()).toMatchObject({ healthScore: 1 })
      await vi.advanceTimersByTimeAsync(11_000)
      const { healthScore: score, recommendation } = one.pipeline.stats()
      expect(score).toBeCloseTo(0.75)
      expect(recommendation).toContain("Projection 'vectors' lacks 10 events")
      open()
      await vi.advanceTimersByTimeAsync(2000)
      expect(one.pipeline.stats()).toMatchObject({ healthScore: 1 })
      expect(told).toEqual([recommendation, 'Nothing to do: the load is low'])
    } finally {
      const stopped = one.pipeline.stop()
      await vi.advanceTimersByTimeAsync(1000)
      await stopped
      vi.useRealTimers()
    }
  })

  test.each([
    ['a start finds it so', true, 1, 0.5],
    ['nothing makes it catch up', false, 1, 1]
  ])('counts from a moment on where %s', async (_, isStarted, atFirst, later) => {
    vi.useFakeTimers()
    const one = rig({}, 100, undefined, undefined, async () => 1)
    const held = new Promise<void>(() => {})
    one.tables.gate = held
    one.vectors.gate = held
    if (isStarted) one.pipeline.start()
    await vi.advanceTimersByTimeAsync(4000)
    expect(one.pipeline.stats().healthScore).toBe(atFirst)
    await vi.advanceTimersByTimeAsync(2000)
    expect(one.pipeline.stats().healthScore).toBeCloseTo(later)
    vi.useRealTimers()
  })
})

test('what helps a projection that stopped is said of whose it is', () => {
  const stopped = (name: string): string =>
    recommend({ ...inputs({}), stopped: [{ name, position: 7 }] })
  expect(stopped('tables')).toBe("Projection 'tables' stopped at 7: rebuild it")
  expect(stopped('vectors')).toBe("Projection 'vectors' stopped at 7: rebuild it")
  const own = 'stopped at 7: mend its `apply` and open the store again'
  expect(stopped('mine')).toBe(`Projection 'mine' ${own}`)
  expect(stopped('mine@2')).toBe(`Projection 'mine@2' ${own}`)
})

test('Health that looks better for moments only is not told as better', async () => {
  vi.useFakeTimers()
  const hub = new TelemetryHub()
  const scores: number[] = []
  hub.events$.subscribe((event) => {
    if (event.type === 'health-changed') scores.push(event.healthScore)
  })
  let utilization = 0
  const watch = new HealthWatch(hub, {
    reading: () => inputs({}).reading,
    inputs: () => inputs({}, utilization),
    sample: () => undefined
  })
  // As the warning wavers while batches end: better whenever the watch looks by itself.
  for (let ms = 0; ms < 5000; ms += 50) {
    utilization = ms % 500 === 0 ? 0.1 : 0.8
    watch.check()
    await vi.advanceTimersByTimeAsync(50)
  }
  expect(scores).toHaveLength(1)
  utilization = 0.1
  watch.check()
  await vi.advanceTimersByTimeAsync(2000)
  expect(scores).toEqual([expect.closeTo(0.33), 1])
  watch.stop()
  vi.useRealTimers()
})
