/**
 * Reads the events that an import makes by the million, without an array of fields between; the
 * layout is that of event.ts, and the other side of event-writer.ts.
 */
import type { ConceptId } from '../ids.ts'
import type { MessageReader, Span } from '../storage/message-reader.ts'
import {
  ASSOCIATION_FIXED,
  type AssociationChanged,
  type AssociationEnd,
  type AssociationFields,
  CODES,
  CONCEPT_FIXED,
  type ConceptChanged,
  type ConceptFields,
  decodeEvent,
  type EventVector,
  FIELDS,
  type LogEvent,
  MalformedEvent,
  newestVersion,
  TYPES
} from './event.ts'

const ID_BYTES = 16
const VECTOR_PARTS = 3
const CONCEPT_FIELDS = Object.values(FIELDS).reduce<number>((mask, bit) => mask | bit, 0)
const ASSOCIATION_FIELDS = FIELDS.strength | FIELDS.confidence | FIELDS.metadata

/**
 * The next event, its shape checked: a checksum proves that the bytes are those that were written,
 * not that they were written by this version of this program.
 *
 * @throws MalformedEvent, MalformedMessage
 */
export function readEvent(reader: MessageReader): LogEvent {
  const start = reader.at
  const length = reader.array()
  const type = TYPES[reader.integer()]
  if (type !== undefined && reader.integer() === newestVersion(type)) {
    switch (type) {
      case 'concept-learned':
      case 'concept-reinforced':
      case 'concept-revised':
        return readConcept(reader, type, length)
      case 'association-created':
      case 'association-reinforced':
      case 'association-revised':
        return readAssociation(reader, type, length)
      case 'concept-forgotten':
      case 'association-removed':
      case 'vectors-declared':
      case 'commit-noted':
      case 'event-quarantined':
      case 'event-released':
    }
  }
  // Rare ones, older ones and those that nobody knows.
  reader.goTo(start)
  return decodeEvent(reader.value())
}

function readConcept(
  reader: MessageReader,
  type: ConceptChanged['type'],
  length: number
): ConceptChanged {
  const ordinal = reader.integer()
  const id = readId(reader)
  const version = reader.integer()
  const created = reader.boolean()
  const mask = reader.integer()
  checkMask(mask, CONCEPT_FIELDS, length - CONCEPT_FIXED)
  const fields: ConceptFields = {}
  if (mask & FIELDS.key) fields.key = reader.text()
  if (mask & FIELDS.type) fields.type = readText(reader) ?? null
  if (mask & FIELDS.content) fields.content = reader.text()
  if (mask & FIELDS.data) fields.data = readBytes(reader)
  if (mask & FIELDS.strength) fields.strength = reader.number()
  if (mask & FIELDS.confidence) fields.confidence = reader.number()
  if (mask & FIELDS.metadata) fields.metadata = readBytes(reader)
  if (mask & FIELDS.vector) fields.vector = readVector(reader)
  if (mask & FIELDS.stub) fields.stub = reader.boolean()
  return { type, ordinal, id, version, created, fields }
}

function readAssociation(
  reader: MessageReader,
  type: AssociationChanged['type'],
  length: number
): AssociationChanged {
  const source = readEnd(reader)
  const target = readEnd(reader)
  const name = reader.text()
  const key = readText(reader)
  const version = reader.integer()
  const created = reader.boolean()
  const mask = reader.integer()
  checkMask(mask, ASSOCIATION_FIELDS, length - ASSOCIATION_FIXED)
  const fields: AssociationFields = {}
  if (mask & FIELDS.strength) fields.strength = reader.number()
  if (mask & FIELDS.confidence) fields.confidence = reader.number()
  if (mask & FIELDS.metadata) fields.metadata = readBytes(reader)
  return { type, source, target, name, key, version, created, fields }
}

function readEnd(reader: MessageReader): AssociationEnd {
  return { ordinal: reader.integer(), id: readId(reader), key: readText(reader) }
}

function readId(reader: MessageReader): ConceptId {
  // The digits of 16 bytes are an id by their making.
  return reader.hexId() as ConceptId
}

function readText(reader: MessageReader): string | undefined {
  return reader.nil() ? undefined : reader.text()
}

function readBytes(reader: MessageReader): Uint8Array | null {
  return reader.nil() ? null : reader.binary()
}

function readVector(reader: MessageReader): EventVector | null {
  if (reader.nil()) return null
  checkParts(reader.array())
  return { space: reader.text(), revision: reader.integer(), bytes: reader.binary() }
}

