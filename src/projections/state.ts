/** The state that events fold into, one concept and one association at a time. */
import type { ConceptId } from '../ids.ts'
import type { AssociationChanged, AssociationEnd, ConceptChanged } from '../log/event.ts'

export interface ConceptState {
  ordinal: number
  id: ConceptId
  key: string | undefined
  type: string | undefined
  content: string
  data: Uint8Array | undefined
  strength: number
  confidence: number
  /** MessagePack; `undefined` is the empty object. */
  metadata: Uint8Array | undefined
  /** What reads know of the metadata; theirs alone. */
  members?: object | undefined
  /** Revision of its vector; 0 for none. A hit of the index counts only if it names this one. */
  revision: number
  /** Position of the event that carries that vector; 0 for none. */
  vectorPosition: number
  version: number
  createdAt: number
  updatedAt: number
  position: number
  stub: boolean
}

export interface AssociationState {
  source: AssociationEnd
  target: AssociationEnd
  name: string
  key: string | undefined
  strength: number
  confidence: number
  metadata: Uint8Array | undefined
  /** What reads know of the metadata; theirs alone. */
  members?: object | undefined
  version: number
  createdAt: number
  updatedAt: number
  position: number
}

/** Where and when an event happened. */
export interface At {
  position: number
  time: number
}

/**
 * Folds one event into a concept. Pure (invariant 6): the same state and event always give the
 * same state. The tables, the overlay and a rebuild all go through here.
 */
export function foldConcept(
  before: ConceptState | undefined,
  event: ConceptChanged,
  at: At
): ConceptState {
  const { fields } = event
  const kept = event.created ? undefined : before
  const state: ConceptState = {
    ordinal: event.ordinal,
    id: event.id,
    key: fields.key ?? kept?.key,
    type: changed(fields.type, kept?.type),
    content: fields.content ?? kept?.content ?? '',
    data: changed(fields.data, kept?.data),
    strength: fields.strength ?? kept?.strength ?? 1,
    confidence: fields.confidence ?? kept?.confidence ?? 1,
    metadata: changed(fields.metadata, kept?.metadata),
    members: undefined,
    revision: kept?.revision ?? 0,
    vectorPosition: kept?.vectorPosition ?? 0,
    version: event.version,
    createdAt: kept?.createdAt ?? at.time,
    updatedAt: at.time,
    position: at.position,
    stub: fields.stub ?? kept?.stub ?? false
  }
  if (fields.vector !== undefined) {
    state.revision = fields.vector?.revision ?? 0
    state.vectorPosition = fields.vector === null ? 0 : at.position
  }
  return state
}

/** Folds one event into an association. Pure, as {@link foldConcept}. */
export function foldAssociation(
  before: AssociationState | undefined,
  event: AssociationChanged,
  at: At
): AssociationState {
  const { fields } = event
  const kept = event.created ? undefined : before
  return {
    source: event.source,
    target: event.target,
    name: event.name,
    key: event.key,
    strength: fields.strength ?? kept?.strength ?? 1,
    confidence: fields.confidence ?? kept?.confidence ?? 1,
    metadata: changed(fields.metadata, kept?.metadata),
    members: undefined,
    version: event.version,
    createdAt: kept?.createdAt ?? at.time,
    updatedAt: at.time,
    position: at.position
  }
}

/** Absent keeps, null clears. */
function changed<T>(value: T | null | undefined, kept: T | undefined): T | undefined {
  return value === undefined ? kept : (value ?? undefined)
}
