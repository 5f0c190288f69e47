import { expect, test } from 'vitest'
import { Arrivals } from '#sutra/pipeline/arrivals.js'
import { BatchCost } from '#sutra/pipeline/batch-cost.js'
import { MovingAverage } from '#sutra/pipeline/moving-average.js'
import { Trend } from '#sutra/pipeline/trend.js'
import { Random } from '../support/random.ts'

test('A trend through points on a line is that line', () => {
  const trend = new Trend(8, 1000)
  for (let at = 0; at < 100; at += 10) trend.add(at, 5 + 2 * at)
  const line = trend.line()
  expect(line.slope).toBeCloseTo(2)
  expect(line.value).toBeCloseTo(185)
  expect(line.fit).toBeCloseTo(1)
})

test('A trend through a saw tooth explains little', () => {
  const trend = new Trend(16, 1000)
  for (let i = 0; i < 16; i += 1) trend.add(i, i % 2 === 0 ? 0 : 1000)
  expect(trend.line().fit).toBeLessThan(0.1)
})

test('A trend forgets samples that are too old or too many', () => {
  const trend = new Trend(4, 100)
  trend.add(0, 1e9)
  for (const at of [200, 201, 202]) trend.add(at, 7)
  expect(trend.line()).toEqual({ slope: 0, value: 7, fit: 0 })
  for (const at of [203, 204, 205, 206]) trend.add(at, at)
  expect(trend.line().slope).toBeCloseTo(1)
})

test('Two samples are no trend', () => {
  const trend = new Trend(4, 100)
  trend.add(0, 0)
  trend.add(1, 1000)
  expect(trend.line().slope).toBe(0)
})

test('A moving average weighs a long gap like the samples that it stands for', () => {
  const one = new MovingAverage(0.3, 10)
  const many = new MovingAverage(0.3, 10)
  one.add(100, 50)
  for (let i = 0; i < 5; i += 1) many.add(100, 10)
  expect(one.value).toBeCloseTo(many.value)
})

test('The cost of a batch learns its fixed part and its part for each event', () => {
  const cost = new BatchCost()
  for (let i = 0; i < 200; i += 1) {
    const events = 100 + (i % 7) * 1500
    cost.add(events, 3 + events * 0.02)
  }
  expect(cost.of(0)).toBeCloseTo(3, 0)
  expect(cost.of(10_000)).toBeGreaterThan(180)
  expect(cost.of(10_000)).toBeLessThan(230)
})

test('Batches of one event do not make a large batch look dear', () => {
  const cost = new BatchCost()
  for (let i = 0; i < 1000; i += 1) cost.add(1, 0.8 + (i % 5) / 10)
  expect(cost.of(20_000)).toBeLessThan(150)
})

test('Small batches that are held up now and then do not make a large one look dear', () => {
  const random = new Random()
  const cost = new BatchCost()
  const seen: number[] = []
  for (let i = 0; i < 20_000; i += 1) {
    const ms = random.below(20) === 0 ? random.pick([2, 5, 20]) : 0.2 + 0.4 * random.next()
    cost.add(1 + random.below(24), ms)
    seen.push(cost.perEvent)
  }
  expect(Math.max(...seen), `seed ${random.seed}`).toBeLessThan(0.008)
})

test('Arrivals tell when the first event after a position came', () => {
  const arrivals = new Arrivals()
  arrivals.add(10, 100)
  arrivals.add(12, 100.5)
  arrivals.add(20, 110)
  expect(arrivals.after(0)).toBe(100)
  expect(arrivals.after(11)).toBe(100)
  expect(arrivals.after(12)).toBe(110)
  expect(arrivals.after(20)).toBeUndefined()
  arrivals.forget(12)
  expect(arrivals.after(12)).toBe(110)
})

test('Arrivals of a long backlog never understate its age', () => {
  const arrivals = new Arrivals()
  for (let i = 1; i <= 100_000; i += 1) arrivals.add(i, i * 2)
  expect(arrivals.after(0)).toBe(2)
  expect(arrivals.after(50_000)).toBeLessThanOrEqual(100_002)
  expect(arrivals.after(99_999)).toBeLessThanOrEqual(200_000)
  expect(arrivals.after(99_999)).toBeGreaterThan(190_000)
})
