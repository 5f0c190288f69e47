/** Stored states as the public API gives them out. */
import { decodeMetadata } from '../checks/metadata.ts'
import type { AssociationEnd } from '../log/event.ts'
import { otherEnd } from '../projections/pinned.ts'
import type { AssociationState, ConceptState } from '../projections/state.ts'
import type { Side } from '../projections/tables/keys.ts'
import type { Association, Concept } from '../types.ts'
import { encodeCursor } from './cursor.ts'
import type { WhereSubject } from './where.ts'

export function toConcept(state: ConceptState): Concept {
  const { key, type, data } = state
  return {
    id: state.id,
    ...(key === undefined ? {} : { key }),
    ...(type === undefined ? {} : { type }),
    content: state.content,
    // A copy of its own: what the caller does to it must not reach the overlay.
    ...(data === undefined ? {} : { data: Uint8Array.from(data) }),
    strength: state.strength,
    confidence: state.confidence,
    metadata: decodeMetadata(state.metadata),
    hasVector: state.revision > 0,
    version: state.version,
    createdAt: state.createdAt,
    updatedAt: state.updatedAt,
    position: state.position,
    ...(state.stub ? { stub: true } : {})
  }
}

/** An association as seen from the end that `side` leaves. */
export function toAssociation(
  state: AssociationState,
  side: Side,
  otherKey: string | undefined
): Association {
  const { source, target, key } = state
  const other: AssociationEnd = otherEnd(state, side)
  return {
    source: source.id,
    target: target.id,
    type: state.name,
    ...(key === undefined ? {} : { key }),
    other: { id: other.id, ...(otherKey === undefined ? {} : { key: otherKey }) },
    strength: state.strength,
    confidence: state.confidence,
    metadata: decodeMetadata(state.metadata),
    version: state.version,
    createdAt: state.createdAt,
    updatedAt: state.updatedAt,
    position: state.position,
    cursor: encodeCursor(state, side)
  }
}

/** What a `where` sees of a concept. Metadata is decoded only if a condition asks for it. */
export function conceptSubject(state: ConceptState): WhereSubject {
  return new Subject(state, state.type)
}

export function associationSubject(state: AssociationState): WhereSubject {
  return new Subject(state, state.name)
}

class Subject implements WhereSubject {
  readonly type: string | undefined
  readonly #state: ConceptState | AssociationState

  constructor(state: ConceptState | AssociationState, type: string | undefined) {
    this.#state = state
    this.type = type
  }

  get strength(): number {
    return this.#state.strength
  }

  get confidence(): number {
    return this.#state.confidence
  }

  get createdAt(): number {
    return this.#state.createdAt
  }

  get updatedAt(): number {
    return this.#state.updatedAt
  }

  get metadata(): Record<string, unknown> {
    return decodeMetadata(this.#state.metadata)
  }
}
