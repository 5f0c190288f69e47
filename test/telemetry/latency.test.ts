import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { LatencyRecorder, nowUs } from '#sutra/telemetry/latency.js'
import { Random } from '../support/random.ts'

test('Percentiles are exact to one percent, from below a microsecond to minutes', () => {
  const latency = new LatencyRecorder()
  for (let i = 1; i <= 10_000; i += 1) {
    latency.record('get', i / 10)
    latency.record('search', i * 1000)
  }
  const { get, search } = latency.summary()
  expect(get.count).toBe(10_000)
  expect(get.meanUs).toBeCloseTo(500.05)
  expect(get.maxUs).toBe(1000)
  for (const [found, exact] of [
    [get.p50Us, 500],
    [get.p95Us, 950],
    [get.p99Us, 990],
    [get.p999Us, 999],
    [search.p50Us, 5e6],
    [search.p999Us, 9.99e6]
  ] as const) {
    expect(Math.abs(found - exact) / exact).toBeLessThan(0.01)
  }
  expect(get.p999Us).toBeLessThanOrEqual(get.maxUs)
})

test('Reads of a fraction of a microsecond are told apart', () => {
  const latency = new LatencyRecorder()
  for (const us of [0.2, 0.2, 0.4]) latency.record('get', us)
  const { get } = latency.summary()
  expect(get.p50Us).toBeCloseTo(0.2, 2)
  expect(get.maxUs).toBeCloseTo(0.4)
})

test('An operation that was never done has a summary of zeros', () => {
  const { path } = new LatencyRecorder().summary()
  const zeros = { count: 0, meanUs: 0, p50Us: 0, p95Us: 0, p99Us: 0, p999Us: 0, maxUs: 0 }
  expect(path).toEqual({ ...zeros, recent: { ...zeros, windowMs: path.recent.windowMs } })
})

test('A clock that steps back and an operation of hours fail nothing', () => {
  const latency = new LatencyRecorder()
  latency.record('commit', -5)
  latency.record('commit', 2 * 3600 * 1e6)
  latency.record('commit', Number.NaN)
  const { commit } = latency.summary()
  expect(commit.count).toBe(3)
  expect(commit.maxUs).toBe(600 * 1e6)
  expect(commit.p50Us).toBe(0)
})

test('A reset starts over', () => {
  const latency = new LatencyRecorder()
  latency.record('get', 100)
  latency.reset()
  expect(latency.summary().get.count).toBe(0)
  latency.record('get', 3)
  expect(latency.summary().get).toMatchObject({ count: 1, meanUs: 3, maxUs: 3 })
})

test('The clock counts microseconds and never goes back', () => {
  const first = nowUs()
  const second = nowUs()
  expect(second).toBeGreaterThanOrEqual(first)
  expect(second - first).toBeLessThan(1e6)
})

describe('The window', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  test('forgets what is older than itself, while the rest is remembered', () => {
    const latency = new LatencyRecorder(60_000)
    latency.record('get', 1000)
    vi.advanceTimersByTime(49_000)
    latency.record('get', 10)
    expect(latency.summary().get).toMatchObject({ count: 2, recent: { count: 2, maxUs: 1000 } })
    vi.advanceTimersByTime(11_000)
    expect(latency.summary().get).toMatchObject({
      count: 2,
      maxUs: 1000,
      recent: { count: 1, maxUs: 10, meanUs: 10, windowMs: 50_000 }
    })
    vi.advanceTimersByTime(3_600_000)
    expect(latency.summary().get).toMatchObject({ count: 2, maxUs: 1000, recent: { count: 0 } })
  })

  test('covers as much as there was since open, then 50 to 60 seconds', () => {
    const latency = new LatencyRecorder(60_000)
    const windows = [0, 5000, 50_000, 4999, 1, 9999, 1].map((ms) => {
      vi.advanceTimersByTime(ms)
      return latency.recent('get').windowMs
    })
    expect(windows).toEqual([0, 5000, 55_000, 59_999, 50_000, 59_999, 50_000])
  })

  test('agrees with the samples themselves, wherever its slots begin and end', () => {
    const latency = new LatencyRecorder(6000)
    const samples: { at: number; us: number }[] = []
    const random = new Random()
    for (let i = 0; i < 2000; i++) {
      vi.advanceTimersByTime(Math.floor(random.next() * random.next() * 400))
      const us = Math.round(10 ** (random.next() * 5))
      latency.record('commit', us)
      samples.push({ at: performance.now(), us })
      if (i % 50 > 0) continue
      const { recent, ...all } = latency.summary().commit
      const from = performance.now() - recent.windowMs
      const inside = samples.filter(({ at }) => at >= from).map((one) => one.us)
      expect(recent.count, `seed ${random.seed}`).toBe(inside.length)
      expect(recent.maxUs).toBe(Math.max(...inside))
      expectNear(recent.p50Us, rank(inside, 0.5))
      expectNear(recent.p99Us, rank(inside, 0.99))
      const whole = samples.map((one) => one.us)
      expect(all.count).toBe(whole.length)
      expectNear(all.p95Us, rank(whole, 0.95))
      expect(all.meanUs).toBeCloseTo(whole.reduce((a, b) => a + b) / whole.length, 3)
    }
  })

  test('has no timer once nothing is done any more', () => {
    const latency = new LatencyRecorder(6000)
    expect(vi.getTimerCount()).toBe(0)
    latency.record('get', 1)
    latency.record('search', 1)
    expect(vi.getTimerCount()).toBe(1)
    vi.advanceTimersByTime(10_000)
    expect(vi.getTimerCount()).toBe(0)
    latency.record('get', 1)
    latency.stop()
    expect(vi.getTimerCount()).toBe(0)
  })
})

test('Periodic work that takes too long counts for those who waited meanwhile', () => {
  const latency = new LatencyRecorder()
  for (let i = 0; i < 99; i++) latency.recordPeriodic('lag', 10_000, 10_000)
  latency.recordPeriodic('lag', 1_000_000, 10_000)
  const { lag } = latency.summary()
  // One stall of a second in two: half of those who came at any time waited.
  expect(lag.count).toBe(99 + 100)
  expectNear(lag.p99Us, 990_000)
  expectNear(lag.p50Us, 10_000)
  expect(lag.maxUs).toBe(1_000_000)
})

test('A stall of hours costs no more samples than one of minutes', () => {
  const latency = new LatencyRecorder()
  latency.recordPeriodic('lag', 3600 * 1e6, 1000)
  expect(latency.summary().lag.count).toBeLessThanOrEqual(1001)
})

function rank(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
}

function expectNear(found: number, exact: number): void {
  expect(Math.abs(found - exact) / Math.max(exact, 1), `${found} for ${exact}`).toBeLessThan(0.011)
}
