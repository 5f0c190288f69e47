/** Walks the associations of one concept: filters, directions, cursors. */
import type { ConceptId } from '../ids.ts'
import type { AssociationEnd } from '../log/event.ts'
import { compareSortKeys, compareUtf8, type Seek, type SortKey } from '../projections/order.ts'
import { isBehind, type Pinned, stateSortKey } from '../projections/pinned.ts'
import type { AssociationState } from '../projections/state.ts'
import type { Side } from '../projections/tables/keys.ts'
import type { Direction, NeighborOptions } from '../types.ts'
import { type CursorPlace, cursorInvalid, decodeCursor } from './cursor.ts'
import { associationSubject } from './present.ts'
import {
  checkDirection,
  checkFraction,
  checkInclude,
  checkOptions,
  checkTypes,
  checkWhole
} from './read-options.ts'
import { compileWhere, type Predicate } from './where.ts'

export interface AdjacencyQuery {
  direction: Direction
  /** Sorted, without doubles; `undefined` for all. */
  types: readonly string[] | undefined
  accept: Predicate | undefined
  minStrength: number | undefined
  limit: number
  after: CursorPlace | undefined
  include: { concept: boolean; vector: boolean }
}

/** No id sorts before it. */
const FIRST_ID = '0'.repeat(32) as ConceptId

const NAMES = ['direction', 'types', 'where', 'minStrength', 'limit', 'after', 'include']

/** @throws StoreError `QUERY_INVALID`, `CURSOR_INVALID`. */
export function checkNeighborOptions(options: NeighborOptions): AdjacencyQuery {
  checkOptions(options, NAMES)
  const { after } = options
  if (after !== undefined && typeof after !== 'string') throw cursorInvalid(after)
  return {
    direction: checkDirection(options.direction),
    types: checkTypes(options.types)?.toSorted(compareUtf8),
    accept: options.where === undefined ? undefined : compileWhere(options.where),
    minStrength: checkFraction('minStrength', options.minStrength),
    limit:
      checkWhole('limit', options.limit, 1, Number.MAX_SAFE_INTEGER) ?? Number.MAX_SAFE_INTEGER,
    after: after === undefined ? undefined : decodeCursor(after),
    include: checkInclude(options.include)
  }
}

export interface Seen {
  state: AssociationState
  /** The side of the asked concept that the association leaves. */
  side: Side
}

/**
 * What passes of a concept's associations, all at once; `undefined` where they are to be walked:
 * where they are many, have just changed, or both sides are asked for.
 */
export function fewOf(
  pinned: Pinned,
  concept: AssociationEnd,
  query: AdjacencyQuery
): Seen[] | undefined {
  const { direction, types, after, limit } = query
  if (direction === 'both') return undefined
  const few = pinned.fewAssociations(concept, direction)
  if (few === undefined) return undefined
  const seek = after === undefined ? undefined : seekBehind(after, direction)
  const seen: Seen[] = []
  for (const state of few) {
    if (types !== undefined && !types.includes(state.name)) continue
    if (seek !== undefined && !isBehind(stateSortKey(state, direction), seek)) continue
    if (!passes(state, query)) continue
    seen.push({ state, side: direction })
    if (seen.length === limit) break
  }
  return seen
}

/** What passes of one concept's associations, in order. Lazily; the caller sets the pace. */
export function* adjacency(
  pinned: Pinned,
  concept: AssociationEnd,
  query: AdjacencyQuery
): Generator<Seen | undefined> {
  const { ordinal, id, key } = concept
  const self: AssociationEnd = { ordinal, id, key }
  for (const seen of inOrder(pinned, self, query)) {
    // `undefined` tells the caller that a step was taken, so that it can rest.
    yield passes(seen.state, query) ? seen : undefined
  }
}

function passes(state: AssociationState, query: AdjacencyQuery): boolean {
  if (query.minStrength !== undefined && state.strength < query.minStrength) return false
  return query.accept === undefined || query.accept(associationSubject(state))
}

function* inOrder(pinned: Pinned, self: AssociationEnd, query: AdjacencyQuery): Generator<Seen> {
  const { direction, types, after } = query
  if (direction !== 'both') {
    yield* oneSide(pinned, self, direction, types, after)
    return
  }
  yield* merged(
    oneSide(pinned, self, 'out', types, after),
    withoutLoops(oneSide(pinned, self, 'in', types, after), self)
  )
}

/** Of a type that was asked for, all follow each other: seek to it, and leave behind it. */
function* oneSide(
  pinned: Pinned,
  self: AssociationEnd,
  side: Side,
  types: readonly string[] | undefined,
  after: CursorPlace | undefined
): Generator<Seen> {
  const seek = after === undefined ? undefined : seekBehind(after, side)
  const few = pinned.fewAssociations(self, side)
  if (few !== undefined) {
    for (const state of few) {
      if (types !== undefined && !types.includes(state.name)) continue
      if (seek === undefined || isBehind(stateSortKey(state, side), seek)) yield { state, side }
    }
    return
  }
  if (types === undefined) {
    for (const state of pinned.associations(self, side, seek)) yield { state, side }
    return
  }
  for (const name of types) {
    const first: SortKey = { name, otherId: FIRST_ID, key: '' }
    const isPast = seek !== undefined && compareSortKeys(seek.key, first) > 0
    const from = isPast ? seek : { key: first, inclusive: true }
    for (const state of pinned.associations(self, side, from)) {
      if (state.name !== name) break
      yield { state, side }
    }
  }
}

/** Where this side goes on. At one place `out` comes first, so `in` may still stand there. */
function seekBehind(after: CursorPlace, side: Side): Seek {
  return { key: after, inclusive: after.side === 'out' && side === 'in' }
}

/** A loop leaves and enters: told once, as leaving. */
function* withoutLoops(list: Generator<Seen>, self: AssociationEnd): Generator<Seen> {
  for (const seen of list) {
    if (seen.state.source.ordinal !== self.ordinal) yield seen
  }
}

function* merged(left: Generator<Seen>, right: Generator<Seen>): Generator<Seen> {
  let a = left.next()
  let b = right.next()
  while (!a.done && !b.done) {
    const order = compareSortKeys(
      stateSortKey(a.value.state, a.value.side),
      stateSortKey(b.value.state, b.value.side)
    )
    if (order <= 0) {
      yield a.value
      a = left.next()
    } else {
      yield b.value
      b = right.next()
    }
  }
  for (; !a.done; a = left.next()) yield a.value
  for (; !b.done; b = right.next()) yield b.value
}
