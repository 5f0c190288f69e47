/** The store's associations as the graph that path finding walks. */
import { StoreError } from '../errors.ts'
import type { Limits } from '../options.ts'
import { otherEnd, type Pinned } from '../projections/pinned.ts'
import type { AssociationState, ConceptState } from '../projections/state.ts'
import type { Side } from '../projections/tables/keys.ts'
import type { Path, PathOptions } from '../types.ts'
import { type FoundPath, findPaths, type PathEdge, type PathGraph } from './paths.ts'
import { associationSubject, toAssociation } from './present.ts'
import {
  checkDirection,
  checkFraction,
  checkOptions,
  checkOrder,
  checkTypes,
  checkWhole,
  queryInvalid
} from './read-options.ts'
import { compileWhere } from './where.ts'

interface StoredEdge extends PathEdge {
  state: AssociationState
}

export interface PathRequest {
  maxDepth: number
  direction: 'out' | 'in' | 'both'
  order: 'hops' | 'confidence'
  limit: number
  accept(edge: StoredEdge): boolean
  signal: AbortSignal | undefined
}

const DEPTH = 6
const PATHS = 10
const PATHS_MAX = 1000
const NAMES = ['maxDepth', 'direction', 'types', 'where', 'minStrength', 'order', 'limit']

/** @throws StoreError `QUERY_INVALID`, `LIMIT_EXCEEDED`. */
export function checkPathOptions(
  options: PathOptions & { limit?: number },
  limits: Readonly<Limits>
): PathRequest {
  checkOptions(options, NAMES)
  const { signal } = options
  const types = checkTypes(options.types)
  const minStrength = checkFraction('minStrength', options.minStrength) ?? 0
  const predicate = options.where === undefined ? undefined : compileWhere(options.where)
  const wanted = types === undefined ? undefined : new Set(types)
  return {
    maxDepth: checkDepth(options.maxDepth, limits.pathDepth),
    direction: checkDirection(options.direction),
    order: checkOrder(options.order),
    limit: checkWhole('limit', options.limit, 1, PATHS_MAX) ?? PATHS,
    accept: ({ name, strength, state }) =>
      strength >= minStrength &&
      (wanted === undefined || wanted.has(name)) &&
      (predicate === undefined || predicate(associationSubject(state))),
    signal
  }
}

function checkDepth(value: unknown, max: number): number {
  if (value === undefined) return Math.min(DEPTH, max)
  if (!Number.isInteger(value) || (value as number) < 1) {
    throw queryInvalid('maxDepth', value, `a whole number from 1 to ${max}`)
  }
  const depth = value as number
  if (depth <= max) return depth
  const message = `The limit 'pathDepth' is ${max}, received ${depth}`
  throw new StoreError('LIMIT_EXCEEDED', message, { limit: 'pathDepth', value: depth, max })
}

export async function pathsBetween(
  pinned: Pinned,
  source: ConceptState,
  target: ConceptState,
  request: PathRequest,
  maxExplored: number
): Promise<Path[]> {
  const { paths } = await findPaths(storedGraph(pinned), {
    ...request,
    source: source.ordinal,
    target: target.ordinal,
    maxExplored
  })
  return paths.map((path) => toPath(pinned, path))
}

function storedGraph(pinned: Pinned): PathGraph<StoredEdge> {
  return {
    *edges(ordinal, direction) {
      const concept = pinned.concept(ordinal)
      if (concept === undefined) return
      const self = { ordinal, id: concept.id, key: concept.key }
      for (const state of pinned.associations(self, direction)) yield toEdge(state, direction)
    }
  }
}

function toEdge(state: AssociationState, side: Side): StoredEdge {
  return {
    source: state.source.ordinal,
    target: state.target.ordinal,
    other: otherEnd(state, side).ordinal,
    name: state.name,
    key: state.key,
    strength: state.strength,
    confidence: state.confidence,
    state
  }
}

function toPath(pinned: Pinned, path: FoundPath<StoredEdge>): Path {
  const concepts = path.ordinals.map((ordinal) => pinned.concept(ordinal))
  const found = concepts.filter((concept) => concept !== undefined)
  const associations = path.edges.map(({ state }, i) => {
    // Seen from the concept where this step begins.
    const side: Side = state.source.ordinal === path.ordinals[i] ? 'out' : 'in'
    return toAssociation(state, side, concepts[i + 1]?.key)
  })
  return {
    concepts: found.map(({ id }) => id),
    keys: found.map(({ key }) => key),
    associations,
    confidence: path.confidence
  }
}
