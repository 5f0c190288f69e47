/** When an alert is raised and cleared, on a clock of the test's own. */
import fc from 'fast-check'
import type { AlertRule } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { AlertEvaluator } from '#sutra/telemetry/alert-evaluator.js'
import { type ResolvedRule, resolveRules } from '#sutra/telemetry/alert-rules.js'

const METRIC = 'pipeline.queueDepth'

function rules(...given: AlertRule[]): ResolvedRule[] {
  return resolveRules({ defaults: false, rules: given }, 0.7)
}

/** One rule, looked at with one value after the other. */
class Bench {
  readonly #evaluator: AlertEvaluator
  now = 0

  constructor(rule: Partial<AlertRule> & ({ above: number } | { below: number })) {
    this.#evaluator = new AlertEvaluator(rules({ name: 'one', metric: METRIC, ...rule }))
  }

  /** What happened: `up` for raised, `down` for cleared. */
  see(value: number | undefined, afterMs = 1000): string {
    this.now += afterMs
    const clock = { monotonicMs: this.now, wallMs: 1e12 + this.now }
    const changes = this.#evaluator.evaluate(clock, () => [{ of: '', value }])
    return changes.map(({ raised }) => (raised ? 'up' : 'down')).join()
  }

  get raised(): ReturnType<AlertEvaluator['evaluate']>[number]['alert'][] {
    return this.#evaluator.raised
  }
}

test('An alert is raised once beyond the threshold and cleared once behind clearAt', () => {
  const bench = new Bench({ above: 100, clearAt: 50 })
  expect([100, 101, 150, 99, 51, 101, 50, 51, 100].map((value) => bench.see(value))).toEqual([
    '',
    'up',
    '',
    '',
    '',
    '',
    'down',
    '',
    ''
  ])
})

test('Below works as above does, the other way round', () => {
  const bench = new Bench({ below: 0.5, clearAt: 0.7 })
  expect([1, 0.5, 0.49, 0.6, 0.69, 0.7].map((value) => bench.see(value))).toEqual([
    '',
    '',
    'up',
    '',
    '',
    'down'
  ])
})

test('It must last: a value that comes back in time raises nothing, nor does it clear anything', () => {
  const bench = new Bench({ above: 100, clearAt: 100, forMs: 3000 })
  expect([101, 101, 100, 101, 101, 101].map((value) => bench.see(value))).toEqual(Array(6).fill(''))
  expect(bench.see(101)).toBe('up')
  expect([100, 100, 101, 100, 100, 100].map((value) => bench.see(value))).toEqual(Array(6).fill(''))
  expect(bench.see(100)).toBe('down')
})

test('Without something to measure nothing is raised, and what was raised is over', () => {
  const bench = new Bench({ above: 0, forMs: 2000 })
  expect([undefined, undefined, undefined].map((value) => bench.see(value))).toEqual(['', '', ''])
  expect([1, 1, 1].map((value) => bench.see(value))).toEqual(['', '', 'up'])
  expect([undefined, undefined, undefined].map((one) => bench.see(one))).toEqual(['', '', 'down'])
})

test('An alert says what was measured, since when, and for how long it was raised', () => {
  const evaluator = new AlertEvaluator(
    rules({ name: 'deep', metric: METRIC, above: 100, forMs: 1000, severity: 'critical' })
  )
  const see = (value: number, at: number): ReturnType<AlertEvaluator['evaluate']> =>
    evaluator.evaluate({ monotonicMs: at, wallMs: 1e12 + at }, () => [{ of: '', value }])
  see(150, 500)
  const [up] = see(160, 1500)
  const alert = {
    name: 'deep',
    severity: 'critical',
    metric: METRIC,
    of: '',
    value: 160,
    threshold: 100,
    since: 1e12 + 500,
    message: 'pipeline.queueDepth is 160, above 100 (events) for 1 s'
  }
  expect(up).toEqual({ raised: true, alert, ms: 0 })
  see(170, 2000)
  expect(evaluator.raised).toEqual([{ ...alert, value: 170 }])
  see(80, 3000)
  const [down] = see(70, 4000)
  expect(down).toEqual({ raised: false, alert: { ...alert, value: 70 }, ms: 2500 })
  expect(evaluator.raised).toEqual([])
})

