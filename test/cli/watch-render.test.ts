import fc from 'fast-check'
import type { Stats } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { widthOf } from '#sutra/cli/output.js'
import { bytes, count, duration, percent, rate, short, uptime } from '#sutra/cli/watch/figures.js'
import { History, type Look } from '#sutra/cli/watch/history.js'
import { plainLine, toRecord } from '#sutra/cli/watch/plain.js'
import { render, type Size, type Watching } from '#sutra/cli/watch/render.js'
import { scaleOf, sparkline } from '#sutra/cli/watch/sparkline.js'
import { lookAt } from './watch-fixture.ts'

const WATCHING: Watching = {
  directory: '/data/knowledge',
  intervalMs: 1000,
  now: Date.UTC(2026, 0, 2, 3, 5, 6),
  trouble: undefined
}
const ESCAPE = '\u001b'

describe('the screen', () => {
  test.each([
    ['80x24', { columns: 80, rows: 24 }],
    ['120x40', { columns: 120, rows: 40 }],
    ['44x12', { columns: 44, rows: 12 }]
  ])('of %s is this one', async (name, size) => {
    const shown = render(historyOf(60), WATCHING, size, false)

    await expect(`${shown.join('\n')}\n`).toMatchFileSnapshot(`screens/${name}.txt`)
  })

  test('fits every terminal, whatever it has to show', () => {
    const sizes = fc.record({
      columns: fc.integer({ min: 1, max: 220 }),
      rows: fc.integer({ min: 1, max: 70 })
    })

    fc.assert(
      fc.property(
        sizes,
        fc.array(oddStats(), { maxLength: 5 }),
        fc.boolean(),
        (size, odd, bare) => {
          const history = new History()
          for (const [second, change] of odd.entries()) {
            const look = lookAt(second, change)
            history.add(bare ? { ...look, process: undefined } : look)
          }
          expectToFit(
            render(history, { ...WATCHING, directory: 'd'.repeat(90) }, size, false),
            size
          )
        }
      ),
      { seed: seed() }
    )
  })

  test('is the same with and without colours', () => {
    const size = { columns: 100, rows: 30 }
    const coloured = render(historyOf(9), WATCHING, size, true)

    expect(coloured.join('')).toContain(ESCAPE)
    const plain = coloured.map((line) => line.replaceAll(new RegExp(`${ESCAPE}\\[\\d+m`, 'g'), ''))
    expect(plain).toEqual(render(historyOf(9), WATCHING, size, false))
  })

  test('keeps everything in its place while the numbers change', () => {
    const size = { columns: 80, rows: 24 }
    const labels = (second: number): string[] =>
      render(historyOf(second), WATCHING, size, false).map((line) => line.slice(0, 12))

    for (const second of [2, 3, 10, 100, 1000]) expect(labels(second)).toEqual(labels(60))
  })

  test('shows no number that is none', () => {
    const empty = new History()
    const first = historyOf(0)
    const endless = historyOf(9, ({ pipeline }) => {
      Object.assign(pipeline, {
        timeToFullMs: Number.POSITIVE_INFINITY,
        estimatedLagMs: Number.NaN
      })
    })

    for (const history of [empty, first, endless]) {
      const shown = render(history, WATCHING, { columns: 120, rows: 40 }, false).join('\n')
      expect(shown).not.toMatch(/NaN|Infinity|undefined|null|\[object/)
    }
  })

  test('tells of alerts in units, and how many have no room', () => {
    const history = historyOf(3, (stats) => {
      stats.alerts = Array.from({ length: 3 }, (_, i) => ({
        ...{ name: `slow-${i}`, severity: 'warning', metric: 'latency.fsync.p99Us', of: '' },
        ...{ value: 123_400, threshold: 100_000, since: WATCHING.now - 5000 * (i + 1) },
        message: 'in words'
      }))
    })

    const [line] = render(history, WATCHING, { columns: 90, rows: 24 }, false).slice(-1)

    expect(line).toMatch(
      /^alerts {6}warning {2}slow-0, 123 ms, limit 100 ms, for 5 s {2}and 2 more/
    )
    expect(line).toMatch(/ q quits$/)
  })

  test('tells what is wrong in the place of the health', () => {
    const watching = { ...WATCHING, trouble: 'Waiting for a process' }

    const shown = render(new History(), watching, { columns: 80, rows: 24 }, false)

    expect(shown[1]).toBe('health               –  Waiting for a process')
  })

  test('says how many projections it has no room for, and how they are', () => {
    const history = historyOf(3, ({ pipeline }) => {
      for (let i = 0; i < 9; i++) {
        const state = i === 8 ? 'stopped' : 'running'
        pipeline.projections[`own-${i}`] = { state, position: 1, lagEvents: 10 * i, lagMs: 1 }
      }
    })

    const shown = render(history, WATCHING, { columns: 80, rows: 24 }, false)

    expect(shown).toContain('and 10 more, at most 900 behind, 1 stopped')
  })
})

test('subscriptions are shown behind the projections', () => {
  const history = historyOf(3, (stats) => {
    stats.subscriptions['mails'] = {
      ...{ state: 'retrying', position: 12, lagEvents: 34, lagMs: 5600, attempts: 2 },
      ...{ quarantined: 0, delivered: 10, retries: 1 }
    }
  })

  const shown = render(history, WATCHING, { columns: 100, rows: 40 }, false).join('\n')

  expect(shown).toMatch(/\nvectors .*\nmails {11}retrying +34 +5\.60 s +12 /)
})

describe('what has happened', () => {
  test('is counted by the clock of the process', () => {
    const recent = historyOf(10).recent()

    expect(recent?.commitsPerSec).toBeCloseTo(100)
    expect(recent?.cpu).toBeCloseTo(0.4)
    expect(recent?.operations['search']).toBeCloseTo(100)
    expect(recent?.operations['path']).toBe(0)
  })

  test('is forgotten when another process has the store', () => {
    const history = historyOf(10)
    const look = lookAt(11)
    if (look.process === undefined) throw new Error('the fixture has a process')

    history.add({ ...look, process: { ...look.process, pid: 1 } })

    expect(history.samples).toEqual([])
    expect(history.recent()).toBeUndefined()
  })

  test('is forgotten when the store was opened again', () => {
    const history = historyOf(10)

    history.add(lookAt(11, (stats) => Object.assign(stats.commits, { commits: 0, events: 0 })))

    expect(history.samples).toEqual([])
  })

  test('is bounded', () => {
    expect(historyOf(1000).samples).toHaveLength(300)
  })

  test('does not mind a process of an older version', () => {
    const history = historyOf(3, (stats) => {
      const old: { latency: Record<string, { recent?: unknown }>; alerts?: unknown } = stats
      delete old.alerts
      for (const one of Object.values(old.latency)) delete one.recent
    })

    const shown = render(history, WATCHING, { columns: 80, rows: 24 }, false)

    expect(shown.join('\n')).toContain('since open')
    expect(plainLine(history)).toContain('commit p99 12.3 ms')
  })
})

test('without a screen there is a line, or a record for programs', () => {
  const history = historyOf(10)

  expect(plainLine(history)).toMatch(
    /^2026-01-02 03:04:15Z {2}commits 100\/s {2}events [\d,]+\/s {2}projected [\d,]+\/s {2}commit p99 12\.3 ms/
  )
  expect(toRecord(history)).toMatchObject({
    position: expect.any(Number),
    process: { pid: 4242 },
    rates: { commitsPerSec: 100 }
  })
})

describe('a sparkline', () => {
  test('has its newest value at the right, blanks where nothing is known', () => {
    expect(sparkline([0, 50, undefined, 100], 6, 100)).toBe('  ▁▅ █')
    expect(sparkline([1, 2, 3], 2, 3)).toBe('▆█')
    expect(sparkline([1], 0, 1)).toBe('')
  })

  test('never shows something as nothing, nor more than all', () => {
    expect(sparkline([0.001, 200], 2, 100)).toBe('▂█')
  })

  test('has a scale that ends in 1, 2 or 5', () => {
    expect([[0], [3], [20], [21], [1e6], [0.3]].map((values) => scaleOf(values))).toEqual([
      ...[1, 5, 20, 50, 1e6, 1]
    ])
    expect(scaleOf([undefined, Number.NaN], 10)).toBe(10)
  })
})

describe('figures', () => {
  test('come in the unit that reads best', () => {
    expect([0, 0.25, 9.94, 9.96, 1234.4, 12_345_678].map(rate)).toEqual([
      ...['0', '0.3', '9.9', '10', '1,234', '12.3 M']
    ])
    expect([0, 0.00345, 0.9996, 45.6, 999.6, 61_000, 3_600_000 * 5].map(duration)).toEqual([
      ...['0 ms', '3.45 µs', '1.00 ms', '45.6 ms', '1.00 s', '61.0 s', '5 h']
    ])
    expect([0, 1023, 1024, 1023.6 * 1024, 5.5 * 1024 ** 3].map(bytes)).toEqual([
      ...['0 B', '1023 B', '1.00 KiB', '1.00 MiB', '5.50 GiB']
    ])
    expect([0, 0.1234, 1, 12.5].map(percent)).toEqual(['0.0 %', '12.3 %', '100 %', '1250 %'])
    expect([5000, 125_000, 3_700_000, 90_000_000].map(uptime)).toEqual([
      ...['5 s', '2 min', '1 h 1 min', '1 d 1 h']
    ])
    expect([999.6, 1_500_000].map(short)).toEqual(['1.00 k', '1.50 M'])
    expect([Number.NaN, Number.POSITIVE_INFINITY].map(count)).toEqual(['–', '–'])
  })

  test('have no more columns than there are for them', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e15, noNaN: true }), (value) => {
        expect(widthOf(duration(Math.min(value, 1e12)))).toBeLessThanOrEqual(9)
        expect(widthOf(duration(Math.min(value, 1e9)))).toBeLessThanOrEqual(7)
        expect(widthOf(bytes(value))).toBeLessThanOrEqual(8)
        expect(widthOf(count(value))).toBeLessThanOrEqual(10)
        expect(widthOf(short(value))).toBeLessThanOrEqual(6)
      }),
      { seed: seed() }
    )
  })
})

