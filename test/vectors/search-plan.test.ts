import fc from 'fast-check'
import { expect, test } from 'vitest'
import { planSearch } from '#sutra/projections/vectors/search-plan.js'
import { Segment } from '#sutra/projections/vectors/segment.js'
import { SharedSet } from '#sutra/projections/vectors/shared-set.js'
import { Random } from '../support/random.ts'

const shape = {
  dimensions: 2048,
  metric: 'cosine' as const,
  quantization: 'f16' as const,
  connectivity: 16,
  expansionAdd: 64,
  expansionSearch: 64
}

const part = fc
  .record({ rows: fc.nat({ max: 3000 }), graph: fc.nat({ max: 3000 }), later: fc.nat({ max: 20 }) })
  .map(({ rows, graph, later }) => ({ rows, graph: Math.min(graph, rows), later }))

test('each row is asked of a graph or compared, once', () => {
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 12 }),
      fc.integer({ min: 1, max: 800 }),
      fc.boolean(),
      (parts, wanted, exact) => {
        const set = setOf(parts)
        const { tasks, isExact } = planSearch(
          set,
          parts.map(({ rows }) => rows),
          { wanted, exact }
        )

        const seen = parts.map(({ rows }) => new Uint8Array(rows))
        let graphs = 0
        for (const item of tasks.flat()) {
          const of = parts[item.part]
          if ('graph' in item) graphs += 1
          const [from, to] = 'graph' in item ? [0, of?.graph ?? 0] : [item.from, item.to]
          expect(from).toBeLessThan(to)
          for (let row = from; row < to; row++) {
            const rows = seen[item.part] ?? new Uint8Array()
            rows[row] = (rows[row] ?? 0) + 1
          }
          // A graph is asked only where that touches a small part of it.
          if ('graph' in item) expect(wanted * 4).toBeLessThan(of?.graph ?? 0)
          else expect(to - from).toBeLessThanOrEqual(2 ** 20 / shape.dimensions)
        }
        expect(seen.every((rows) => rows.every((count) => count === 1))).toBe(true)
        expect(isExact).toBe(graphs === 0)
        if (exact) expect(graphs).toBe(0)
        expect(tasks.every((task) => task.length > 0)).toBe(true)
      }
    ),
    { seed: new Random().seed, numRuns: 300 }
  )
})

test('an empty index has nothing to do', () => {
  expect(planSearch(setOf([]), [], { wanted: 10, exact: false })).toEqual({
    tasks: [],
    isExact: true
  })
})

/** @param parts `later`: rows that came since the search began. */
function setOf(parts: readonly { rows: number; graph: number; later: number }[]): SharedSet {
  const segments = parts.map(({ rows, graph, later }, at) => {
    const segment = new Segment(`/nowhere/${at}`, String(at), 4000, shape.dimensions)
    segment.rows = rows + later
    if (graph > 0) {
      const counts = { rows: graph, vectors: graph, scale: 0 }
      const names = { graph: at + 1, path: `/nowhere/${at}.usearch`, name: String(at) }
      segment.setGraph({ ...names, ...counts, seal: { bytes: 1, blocks: [] } })
    }
    return segment
  })
  return new SharedSet(shape, segments)
}
