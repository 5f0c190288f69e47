import { StoreError, throwIfAborted } from '../errors.ts'
import type { Link, Links } from '../projections/tables/links.ts'
import { STRETCH_MS, turn } from '../turn.ts'
import type { PathGraph, PathQuery } from './paths.ts'

/** Steps of a search between two looks at the clock, and the grain in which its sides alternate. */
export const STEPS_PER_TURN = 64

/** Room for the rounding of products, where a bound decides whether a path is looked at. */
export const ROUNDING: number = 1 - 1e-9

/** One best path to be found: from `source` to the target, around what is closed to it. */
export interface Leg {
  readonly source: number
  readonly maxDepth: number
  readonly closedConcepts: ReadonlySet<number>
  /** Edges that the path must not begin with. */
  readonly closedSteps: readonly Link[]
  /** Confidence of the path that leads to `source`. */
  readonly confidence: number
  /** Paths that make the whole less confident than this are of no use. */
  readonly minConfidence: number
}

type Way = 'out' | 'in'

/** The ways along which each end's edges are followed: against the direction from the target. */
const WAYS = {
  out: { forward: ['out'], backward: ['in'] },
  in: { forward: ['in'], backward: ['out'] },
  both: { forward: ['out', 'in'], backward: ['out', 'in'] }
} as const satisfies Record<string, { forward: Way[]; backward: Way[] }>

/** What all searches for one query share: the graph, the limits and the clock. */
export class Exploration {
  readonly graph: PathGraph
  readonly query: PathQuery
  readonly ways: { readonly forward: readonly Way[]; readonly backward: readonly Way[] }
  explored = 0
  #turnStarted: number = performance.now()

  constructor(graph: PathGraph, query: PathQuery) {
    this.graph = graph
    this.query = query
    this.ways = WAYS[query.direction]
  }

  /** The associations of one concept, all at once or piece by piece. */
  links(ordinal: number, way: Way): Iterable<Links> {
    const few = this.graph.few(ordinal, way)
    return few === undefined ? this.graph.pieces(ordinal, way) : [few]
  }

  /** Whether a leg may lead over one of the links of the concept `at`. */
  mayFollow(leg: Leg, at: number, links: Links, index: number): boolean {
    if (leg.closedSteps.length > 0 && isClosedStep(leg, at, links.at(index))) return false
    const { accept } = this.query
    return accept === undefined || accept(links, index)
  }

  /** Counts one more concept, before memory is taken for it. */
  reach(): void {
    const max = this.query.maxExplored
    this.explored++
    if (this.explored > max) {
      const message = `Path search reached ${this.explored} concepts, the limit is ${max}`
      throw new StoreError('PATH_TOO_LARGE', message, { explored: this.explored, max })
    }
  }

  /** Whether `pause` is due. Apart from it, so that a short search never awaits anything. */
  get tired(): boolean {
    return performance.now() - this.#turnStarted >= STRETCH_MS
  }

  async pause(): Promise<void> {
    await turn()
    throwIfAborted(this.query.signal, 'path search')
    this.#turnStarted = performance.now()
  }
}

/** The end of an edge that is not `ordinal`. */
export function farEnd(edge: Link, ordinal: number): number {
  return edge.source === ordinal ? edge.target : edge.source
}

/** Whether the leg forbids this edge, found at concept `at`, as its first step. */
function isClosedStep(leg: Leg, at: number, edge: Link): boolean {
  if (at !== leg.source && edge.other !== leg.source) return false
  return leg.closedSteps.some((closed) => isSameEdge(closed, edge))
}

/** By identity of the association: the graph may make a new object each time it is read. */
function isSameEdge(a: Link, b: Link): boolean {
  return a.target === b.target && a.source === b.source && a.name === b.name && a.key === b.key
}