function historyOf(seconds: number, change?: (stats: Stats) => void): History {
  const history = new History()
  const looks = Array.from({ length: seconds + 1 }, (_, second): Look => lookAt(second, change))
  for (const look of looks) history.add(look)
  return history
}

/** Statistics gone wild: huge, tiny, not numbers, with names of any length. */
function oddStats(): fc.Arbitrary<(stats: Stats) => void> {
  const number = fc.oneof(
    fc.double(),
    fc.integer(),
    fc.constantFrom(0, 1e21, Number.NaN, Number.POSITIVE_INFINITY)
  )
  const name = fc.string({ unit: 'grapheme', maxLength: 40 })
  return fc
    .record({ numbers: fc.array(number, { minLength: 12, maxLength: 12 }), name })
    .map(({ numbers, name: text }) => (stats: Stats): void => {
      const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0] = numbers
      Object.assign(stats.pipeline, { queueDepth: a, estimatedLagMs: b, timeToFullMs: c })
      Object.assign(stats.pipeline, { recommendation: text.repeat(5), healthScore: d })
      Object.assign(stats.latency.commit, { count: e, recent: { count: 1, p50Us: f, p99Us: g } })
      Object.assign(stats.disk, { logBytes: a, freeBytes: b })
      Object.assign(stats.vectors, { indexed: c, pending: d })
      stats.pipeline.projections[text] = {
        ...{ state: 'stopped', position: a, lagEvents: b, lagMs: c },
        error: text
      }
      stats.caches[text] = { entries: 1, bytes: e, hits: f, misses: g }
    })
}

function expectToFit(lines: string[], { columns, rows }: Size): void {
  expect(lines).toHaveLength(rows)
  for (const line of lines) {
    expect(widthOf(line)).toBeLessThanOrEqual(columns)
    expect(line).not.toMatch(/NaN|Infinity/)
  }
}

function seed(): number {
  return Number(process.env['SUTRA_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
}
