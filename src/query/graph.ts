/** The store's associations as the graph that path finding walks. */
import { assert } from '../assert.ts'
import { StoreError } from '../errors.ts'
import type { Limits } from '../options.ts'
import type { Pinned } from '../projections/pinned.ts'
import type { AssociationState, ConceptState } from '../projections/state.ts'
import type { Side } from '../projections/tables/keys.ts'
import type { Link } from '../projections/tables/links.ts'
import type { Path, PathOptions } from '../types.ts'
import { type FoundPath, findPaths, type PathGraph, type PathQuery } from './paths.ts'
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
  accept(pinned: Pinned): PathQuery['accept']
  signal: AbortSignal | undefined
}

const DEPTH = 6
const PATHS = 10
const PATHS_MAX = 1000
const NAMES = ['maxDepth', 'direction', 'types', 'where', 'minStrength', 'order', 'limit']

/**
 * @param most How many paths at most, instead of what the options say.
 * @throws StoreError `QUERY_INVALID`, `LIMIT_EXCEEDED`.
 */
export function checkPathOptions(
  options: PathOptions & { limit?: number },
  limits: Readonly<Limits>,
  most?: number
): PathRequest {
  checkOptions(options, NAMES)
  const { signal } = options
  const types = checkTypes(options.types)
  const minStrength = checkFraction('minStrength', options.minStrength) ?? 0
  const predicate = options.where === undefined ? undefined : compileWhere(options.where)
  const wanted = types === undefined ? undefined : new Set(types)
  const isFree = minStrength === 0 && wanted === undefined && predicate === undefined
  return {
    maxDepth: checkDepth(options.maxDepth, limits.pathDepth),
    direction: checkDirection(options.direction),
    order: checkOrder(options.order),
    limit: most ?? checkWhole('limit', options.limit, 1, PATHS_MAX) ?? PATHS,
    accept: (pinned) => {
      if (isFree) return undefined
      return (links, index) =>
        links.strengthAt(index) >= minStrength &&
        (wanted === undefined || wanted.has(links.nameAt(index))) &&
        (predicate === undefined || predicate(associationSubject(stateOf(pinned, links.at(index)))))
    },
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
  // Named one by one: copying them from the request takes as long as a short search.
  const { paths, explored } = await findPaths(storedGraph(pinned), {
    source: source.ordinal,
    target: target.ordinal,
    direction: request.direction,
    maxDepth: request.maxDepth,
    order: request.order,
    limit: request.limit,
    accept: request.accept(pinned),
    maxExplored,
    signal: request.signal
  })
  return { paths: paths.map((path) => toPath(pinned, path)), explored }
}

function storedGraph(pinned: Pinned): PathGraph {
  return {
    few: (ordinal, direction) => pinned.fewLinks(ordinal, direction),
    pieces: (ordinal, direction) => pinned.links(ordinal, direction),
    fetch: async (ordinals, direction) => pinned.fetchLinks(ordinals, direction)
  }
}

function stateOf(pinned: Pinned, edge: Link): AssociationState {
  const [source, target] = [pinned.concept(edge.source), pinned.concept(edge.target)]
  const state = source && target && stateBetween(pinned, source, target, edge)
  assert(state !== undefined, 'an association that was walked is there')
  return state
}

/** @param source The source of the edge, and so its target: not where a path begins or ends. */
function stateBetween(
  pinned: Pinned,
  source: ConceptState,
  target: ConceptState,
  edge: Link
): AssociationState | undefined {
  // Where there are few at either end, they are in the cache when the next path leads here.
  const few = pinned.fewAssociations(source, 'out') ?? pinned.fewAssociations(target, 'in')
  if (few === undefined) return pinned.association(source, target, edge.name, edge.key ?? '')
  return few.find((one) => isOf(one, edge))
}

function isOf({ source, target, name, key }: AssociationState, edge: Link): boolean {
  const isBetween = source.ordinal === edge.source && target.ordinal === edge.target
  return isBetween && name === edge.name && key === edge.key
}

function toPath(pinned: Pinned, { ordinals, edges, confidence }: FoundPath): Path {
  const path: Path = { concepts: [], keys: [], associations: [], confidence }
  let from: ConceptState | undefined
  for (const [i, ordinal] of ordinals.entries()) {
    const to = pinned.concept(ordinal)
    assert(to !== undefined, 'a concept that a path leads over is there')
    path.concepts.push(to.id)
    path.keys.push(to.key)
    const edge = edges[i - 1]
    if (from !== undefined && edge !== undefined) {
      // Seen from the concept where this step begins.
      const side: Side = edge.source === from.ordinal ? 'out' : 'in'
      const [source, target] = side === 'out' ? [from, to] : [to, from]
      const state = stateBetween(pinned, source, target, edge)
      assert(state !== undefined, 'an association that was walked is there')
      path.associations.push(toAssociation(state, side, to.key))
    }
    from = to
  }
  return path
}
