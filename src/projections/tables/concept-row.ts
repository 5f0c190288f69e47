/**
 * How a concept lies in its row. Little endian: layout u8, flags u16, id 16 bytes, version u32,
 * position 6 bytes, createdAt 6 bytes, then as the flags say: updatedAt 6 bytes, strength f64,
 * confidence f64, revision u32 and position of the vector 6 bytes, key (length u16, UTF-8),
 * type (length u16, UTF-8), data (length u32), metadata (length u32); then the content, UTF-8.
 *
 * A generic encoding takes twice as long to read, and reading one row is most of a `get`.
 */
import type { ConceptId } from '../../ids.ts'
import type { LearnedConcept } from '../../log/event-reader.ts'
import type { Span } from '../../storage/message-reader.ts'
import type { At, ConceptState } from '../state.ts'

const LAYOUT = 1
const UPDATED = 1
const STRENGTH = 2
const CONFIDENCE = 4
const VECTOR = 8
const KEY = 16
const TYPE = 32
const DATA = 64
const METADATA = 128
const STUB = 256

const ID_AT = 3
const VERSION_AT = 19
const POSITION_AT = 23
const CREATED_AT = 29
const FIXED_BYTES = 35
/** What the flags may add, but for texts and bytes. */
const OPTIONAL_BYTES = 6 + 8 + 8 + 10 + 2 + 2 + 4 + 4
/** Up to here a loop is faster than a call that leaves JavaScript. */
const LOOP_BYTES = 48
/** A code unit takes three bytes of UTF-8 at most. */
const UNIT_BYTES = 3

/** Room that is surely enough for a concept. */
export function conceptBytesMax({ key, type, content, data, metadata }: ConceptState): number {
  const units = content.length + (key?.length ?? 0) + (type?.length ?? 0)
  const bytes = (data?.length ?? 0) + (metadata?.length ?? 0)
  return FIXED_BYTES + OPTIONAL_BYTES + units * UNIT_BYTES + bytes
}

/** Writes a concept from `start` on, where there is room enough. @returns Where it ends. */
export function writeConcept(out: Buffer, start: number, state: ConceptState): number {
  const { key, type, data, metadata } = state
  let flags = state.stub ? STUB : 0
  out[start] = LAYOUT
  out.write(state.id, start + ID_AT, 16, 'hex')
  out.writeUInt32LE(state.version, start + VERSION_AT)
  writeU48(out, state.position, start + POSITION_AT)
  writeU48(out, state.createdAt, start + CREATED_AT)
  let at = start + FIXED_BYTES
  if (state.updatedAt !== state.createdAt) {
    flags |= UPDATED
    at = writeU48(out, state.updatedAt, at)
  }
  if (state.strength !== 1) {
    flags |= STRENGTH
    at = out.writeDoubleLE(state.strength, at)
  }
  if (state.confidence !== 1) {
    flags |= CONFIDENCE
    at = out.writeDoubleLE(state.confidence, at)
  }
  if (state.revision !== 0) {
    flags |= VECTOR
    at = out.writeUInt32LE(state.revision, at)
    at = writeU48(out, state.vectorPosition, at)
  }
  if (key !== undefined) {
    flags |= KEY
    at = writeName(out, key, at)
  }
  if (type !== undefined) {
    flags |= TYPE
    at = writeName(out, type, at)
  }
  if (data !== undefined) {
    flags |= DATA
    at = writeBytes(out, data, at)
  }
  if (metadata !== undefined) {
    flags |= METADATA
    at = writeBytes(out, metadata, at)
  }
  out.writeUInt16LE(flags, start + 1)
  return at + out.write(state.content, at, 'utf8')
}

/** Room that is surely enough for a concept that is copied. */
export function learnedBytesMax({ key, type, content, data, metadata }: LearnedConcept): number {
  const spans = bytesOf(key) + bytesOf(type) + bytesOf(content) + bytesOf(data) + bytesOf(metadata)
  return FIXED_BYTES + OPTIONAL_BYTES + spans
}

/**
 * Copies a concept out of the event that learned it under a new ordinal: byte for byte what
 * `writeConcept` makes of what the event folds into.
 */
