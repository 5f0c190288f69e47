/** The store's associations as the graph that path finding walks. */
import { assert } from '../assert.ts'
import { StoreError } from '../errors.ts'
import type { Limits } from '../options.ts'
import type { Pinned } from '../projections/pinned.ts'
import type { AssociationState, ConceptState } from '../projections/state.ts'
import type { Link } from '../projections/tables/association-row.ts'
import type { Side } from '../projections/tables/keys.ts'
import type { Path, PathOptions } from '../types.ts'
import { type FoundPath, findPaths, type PathGraph } from './paths.ts'
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

export interface PathRequest {
  maxDepth: number
  direction: 'out' | 'in' | 'both'
  order: 'hops' | 'confidence'
  limit: number
  /** Whether an association may be used, as the state of that position has it. */
  accept(pinned: Pinned): (edge: Link) => boolean
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
    accept: (pinned) => (edge) =>
      edge.strength >= minStrength &&
      (wanted === undefined || wanted.has(edge.name)) &&
      (predicate === undefined || predicate(associationSubject(stateOf(pinned, edge)))),
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
): Promise<{ paths: Path[]; explored: number }> {
  const { paths, explored } = await findPaths(storedGraph(pinned), {
    ...request,
    accept: request.accept(pinned),
    source: source.ordinal,
    target: target.ordinal,
    maxExplored
  })
  return { paths: paths.map((path) => toPath(pinned, path)), explored }
}

function storedGraph(pinned: Pinned): PathGraph<Link> {
  return {
    edges: (ordinal, direction) =>
      pinned.fewLinks(ordinal, direction) ?? pinned.links(ordinal, direction),
    fetch: async (ordinals, direction) => pinned.fetchLinks(ordinals, direction)
  }
}

function stateOf(pinned: Pinned, edge: Link): AssociationState {
  const { source, target, name, key } = edge
  const [from, to] = [pinned.concept(source), pinned.concept(target)]
  // Where there are few at either end, they are in the cache when the next path leads here.
  const few =
    (from && pinned.fewAssociations(from, 'out')) ?? (to && pinned.fewAssociations(to, 'in'))
  const state =
    few === undefined
      ? from && to && pinned.association(from, to, name, key ?? '')
      : few.find((one) => isOf(one, edge))
  assert(state !== undefined, 'an association that was walked is there')
  return state
}

function isOf({ source, target, name, key }: AssociationState, edge: Link): boolean {
  const isBetween = source.ordinal === edge.source && target.ordinal === edge.target
  return isBetween && name === edge.name && key === edge.key
}

function toPath(pinned: Pinned, path: FoundPath<Link>): Path {
  const concepts = path.ordinals.map((ordinal) => pinned.concept(ordinal))
  const found = concepts.filter((concept) => concept !== undefined)
  const associations = path.edges.map((edge, i) => {
    const state = stateOf(pinned, edge)
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
