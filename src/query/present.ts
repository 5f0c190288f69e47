/** Stored states as the public API gives them out. */
import { decodeMetadata } from '../checks/metadata.ts'
import type { AssociationEnd } from '../log/event.ts'
import { otherEnd } from '../projections/pinned.ts'
import type { AssociationState, ConceptState } from '../projections/state.ts'
import type { Side } from '../projections/tables/keys.ts'
import type { Association, Concept } from '../types.ts'
import { encodeCursor } from './cursor.ts'
import { metadataOf } from './metadata-of.ts'
import type { WhereSubject } from './where.ts'

export function toConcept(state: ConceptState): Concept {
  const { key, type, data } = state
  // In the order in which they are told. Spreading what may be absent takes as long as all the rest.
  const concept = { id: state.id } as Concept
  if (key !== undefined) concept.key = key
  if (type !== undefined) concept.type = type
  concept.content = state.content
  // A copy of its own: what the caller does to it must not reach the overlay.
  if (data !== undefined) concept.data = Uint8Array.from(data)
  concept.strength = state.strength
  concept.confidence = state.confidence
  concept.metadata = metadataOf(state)
  concept.hasVector = state.revision > 0
  concept.version = state.version
  concept.createdAt = state.createdAt
  concept.updatedAt = state.updatedAt
  concept.position = state.position
  if (state.stub) concept.stub = true
  return concept
}

/** An association as seen from the end that `side` leaves. */
export function toAssociation(
  state: AssociationState,
  side: Side,
  otherKey: string | undefined
): Association {
  const { source, target, key } = state
  const other: AssociationEnd = otherEnd(state, side)
  const association = { source: source.id, target: target.id, type: state.name } as Association
  if (key !== undefined) association.key = key
  association.other = otherKey === undefined ? { id: other.id } : { id: other.id, key: otherKey }
  association.strength = state.strength
  association.confidence = state.confidence
  association.metadata = metadataOf(state)
  association.version = state.version
  association.createdAt = state.createdAt
  association.updatedAt = state.updatedAt
  association.position = state.position
  association.cursor = encodeCursor(state, side)
  return association
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
