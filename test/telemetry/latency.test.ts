import { expect, test } from 'vitest'
import { LatencyRecorder, nowUs } from '#sutra/telemetry/latency.js'

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
  expect(path).toEqual({ count: 0, meanUs: 0, p50Us: 0, p95Us: 0, p99Us: 0, p999Us: 0, maxUs: 0 })
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
