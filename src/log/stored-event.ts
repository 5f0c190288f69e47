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
  const { subject, causation, correlation, headers } = commit.meta ?? {}
  return {
    position: commit.first + index,
    time: commit.time,
    type: event.type,
    version: versionOf(event),
    data: givenOut(event, commit.first + index),
    commit: { first: commit.first, last: commit.first + commit.events.length - 1 },
    ...(subject === undefined ? {} : { subject }),
    ...(causation === undefined ? {} : { causation }),
    ...(correlation === undefined ? {} : { correlation }),
    ...(headers === undefined ? {} : { headers })
  }
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
      return false
  }
}

function dataOf(event: LogEvent): Record<string, unknown> {
  switch (event.type) {
    case 'concept-learned':
    case 'concept-reinforced':
    case 'concept-revised': {
      const { id, version, created, fields } = event
      return { id, version, created, ...conceptFields(fields) }
    }
    case 'concept-forgotten':
      return {
        id: event.id,
        version: event.version,
        ...(event.key === undefined ? {} : { key: event.key })
      }
    case 'association-created':
    case 'association-reinforced':
    case 'association-revised':
      return { ...refOf(event), created: event.created, ...associationFields(event.fields) }
    case 'association-removed':
      return refOf(event)
    case 'vectors-declared': {
      const { type: _, model, ...declaration } = event
      return { ...declaration, ...(model === undefined ? {} : { model }) }
    }
    case 'commit-noted':
      return {}
  }
}

function refOf(
  event: Pick<AssociationChanged, 'source' | 'target' | 'name' | 'key' | 'version'>
): Record<string, unknown> {
  const { source, target, name, key, version } = event
  return {
    source: source.id,
    target: target.id,
    ...(source.key === undefined ? {} : { sourceKey: source.key }),
    ...(target.key === undefined ? {} : { targetKey: target.key }),
    type: name,
    ...(key === undefined ? {} : { key }),
    version
  }
}

function conceptFields(fields: ConceptFields): Record<string, unknown> {
  const { metadata, vector, data, ...rest } = fields
  const shown: Record<string, unknown> = { ...rest }
  if (data !== undefined) shown['data'] = data === null ? null : Uint8Array.from(data)
  if (metadata !== undefined) {
    shown['metadata'] = metadata === null ? null : decodeMetadata(metadata)
  }
  if (vector !== undefined) {
    shown['embedding'] = vector === null ? null : toFloats(vector.bytes)
    if (vector !== null) shown['space'] = vector.space
  }
  return shown
}

function associationFields(fields: AssociationFields): Record<string, unknown> {
  const { metadata, ...rest } = fields
  if (metadata === undefined) return rest
  return { ...rest, metadata: metadata === null ? null : decodeMetadata(metadata) }
}

/** A copy, because the bytes may lie at an odd offset and belong to the frame. */
function toFloats(bytes: Uint8Array): Float32Array {
  return new Float32Array(Uint8Array.from(bytes).buffer)
}
