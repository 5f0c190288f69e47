import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RowsTimeline } from '#sutra/projections/vectors/rows-timeline.js'
import { Random } from '../support/random.ts'

/** Steps of one position or more, each with the rows that came with it. */
const frames = fc.array(
  fc.record({ events: fc.integer({ min: 1, max: 5 }), rows: fc.integer({ min: 0, max: 3 }) }),
  { maxLength: 60 }
)
const begin = fc.record({
  position: fc.integer({ min: 0, max: 50 }),
  rows: fc.integer({ min: 0, max: 50 })
})
const runs = { seed: new Random().seed, numRuns: 300 }

test('rows and positions are those that were told', () => {
  fc.assert(
    fc.property(begin, frames, (start, steps) => {
      const { timeline, ends } = timelineOf(start, steps)

      for (const { position, rows } of ends) expect(timeline.rowsAt(position)).toBe(rows)
      const last = ends.at(-1) ?? start
      expect(timeline.position).toBe(last.position)
      for (let rows = start.rows; rows <= last.rows + 2; rows++) {
        const fitting = ends.filter((end) => end.rows <= rows)
        const reached = timeline.positionAt(rows)
        // The vectors up to there are all among the rows, and nearly as many as there could be:
        // what came without rows behind it need not be counted.
        expect(timeline.rowsAt(reached)).toBeLessThanOrEqual(rows)
        expect(timeline.rowsAt(reached)).toBe(fitting.at(-1)?.rows)
      }
      expect(timeline.positionAt(last.rows)).toBe(last.position)
    }),
    runs
  )
})

test('between two positions, rows are those of the one before', () => {
  const { timeline } = timelineOf({ position: 10, rows: 4 }, [
    { events: 5, rows: 2 },
    { events: 5, rows: 0 },
    { events: 5, rows: 3 }
  ])

  expect([10, 14, 15, 19, 20, 24, 25, 99].map((at) => timeline.rowsAt(at))).toEqual([
    4, 4, 6, 6, 6, 6, 9, 9
  ])
  expect([4, 5, 6, 8, 9, 10].map((rows) => timeline.positionAt(rows))).toEqual([
    10, 10, 15, 15, 25, 25
  ])
})

test('what is forgotten changes nothing of what comes later', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 3_000 }), fc.integer({ min: 0, max: 2_999 }), (n, at) => {
      const steps = Array.from({ length: n }, (_, i) => ({ events: 1 + (i % 2), rows: i % 3 }))
      const { timeline, ends } = timelineOf({ position: 0, rows: 0 }, steps)
      const from = ends[Math.min(at, n)]?.position ?? 0

      timeline.forget(from)

      const later = ends.filter(({ position }) => position >= from)
      expect(later.map(({ position }) => timeline.rowsAt(position))).toEqual(
        later.map(({ rows }) => rows)
      )
    }),
    { ...runs, numRuns: 50 }
  )
})

test('rows that were dropped in front are counted no more', () => {
  fc.assert(
    fc.property(begin, frames, fc.nat({ max: 60 }), (start, steps, wanted) => {
      const { timeline, ends } = timelineOf(start, steps)
      const dropped = Math.min(wanted, start.rows)

      const next = timeline.without(dropped)

      for (const { position, rows } of ends) expect(next.rowsAt(position)).toBe(rows - dropped)
      expect(next.position).toBe(timeline.position)
      const last = ends.at(-1)?.rows ?? start.rows
      next.add(next.position + 1, last - dropped + 1)
      expect(next.rowsAt(next.position)).toBe(last - dropped + 1)
      expect(timeline.rowsAt(timeline.position)).toBe(last)
    }),
    runs
  )
})

interface End {
  position: number
  rows: number
}

function timelineOf(
  start: End,
  steps: readonly { events: number; rows: number }[]
): { timeline: RowsTimeline; ends: End[] } {
  const timeline = new RowsTimeline(start.position, start.rows)
  const ends = [{ ...start }]
  let { position, rows } = start
  for (const step of steps) {
    position += step.events
    rows += step.rows
    timeline.add(position, rows)
    ends.push({ position, rows })
  }
  return { timeline, ends }
}