describe('Rules of several things', () => {
  const lag = { name: 'lag', metric: 'projection.lagMs', above: 10 } as const
  const clock = (at: number): { monotonicMs: number; wallMs: number } => {
    return { monotonicMs: at, wallMs: at }
  }

  test('watch each of them by itself', () => {
    const evaluator = new AlertEvaluator(rules(lag))
    const see = (at: number, tables: number, vectors: number): string[] =>
      evaluator
        .evaluate(clock(at), () => [
          { of: 'tables', value: tables },
          { of: 'vectors', value: vectors }
        ])
        .map(({ raised, alert }) => `${raised ? 'up' : 'down'} ${alert.of}`)
    expect(see(1, 11, 0)).toEqual(['up tables'])
    expect(see(2, 11, 11)).toEqual(['up vectors'])
    expect(see(3, 0, 11)).toEqual(['down tables'])
    expect(evaluator.raised.map(({ of }) => of)).toEqual(['vectors'])
  })

  test('or only the one that they name', () => {
    const evaluator = new AlertEvaluator(rules({ ...lag, of: 'vectors' }))
    const readings = ['tables', 'vectors'].map((of) => ({ of, value: 99 }))
    const changes = evaluator.evaluate(clock(1), () => readings)
    expect(changes.map(({ alert }) => alert.of)).toEqual(['vectors'])
  })

  test('and what is gone is over', () => {
    const evaluator = new AlertEvaluator(rules(lag))
    evaluator.evaluate(clock(1), () => [{ of: 'mine', value: 99 }])
    expect(evaluator.raised).toHaveLength(1)
    const changes = evaluator.evaluate(clock(2), () => [])
    expect(changes).toMatchObject([{ raised: false, alert: { of: 'mine' } }])
    expect(evaluator.evaluate(clock(3), () => [])).toEqual([])
  })
})

describe('Whatever the values', () => {
  const value = fc.oneof(fc.double({ min: 0, max: 200, noNaN: true }), fc.constant(undefined))
  const looks = fc.array(fc.record({ value, afterMs: fc.integer({ min: 1, max: 3000 }) }), {
    maxLength: 60
  })
  const shape = fc.record({
    threshold: fc.integer({ min: 51, max: 150 }),
    band: fc.integer({ min: 0, max: 50 }),
    forMs: fc.constantFrom(0, 1000, 5000),
    isAbove: fc.boolean()
  })

  test('raised and cleared take turns, each after all values of its time agree', () => {
    fc.assert(
      fc.property(shape, looks, ({ threshold, band, forMs, isAbove }, seen) => {
        const clearAt = threshold + (isAbove ? -band : band)
        const limits = isAbove ? { above: threshold } : { below: threshold }
        const bench = new Bench({ ...limits, clearAt, forMs })
        const isBeyond = (one: number | undefined): boolean =>
          one !== undefined && (isAbove ? one > threshold : one < threshold)
        const isBack = (one: number | undefined): boolean =>
          one === undefined || (isAbove ? one <= clearAt : one >= clearAt)
        let isRaised = false
        let agreedAt: number | undefined
        for (const { value: one, afterMs } of seen) {
          const change = bench.see(one, afterMs)
          const agrees = isRaised ? isBack(one) : isBeyond(one)
          agreedAt = agrees ? (agreedAt ?? bench.now) : undefined
          const isDue = agreedAt !== undefined && bench.now - agreedAt >= forMs
          expect(change).toBe(isDue ? (isRaised ? 'down' : 'up') : '')
          if (!isDue) continue
          isRaised = !isRaised
          agreedAt = undefined
          expect(bench.raised).toHaveLength(isRaised ? 1 : 0)
        }
      }),
      seeded()
    )
  })

  test('inside the band nothing changes, however it wavers', () => {
    fc.assert(
      fc.property(
        shape,
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 60 }),
        fc.boolean(),
        ({ threshold, band, forMs, isAbove }, places, isRaised) => {
          const clearAt = threshold + (isAbove ? -band - 1 : band + 1)
          const limits = isAbove ? { above: threshold } : { below: threshold }
          const bench = new Bench({ ...limits, clearAt, forMs })
          if (isRaised) {
            bench.see(isAbove ? 1000 : 0)
            bench.see(isAbove ? 1000 : 0, forMs)
          }
          const inside = places.map(
            (place) => threshold + (clearAt - threshold) * (place * 0.98 + 0.01)
          )
          expect(inside.map((one) => bench.see(one)).join('')).toBe('')
          expect(bench.raised).toHaveLength(isRaised ? 1 : 0)
        }
      ),
      seeded()
    )
  })
})

function seeded(): fc.Parameters<unknown> {
  const seed = process.env['SUTRA_TEST_SEED']
  return seed === undefined ? {} : { seed: Number(seed) }
}
