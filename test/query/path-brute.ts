/** Every path there is, by trying: what searches are compared with. */
import { fail } from 'node:assert/strict'
import type { Link } from '#sutra/projections/tables/links.js'
import type { FoundPath, PathQuery } from '#sutra/query/paths.js'

export type Direction = PathQuery['direction']

export interface Question {
  source: number
  target: number
  direction: Direction
  maxDepth: number
  limit: number
}

export interface Ordered extends Question {
  order: 'hops' | 'confidence'
}

/** Every simple path, by depth-first search, sorted. */
export function allPaths(edges: readonly Link[], query: Ordered): FoundPath[] {
  const paths: FoundPath[] = []
  const visit = (path: FoundPath): void => {
    const end = path.ordinals.at(-1) ?? fail()
    if (end === query.target) {
      paths.push(path)
      return
    }
    if (path.edges.length === query.maxDepth) return
    for (const edge of edges) {
      for (const other of stepsOver(edge, end, query.direction)) {
        if (path.ordinals.includes(other)) continue
        visit({
          ordinals: [...path.ordinals, other],
          edges: [...path.edges, edge],
          confidence: path.confidence * edge.confidence
        })
      }
    }
  }
  visit({ ordinals: [query.source], edges: [], confidence: 1 })

  return paths.sort((a, b) => {
    const hops = a.edges.length - b.edges.length
    const confidence = b.confidence - a.confidence
    return query.order === 'hops' ? hops || confidence : confidence || hops
  })
}

export function stepsOver(edge: Link, end: number, direction: Direction): number[] {
  if (direction !== 'in' && edge.source === end) return [edge.target]
  if (direction !== 'out' && edge.target === end) return [edge.source]
  return []
}

export function rank(path: FoundPath): [hops: number, confidence: number] {
  return [path.edges.length, path.confidence]
}
