/**
 * Writes the events that an import makes by the million, without an array of fields between; the
 * layout is that of event.ts, and what it encodes byte for byte.
 */
import type { MessageWriter } from '../storage/message-writer.ts'
import {
  ASSOCIATION_FIXED,
  type AssociationChanged,
  type AssociationEnd,
  CODES,
  CONCEPT_FIXED,
  type ConceptChanged,
  encodeEvent,
  FIELDS,
  type LogEvent,
  newestVersion
} from './event.ts'

export function writeEvent(writer: MessageWriter, event: LogEvent): void {
  switch (event.type) {
    case 'concept-learned':
    case 'concept-reinforced':
    case 'concept-revised':
      writeConcept(writer, event)
      return
    case 'association-created':
    case 'association-reinforced':
    case 'association-revised':
      writeAssociation(writer, event)
      return
    case 'concept-forgotten':
    case 'association-removed':
    case 'vectors-declared':
    case 'commit-noted':
    case 'event-quarantined':
    case 'event-released':
      writer.value(encodeEvent(event))
  }
}

function writeConcept(writer: MessageWriter, event: ConceptChanged): void {
  const { fields } = event
  const { key, type, content, data, strength, confidence, metadata, vector, stub } = fields
  let mask = 0
  let count = 0
  if (key !== undefined) mask |= FIELDS.key
  if (type !== undefined) mask |= FIELDS.type
  if (content !== undefined) mask |= FIELDS.content
  if (data !== undefined) mask |= FIELDS.data
  if (strength !== undefined) mask |= FIELDS.strength
  if (confidence !== undefined) mask |= FIELDS.confidence
  if (metadata !== undefined) mask |= FIELDS.metadata
  if (vector !== undefined) mask |= FIELDS.vector
  if (stub !== undefined) mask |= FIELDS.stub
  for (let bits = mask; bits !== 0; bits &= bits - 1) count++

  writer.array(CONCEPT_FIXED + count)
  writer.number(CODES[event.type])
  writer.number(newestVersion(event.type))
  writer.number(event.ordinal)
  writer.hexId(event.id)
  writer.number(event.version)
  writer.boolean(event.created)
  writer.number(mask)
  if (key !== undefined) writer.text(key)
  if (type !== undefined) writeText(writer, type)
  if (content !== undefined) writer.text(content)
  if (data !== undefined) writeBytes(writer, data)
  if (strength !== undefined) writer.number(strength)
  if (confidence !== undefined) writer.number(confidence)
  if (metadata !== undefined) writeBytes(writer, metadata)
  if (vector !== undefined) writeVector(writer, vector)
  if (stub !== undefined) writer.boolean(stub)
}

function writeVector(writer: MessageWriter, vector: ConceptChanged['fields']['vector']): void {
  if (vector == null) {
    writer.nil()
    return
  }
  writer.array(3)
  writer.text(vector.space)
  writer.number(vector.revision)
  writer.bytes(vector.bytes)
}

function writeAssociation(writer: MessageWriter, event: AssociationChanged): void {
  const { strength, confidence, metadata } = event.fields
  let mask = 0
  let count = 0
  if (strength !== undefined) mask |= FIELDS.strength
  if (confidence !== undefined) mask |= FIELDS.confidence
  if (metadata !== undefined) mask |= FIELDS.metadata
  for (let bits = mask; bits !== 0; bits &= bits - 1) count++

  writer.array(ASSOCIATION_FIXED + count)
  writer.number(CODES[event.type])
  writer.number(newestVersion(event.type))
  writeEnd(writer, event.source)
  writeEnd(writer, event.target)
  writer.text(event.name)
  writeText(writer, event.key)
  writer.number(event.version)
  writer.boolean(event.created)
  writer.number(mask)
  if (strength !== undefined) writer.number(strength)
  if (confidence !== undefined) writer.number(confidence)
  if (metadata !== undefined) writeBytes(writer, metadata)
}

function writeEnd(writer: MessageWriter, end: AssociationEnd): void {
  writer.number(end.ordinal)
  writer.hexId(end.id)
  writeText(writer, end.key)
}

function writeText(writer: MessageWriter, text: string | null | undefined): void {
  if (text == null) writer.nil()
  else writer.text(text)
}

function writeBytes(writer: MessageWriter, bytes: Uint8Array | null): void {
  if (bytes === null) writer.nil()
  else writer.bytes(bytes)
}
