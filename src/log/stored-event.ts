/** Events of the log as the public API gives them out, whatever version they were written in. */
import { decodeMetadata } from '../checks/metadata.ts'
import type { StoredEvent } from '../types.ts'
import {
  type AssociationChanged,
  type AssociationFields,
  type ConceptFields,
  type LogEvent,
  versionOf
} from './event.ts'
import type { LogCommit } from './frame.ts'
import { logDamaged } from './reader.ts'

export function toStoredEvent(commit: LogCommit, index: number, event: LogEvent): StoredEvent {
  const position = commit.first + index
  const { type } = event
  const stored: StoredEvent = {
    position,
    time: commit.time,
    type,
    version: versionOf(event),
    data: givenOut(event, position),
    commit: { first: commit.first, last: commit.first + commit.events.length - 1 }
  }
  if (commit.meta === undefined) return stored
  const { subject, causation, correlation, headers } = commit.meta
  if (subject !== undefined) stored.subject = subject
  if (causation !== undefined) stored.causation = causation
  if (correlation !== undefined) stored.correlation = correlation
  if (headers !== undefined) stored.headers = headers
  return stored
}

/** A frame may be as it was written and hold what cannot be given out: nonsense as metadata. */
function givenOut(event: LogEvent, position: number): Record<string, unknown> {
  try {
    return dataOf(event)
  } catch (cause) {
    throw logDamaged(position, position, 'malformed event', cause)
  }
}

/** Whether an event is about a concept: it, or an association of it. */
export function isAbout(event: LogEvent, id: string): boolean {
  switch (event.type) {
    case 'concept-learned':
    case 'concept-reinforced':
    case 'concept-revised':
    case 'concept-forgotten':
      return event.id === id
    case 'association-created':
    case 'association-reinforced':
    case 'association-revised':
    case 'association-removed':
      return event.source.id === id || event.target.id === id
    case 'vectors-declared':
    case 'commit-noted':
    case 'event-quarantined':
    case 'event-released':
      return false
  }
}

type Shown = Record<string, unknown>

function dataOf(event: LogEvent): Shown {
  switch (event.type) {
    case 'concept-learned':
    case 'concept-reinforced':
    case 'concept-revised': {
      const { id, version, created } = event
      const shown: Shown = { id, version, created }
      addConceptFields(shown, event.fields)
      return shown
    }
    case 'concept-forgotten': {
      const { id, version, key } = event
      return key === undefined ? { id, version } : { id, version, key }
    }
    case 'association-created':
    case 'association-reinforced':
    case 'association-revised': {
      const shown = refOf(event)
      shown['created'] = event.created
      addAssociationFields(shown, event.fields)
      return shown
    }
    case 'association-removed':
      return refOf(event)
    case 'vectors-declared': {
      const { type: _, model, ...declaration } = event
      return { ...declaration, ...(model === undefined ? {} : { model }) }
    }
    case 'commit-noted':
      return {}
    case 'event-quarantined':
    case 'event-released': {
      const { type: _, storedVersion: __, ...shown } = event
      return shown
    }
  }
}

function refOf(
  event: Pick<AssociationChanged, 'source' | 'target' | 'name' | 'key' | 'version'>
): Shown {
  const { source, target, key } = event
  const shown: Shown = { source: source.id, target: target.id }
  if (source.key !== undefined) shown['sourceKey'] = source.key
  if (target.key !== undefined) shown['targetKey'] = target.key
  shown['type'] = event.name
  if (key !== undefined) shown['key'] = key
  shown['version'] = event.version
  return shown
}

/** One by one: copying what is left of an object takes as long as reading an event. */
function addConceptFields(shown: Shown, fields: ConceptFields): void {
  const { key, type, content, data, strength, confidence, metadata, vector, stub } = fields
  if (key !== undefined) shown['key'] = key
  if (type !== undefined) shown['type'] = type
  if (content !== undefined) shown['content'] = content
  if (strength !== undefined) shown['strength'] = strength
  if (confidence !== undefined) shown['confidence'] = confidence
  if (stub !== undefined) shown['stub'] = stub
  if (data !== undefined) shown['data'] = data === null ? null : Uint8Array.from(data)
  if (metadata !== undefined) shown['metadata'] = shownMetadata(metadata)
  if (vector !== undefined) {
    shown['embedding'] = vector === null ? null : toFloats(vector.bytes)
    if (vector !== null) shown['space'] = vector.space
  }
}

function addAssociationFields(shown: Shown, fields: AssociationFields): void {
  const { strength, confidence, metadata } = fields
  if (strength !== undefined) shown['strength'] = strength
  if (confidence !== undefined) shown['confidence'] = confidence
  if (metadata !== undefined) shown['metadata'] = shownMetadata(metadata)
}

function shownMetadata(metadata: Uint8Array | null): unknown {
  return metadata === null ? null : decodeMetadata(metadata)
}

/** A copy, because the bytes may lie at an odd offset and belong to the frame. */
function toFloats(bytes: Uint8Array): Float32Array {
  return new Float32Array(Uint8Array.from(bytes).buffer)
}
