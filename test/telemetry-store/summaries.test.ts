/** What is kept of what is told: sums that are right, whole events as they were, and a bound on both. */
import fc from 'fast-check'
import type { TelemetryEvent } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { Intake } from '#sutra/telemetry-store/intake.js'
import { Summaries } from '#sutra/telemetry-store/summaries.js'

const START = Date.UTC(2026, 0, 31, 12)
const seed = Number(process.env['SUTRA_TEST_SEED'] ?? Date.now() % 2 ** 31)

type Commit = Extract<TelemetryEvent, { type: 'commit' }>

function commit(
  us: number,
  events: number,
  time = START,
  origin: Commit['origin'] = 'commit'
): Commit {
  return {
    ...{ type: 'commit', time, v: 1, origin, commands: events, events, us, first: 1, last: events },
    ...{ durability: 'os', outcome: 'appended', backlog: 0 }
  }
}

function retrying(subscription: string, time = START): TelemetryEvent {
  const rest = { position: 1, attempt: 1, delayMs: 10, error: 'It failed' }
  return { type: 'subscription-retrying', time, v: 1, subscription, ...rest }
}

describe('sums', () => {
  test(`count, add up and rank what they were given (seed ${seed})`, () => {
    const one = fc.record({
      us: fc.integer({ min: 1, max: 100_000_000 }),
      events: fc.integer({ min: 0, max: 1000 }),
      origin: fc.constantFrom<Commit['origin']>('commit', 'import')
    })
    fc.assert(
      fc.property(fc.array(one, { minLength: 1, maxLength: 300 }), (told) => {
        const summaries = new Summaries()
        for (const { us, events, origin } of told) summaries.add(commit(us, events, START, origin))
        const sums = summaries.take(START + 1000)
        expect(sums.map(({ name }) => name).sort()).toEqual([
          ...new Set(told.map(({ origin }) => origin).sort())
        ])
        for (const sum of sums) {
          const same = told.filter(({ origin }) => origin === sum.name)
          const times = same.map(({ us }) => us).sort((a, b) => a - b)
          const items = same.map(({ events }) => events)
          expect(sum).toMatchObject({
            ...{ type: 'summary', of: 'commit', v: 1, since: START, time: START + 1000 },
            ...{ count: same.length, items: items.reduce((a, b) => a + b), bytes: 0 },
            ...{ itemsMax: Math.max(...items), maxUs: times.at(-1) }
          })
          const median = times[Math.ceil(times.length / 2) - 1] ?? 0
          // Histograms have two significant digits.
          expect(sum.p50Us).toBeGreaterThanOrEqual(median * 0.99)
          expect(sum.p50Us).toBeLessThanOrEqual(Math.max(median * 1.02, median + 1))
          expect(sum.p95Us).toBeGreaterThanOrEqual(sum.p50Us)
          expect(sum.p99Us).toBeGreaterThanOrEqual(sum.p95Us)
          expect(sum.maxUs).toBeGreaterThanOrEqual(sum.p99Us)
        }
      }),
      { seed }
    )
  })

  test('looking at a window leaves it open, taking it begins the next', () => {
    const summaries = new Summaries()
    summaries.add(commit(10, 1))
    expect(summaries.peek(START + 1)).toHaveLength(1)
    summaries.add(commit(20, 2))
    expect(summaries.take(START + 2)).toMatchObject([{ count: 2, items: 3 }])
    expect(summaries.take(START + 3)).toEqual([])
    expect(summaries.since).toBe(0)
  })

  test('a window never ends before it began, whatever the clock does', () => {
    const summaries = new Summaries()
    summaries.add(commit(10, 1, START))
    expect(summaries.take(START - 60_000)).toMatchObject([{ since: START, time: START }])
  })

  test('names without end share one sum', () => {
    const summaries = new Summaries()
    for (let i = 0; i < 10_000; i++) {
      const batch = { projection: `p${i}`, from: 1, to: 1, events: 1, ms: 1 }
      summaries.add({ type: 'batch-applied', time: START, v: 1, ...batch })
    }
    const sums = summaries.take(START)
    expect(sums.length).toBeLessThan(300)
    expect(sums.reduce((sum, { count }) => sum + count, 0)).toBe(10_000)
  })
})

describe('the intake', () => {
  test('sums up what is told all the time and keeps all else as it is', () => {
    const intake = new Intake(1000)
    const rare = retrying('mail')
    for (let i = 0; i < 500; i++) intake.add(commit(10, 1))
    intake.add(rare)
    intake.turn(START + 999)
    expect(intake.take(10)).toEqual([rare])
    intake.turn(START + 1000)
    expect(intake.take(10)).toMatchObject([[{ of: 'commit', count: 500 }]])
    expect(intake.isEmpty).toBe(true)
  })

  test('of a storm of one kind, the first are kept and the rest counted, in each window', () => {
    const intake = new Intake(1000)
    for (let window = 0; window < 2; window++) {
      for (let i = 0; i < 1000; i++) intake.add(retrying('mail', START + window * 1000))
      intake.turn(START + (window + 1) * 1000)
      const items = intake.take(10_000)
      expect(items.slice(0, -1)).toEqual(Array(100).fill(retrying('mail', START + window * 1000)))
      expect(items.at(-1)).toMatchObject([{ of: 'subscription-retrying', count: 900 }])
    }
    expect(intake.dropped).toBe(0)
  })

  test('keeps statistics once a minute', () => {
    const intake = new Intake(1000)
    // Their content plays no part.
    const at = (time: number): TelemetryEvent =>
      ({ type: 'metrics', time, v: 1, stats: {} }) as TelemetryEvent
    for (let ms = 0; ms < 600_000; ms += 10_000) intake.add(at(START + ms))
    expect(intake.take(100)).toHaveLength(10)
    // The clock was set back.
    intake.add(at(START - 600_000))
    expect(intake.take(100)).toHaveLength(1)
  })

  test('holds so many items and no more; what gives way is the oldest, and counted', () => {
    const intake = new Intake(1000)
    for (let i = 0; i < 3000; i++) intake.push(retrying(`s${i}`))
    expect(intake.dropped).toBe(1000)
    expect(intake.takeLosses()).toBe(1000)
    expect(intake.takeLosses()).toBe(0)
    const items = intake.take(500)
    expect(items[0]).toMatchObject({ subscription: 's1000' })
    for (let i = 0; i < 100; i++) intake.push(retrying(`t${i}`))
    // Of what is put back, only so much fits: the oldest of it is lost.
    intake.putBack(items)
    expect(intake.dropped).toBe(1100)
    expect(intake.take(1)).toMatchObject([{ subscription: 's1100' }])
  })

  test('a clock that is set back ends the window', () => {
    const intake = new Intake(1000)
    intake.add(commit(10, 1, START))
    intake.turn(START - 3_600_000)
    expect(intake.take(1)).toMatchObject([[{ count: 1 }]])
  })
})
