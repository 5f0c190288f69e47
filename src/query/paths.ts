import { throwIfAborted } from '../errors.ts'
import type { Link, Links } from '../projections/tables/links.ts'
import { rankPaths } from './paths-k-shortest.ts'
import { Exploration } from './paths-search.ts'

export interface PathGraph {
  /**
   * The live associations of one concept, always in the same order; `undefined` where they are many,
   * and to be walked piece by piece.
   */
  few(ordinal: number, direction: 'out' | 'in'): Links | undefined
  /**
   * The same in pieces, however many. They are read lazily, may be left early (`return` is called on
   * their iterator then) and several may be open at a time.
   */
  pieces(ordinal: number, direction: 'out' | 'in'): Iterable<Links>
  /** Makes ready for `few` of all of these. Nothing depends on it but time. */
  fetch?(ordinals: readonly number[], direction: 'out' | 'in'): Promise<void>
}

export interface PathQuery {
  source: number
  target: number
  /** `out` follows associations from source to target, `in` against it, `both` either way. */
  direction: 'out' | 'in' | 'both'
  /** Associations in a path, at most. */
  maxDepth: number
  order: 'hops' | 'confidence'
  /**
   * Whether the association at an index may be used; `undefined`: every one. Asked last, because
   * it may cost a decode.
   */
  accept: ((links: Links, index: number) => boolean) | undefined
  maxExplored: number
  signal?: AbortSignal | undefined
  /** Paths wanted, at least 1. */
  limit: number
}

export interface FoundPath {
  /** From source to target: one more than there are edges. */
  ordinals: number[]
  /** Edge `i` joins ordinals `i` and `i + 1`. Its `other` may be either of the two. */
  edges: Link[]
  /** Product of the confidences, multiplied from source to target. */
  confidence: number
}

export interface FoundPaths {
  /** Best first, none twice. */
  paths: FoundPath[]
  /** Concepts reached, counted anew for each end they were reached from and each search. */
  explored: number
}

/**
 * Finds the best paths between two concepts that visit no concept twice.
 *
 * | Order        | First                | Among equals         |
 * | ------------ | -------------------- | -------------------- |
 * | `hops`       | fewer associations   | greater confidence   |
 * | `confidence` | greater confidence   | fewer associations   |
 *
 * Paths equal in both come in an order that the graph alone decides, so the same graph gives the
 * same answer, and a larger `limit` only appends to it. Confidences that differ by less than the
 * rounding of a product of doubles count as equal. Parallel associations make different paths.
 * From a concept to itself there is one path, of no associations and confidence 1.
 *
 * Yields to the event loop every 2 ms or so, also in the middle of one concept's edges.
 *
 * @throws StoreError `PATH_TOO_LARGE` once more than `maxExplored` concepts were reached;
 *   `ABORTED`.
 */
export async function findPaths(graph: PathGraph, query: PathQuery): Promise<FoundPaths> {
  throwIfAborted(query.signal, 'path search')
  if (query.source === query.target) {
    return { paths: [{ ordinals: [query.source], edges: [], confidence: 1 }], explored: 1 }
  }
  const exploration = new Exploration(graph, query)
  const paths = await rankPaths(exploration)
  return { paths, explored: exploration.explored }
}