export function copyLearned(
  out: Buffer,
  start: number,
  body: Buffer,
  learned: LearnedConcept,
  { position, time }: At
): number {
  const { id, key, type, content, data, metadata, strength, confidence, revision } = learned
  let flags = learned.isStub ? STUB : 0
  out[start] = LAYOUT
  copy(body, id, out, start + ID_AT)
  out.writeUInt32LE(learned.version, start + VERSION_AT)
  writeU48(out, position, start + POSITION_AT)
  writeU48(out, time, start + CREATED_AT)
  let at = start + FIXED_BYTES
  if (strength !== 1) {
    flags |= STRENGTH
    at = out.writeDoubleLE(strength, at)
  }
  if (confidence !== 1) {
    flags |= CONFIDENCE
    at = out.writeDoubleLE(confidence, at)
  }
  if (revision !== 0) {
    flags |= VECTOR
    at = out.writeUInt32LE(revision, at)
    at = writeU48(out, position, at)
  }
  if (key.end > 0) {
    flags |= KEY
    at = copy(body, key, out, out.writeUInt16LE(bytesOf(key), at))
  }
  if (type.end > 0) {
    flags |= TYPE
    at = copy(body, type, out, out.writeUInt16LE(bytesOf(type), at))
  }
  if (data.end > 0) {
    flags |= DATA
    at = copy(body, data, out, out.writeUInt32LE(bytesOf(data), at))
  }
  if (metadata.end > 0) {
    flags |= METADATA
    at = copy(body, metadata, out, out.writeUInt32LE(bytesOf(metadata), at))
  }
  out.writeUInt16LE(flags, start + 1)
  return content.end > 0 ? copy(body, content, out, at) : at
}

/**
 * Reads a concept back. Data and metadata are views of the row.
 *
 * @throws RangeError on a row of another layout, or one that ends too early.
 */
export function decodeConcept(ordinal: number, row: Buffer): ConceptState {
  if (row[0] !== LAYOUT) throw new RangeError(`a concept of layout ${row[0]}`)
  const flags = row.readUInt16LE(1)
  const createdAt = readU48(row, CREATED_AT)
  let at = FIXED_BYTES
  let updatedAt = createdAt
  let strength = 1
  let confidence = 1
  let revision = 0
  let vectorPosition = 0
  let key: string | undefined
  let type: string | undefined
  let data: Uint8Array | undefined
  let metadata: Uint8Array | undefined
  if (flags & UPDATED) {
    updatedAt = readU48(row, at)
    at += 6
  }
  if (flags & STRENGTH) {
    strength = row.readDoubleLE(at)
    at += 8
  }
  if (flags & CONFIDENCE) {
    confidence = row.readDoubleLE(at)
    at += 8
  }
  if (flags & VECTOR) {
    revision = row.readUInt32LE(at)
    vectorPosition = readU48(row, at + 4)
    at += 10
  }
  if (flags & KEY) {
    const end = endOf(row, at + 2, row.readUInt16LE(at))
    key = row.toString('utf8', at + 2, end)
    at = end
  }
  if (flags & TYPE) {
    const end = endOf(row, at + 2, row.readUInt16LE(at))
    type = row.toString('utf8', at + 2, end)
    at = end
  }
  if (flags & DATA) {
    const end = endOf(row, at + 4, row.readUInt32LE(at))
    data = row.subarray(at + 4, end)
    at = end
  }
  if (flags & METADATA) {
    const end = endOf(row, at + 4, row.readUInt32LE(at))
    metadata = row.subarray(at + 4, end)
    at = end
  }
  return {
    ordinal,
    // Sixteen bytes always make a well-formed id.
    id: row.toString('hex', ID_AT, ID_AT + 16) as ConceptId,
    key,
    type,
    content: row.toString('utf8', at),
    data,
    strength,
    confidence,
    metadata,
    members: undefined,
    revision,
    vectorPosition,
    version: row.readUInt32LE(VERSION_AT),
    createdAt,
    updatedAt,
    position: readU48(row, POSITION_AT),
    stub: (flags & STUB) !== 0
  }
}

function endOf(row: Buffer, start: number, length: number): number {
  const end = start + length
  if (end > row.length) throw new RangeError('a concept is cut')
  return end
}

function writeName(out: Buffer, text: string, at: number): number {
  const length = out.write(text, at + 2, 'utf8')
  out.writeUInt16LE(length, at)
  return at + 2 + length
}

function writeBytes(out: Buffer, bytes: Uint8Array, at: number): number {
  out.writeUInt32LE(bytes.length, at)
  out.set(bytes, at + 4)
  return at + 4 + bytes.length
}

function bytesOf({ at, end }: Span): number {
  return end === 0 ? 0 : end - at
}

/** @returns Where the copy ends. */
function copy(body: Buffer, { at, end }: Span, out: Buffer, to: number): number {
  const length = end - at
  if (length > LOOP_BYTES) body.copy(out, to, at, end)
  else for (let i = 0; i < length; i++) out[to + i] = body[at + i] ?? 0
  return to + length
}

function writeU48(out: Buffer, value: number, at: number): number {
  return out.writeUIntLE(value, at, 6)
}

function readU48(row: Buffer, at: number): number {
  return row.readUIntLE(at, 6)
}