/** A concept that was learned under a new ordinal, as its event lies in the body of a frame. */
export class LearnedConcept {
  ordinal = 0
  readonly id: Span = newSpan()
  version = 0
  readonly key: Span = newSpan()
  readonly type: Span = newSpan()
  readonly content: Span = newSpan()
  readonly data: Span = newSpan()
  strength = 1
  confidence = 1
  readonly metadata: Span = newSpan()
  /** 0 without a vector. */
  revision = 0
  isStub = false
  /** Nobody asks where the space and the numbers of a vector lie. */
  readonly #passed: Span = newSpan()

  /**
   * Reads the next event if it is one of those: nothing of it is made, it only is known where it
   * lies. Else reads nothing.
   *
   * @throws MalformedEvent, MalformedMessage
   */
  read(reader: MessageReader): boolean {
    const start = reader.at
    const length = reader.array()
    if (reader.integer() === LEARNED && reader.integer() === LEARNED_VERSION) {
      this.ordinal = upTo(ORDINAL_MAX, reader.integer())
      readIdAt(reader, this.id)
      this.version = upTo(COUNT_MAX, reader.integer())
      if (reader.boolean()) {
        this.#readFields(reader, length)
        return true
      }
    }
    reader.goTo(start)
    return false
  }

  #readFields(reader: MessageReader, length: number): void {
    const mask = reader.integer()
    checkMask(mask, CONCEPT_FIELDS, length - CONCEPT_FIXED)
    textAt(reader, this.key, (mask & FIELDS.key) !== 0)
    textAt(reader, this.type, (mask & FIELDS.type) !== 0 && !reader.nil())
    // What is not there ends at 0.
    upTo(NAME_MAX, Math.max(0, this.key.end - this.key.at, this.type.end - this.type.at))
    textAt(reader, this.content, (mask & FIELDS.content) !== 0)
    binaryAt(reader, this.data, (mask & FIELDS.data) !== 0 && !reader.nil())
    this.strength = mask & FIELDS.strength ? reader.number() : 1
    this.confidence = mask & FIELDS.confidence ? reader.number() : 1
    binaryAt(reader, this.metadata, (mask & FIELDS.metadata) !== 0 && !reader.nil())
    this.revision = mask & FIELDS.vector && !reader.nil() ? this.#readVector(reader) : 0
    this.isStub = (mask & FIELDS.stub) !== 0 && reader.boolean()
  }

  #readVector(reader: MessageReader): number {
    checkParts(reader.array())
    reader.textAt(this.#passed)
    const revision = upTo(COUNT_MAX, reader.integer())
    reader.binaryAt(this.#passed)
    return revision
  }
}

/** What a row has room for; names are limited far below that. */
const ORDINAL_MAX = 2 ** 48 - 1
const COUNT_MAX = 2 ** 32 - 1
const NAME_MAX = 2 ** 16 - 1

/** A checksum says that a number was written, not that it can be one of these. */
function upTo(max: number, value: number): number {
  if (value < 0 || value > max) throw new MalformedEvent(`${value} where at most ${max} can be`)
  return value
}

const LEARNED = CODES['concept-learned']
const LEARNED_VERSION = newestVersion('concept-learned')

function newSpan(): Span {
  return { at: 0, end: 0 }
}

function readIdAt(reader: MessageReader, into: Span): void {
  reader.binaryAt(into)
  if (into.end - into.at !== ID_BYTES) throw new MalformedEvent('an id is not 16 bytes')
}

function textAt(reader: MessageReader, into: Span, isThere: boolean): void {
  if (isThere) reader.textAt(into)
  else into.end = 0
}

function binaryAt(reader: MessageReader, into: Span, isThere: boolean): void {
  if (isThere) reader.binaryAt(into)
  else into.end = 0
}

/** The mask names fields that there are, and as many as follow. */
function checkMask(mask: number, known: number, following: number): void {
  let named = 0
  for (let bits = mask; bits !== 0; bits &= bits - 1) named++
  if (mask > known || (mask & ~known) !== 0) throw new MalformedEvent(`unknown mask ${mask}`)
  if (named !== following) {
    throw new MalformedEvent(`${following} fields where the mask names ${named}`)
  }
}

function checkParts(parts: number): void {
  if (parts !== VECTOR_PARTS) throw new MalformedEvent(`a vector of ${parts} parts`)
}
