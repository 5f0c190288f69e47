import { fail } from 'node:assert/strict'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Link } from '#sutra/projections/tables/links.js'
import type { FoundPath } from '#sutra/query/paths.js'
import {
  allPaths,
  type Direction,
  type Ordered,
  type Question,
  rank,
  stepsOver
} from './path-brute.ts'
import { edgeOf, find, ListGraph, orders, show } from './path-graphs.ts'

describe('on random graphs', () => {
  test.each(orders())('the paths are those of a search through all of them (%s)', async (order) => {
    await fc.assert(
      fc.asyncProperty(arbitraryCase(), async ({ edges, noise, ...query }) => {
        const graph = new ListGraph(edges, noise)
        const expected = allPaths(edges, { ...query, order })

        const { paths } = await find(graph, { ...query, order })

        // Products of multiples of 1/4 are exact, so the ranks are equal, not merely close.
        expect(paths.map(rank)).toEqual(expected.slice(0, query.limit).map(rank))
        for (const path of paths) expectSimple(path, query)
        expect(new Set(paths.map(show)).size).toBe(paths.length)
        const all = new Set(expected.map(show))
        for (const path of paths) expect(all).toContain(show(path))
      }),
      { numRuns: 1500 }
    )
  })

  test.each(orders())('one path is the first of many (%s)', async (order) => {
    await fc.assert(
      fc.asyncProperty(arbitraryCase(), async ({ edges, noise, ...query }) => {
        const graph = new ListGraph(edges, noise)

        const many = await find(graph, { ...query, order, limit: 50 })
        const some = await find(graph, { ...query, order })
        const one = await find(graph, { ...query, order, limit: 1 })

        expect(some.paths.map(show)).toEqual(many.paths.slice(0, query.limit).map(show))
        expect(one.paths.map(show)).toEqual(many.paths.slice(0, 1).map(show))
      }),
      { numRuns: 500 }
    )
  })

  test.each(orders())('any confidences rank within rounding (%s)', async (order) => {
    const confidence = fc.double({ min: 0, max: 1, noNaN: true })
    await fc.assert(
      fc.asyncProperty(arbitraryCase(confidence), async ({ edges, noise, ...query }) => {
        const expected = allPaths(edges, { ...query, order }).slice(0, query.limit)

        const { paths } = await find(new ListGraph(edges, noise), { ...query, order })

        expect(paths.length).toBe(expected.length)
        for (const [i, path] of paths.entries()) {
          expect(path.confidence).toBeCloseTo(expected[i]?.confidence ?? -1, 9)
          if (order === 'hops') expect(path.edges.length).toBe(expected[i]?.edges.length)
        }
      }),
      { numRuns: 500 }
    )
  })

  test.each(orders())(
    'the best path through a larger graph is that of plain layers (%s)',
    async (order) => {
      await fc.assert(
        fc.asyncProperty(
          arbitraryCase(quarters(), 30, { minLength: 40, maxLength: 80 }),
          async ({ edges, noise, ...query }) => {
            const asked = { ...query, order, limit: 1 }
            const graph = new ListGraph(edges, noise)

            const { paths } = await find(graph, asked)

            expect(paths.map(rank)).toEqual(bestWalk(edges, asked))
            for (const path of paths) expectSimple(path, asked)
          }
        ),
        { numRuns: 500 }
      )
    }
  )
})

interface Case extends Question {
  edges: Link[]
  noise: number
}

function quarters(): fc.Arbitrary<number> {
  return fc.constantFrom(0, 0.25, 0.5, 0.75, 1, 1)
}

function arbitraryCase(
  confidence: fc.Arbitrary<number> = quarters(),
  concepts = 5,
  edges = { minLength: 8, maxLength: 18 }
): fc.Arbitrary<Case> {
  // Without the bias towards small numbers, which would leave most concepts unconnected.
  const ordinal = fc.noBias(fc.nat(concepts - 1))
  const edge = fc
    .tuple(ordinal, ordinal, fc.constantFrom('a', 'b'), fc.constantFrom(undefined, 'k'), confidence)
    .map((parts) => edgeOf(...parts))
  return fc.record({
    edges: fc.uniqueArray(edge, { ...edges, size: 'max', selector: nameOf }),
    noise: fc.noBias(fc.nat(20)),
    source: ordinal,
    target: ordinal,
    direction: fc.constantFrom<Direction>('out', 'in', 'both'),
    maxDepth: fc.noBias(fc.nat(8)),
    limit: fc.noBias(fc.integer({ min: 1, max: 30 }))
  })
}

/**
 * The rank of the best path: of all ways of 0, 1, 2, … hops the most confident, layer by layer.
 * A way that visits a concept twice is never better than the path without the detour.
 */
function bestWalk(edges: readonly Link[], query: Ordered): ReturnType<typeof rank>[] {
  const ranks: ReturnType<typeof rank>[] = []
  let layer = new Map([[query.source, 1]])
  for (let hops = 0; hops <= query.maxDepth; hops++) {
    const confidence = layer.get(query.target)
    if (confidence !== undefined) ranks.push([hops, confidence])
    const next = new Map<number, number>()
    for (const [end, product] of layer) {
      for (const edge of edges) {
        for (const other of stepsOver(edge, end, query.direction)) {
          next.set(other, Math.max(next.get(other) ?? 0, product * edge.confidence))
        }
      }
    }
    layer = next
  }
  if (query.order === 'confidence') ranks.sort((a, b) => b[1] - a[1])
  return ranks.slice(0, 1)
}

function expectSimple(path: FoundPath, query: Question): void {
  expect(path.ordinals[0]).toBe(query.source)
  expect(path.ordinals.at(-1)).toBe(query.target)
  expect(new Set(path.ordinals).size).toBe(path.ordinals.length)
  expect(path.edges.length).toBe(path.ordinals.length - 1)
  expect(path.edges.length).toBeLessThanOrEqual(query.maxDepth)
  for (const [i, edge] of path.edges.entries()) {
    const from = path.ordinals[i] ?? fail()
    expect(stepsOver(edge, from, query.direction)).toEqual([path.ordinals[i + 1]])
  }
}

function nameOf(edge: Link): string {
  return `${edge.source} ${edge.name} ${edge.target} ${edge.key}`
}
