/**
 * How an association lies in a page behind its key, seen from one of its ends. Little endian:
 * flags u8, other end's ordinal u32, version u32, position 6 bytes, createdAt 6 bytes, then as the
 * flags say: updatedAt 6 bytes, strength f64, confidence f64, other end's key (length u16, UTF-8),
 * metadata (the rest).
 */
import type { AssociationChanged, AssociationEnd, AssociationRemoved } from '../../log/event.ts'
import type { AssociationState } from '../state.ts'
import type { Side } from './keys.ts'
import type { Link } from './links.ts'
import {
  KEY_AT,
  keyOf,
  newEntry,
  otherIdOf,
  type PageEntry,
  tailAt,
  writeKey,
  writeText
} from './page.ts'

const UPDATED = 1
const STRENGTH = 2
const CONFIDENCE = 4
const OTHER_KEY = 8
const METADATA = 16
/** Bytes behind the key up to what the flags tell, and of that the most but for texts and metadata. */
const OPTIONAL_AT = 21
const OPTIONAL_BYTES = 6 + 8 + 8 + 2

/** Bytes that UTF-8 takes for a unit of UTF-16, at most. */
const UTF8_BYTES_MAX = 3

/** Bytes that an association takes as an entry of a page, at most. */
export function associationBytesMax(state: AssociationState): number {
  const { source, target, key, metadata } = state
  const keys = Math.max(source.key?.length ?? 0, target.key?.length ?? 0) + (key?.length ?? 0)
  return KEY_AT + OPTIONAL_AT + OPTIONAL_BYTES + UTF8_BYTES_MAX * keys + (metadata?.length ?? 0)
}

/** The key of its entry in the pages of the end that `side` leaves. */
export function associationKeyOf(
  { source, target, name, key }: AssociationChanged | AssociationRemoved,
  side: Side
): PageEntry {
  const other = side === 'out' ? target : source
  return newEntry({ name, otherId: other.id, key: key ?? '' }, 0)
}

/**
 * Writes an association as an entry of the pages of the end that `side` leaves.
 *
 * @returns Where it ends.
 */
export function writeAssociation(
  out: Buffer,
  start: number,
  state: AssociationState,
  side: Side
): number {
  const other = side === 'out' ? state.target : state.source
  const tail = writeKey(out, start, other.id, state.key)
  let flags = 0
  out.writeUInt32LE(other.ordinal, tail + 1)
  out.writeUInt32LE(state.version, tail + 5)
  out.writeUIntLE(state.position, tail + 9, 6)
  out.writeUIntLE(state.createdAt, tail + 15, 6)
  let at = tail + OPTIONAL_AT
  if (state.updatedAt !== state.createdAt) {
    flags |= UPDATED
    at = out.writeUIntLE(state.updatedAt, at, 6)
  }
  if (state.strength !== 1) {
    flags |= STRENGTH
    at = out.writeDoubleLE(state.strength, at)
  }
  if (state.confidence !== 1) {
    flags |= CONFIDENCE
    at = out.writeDoubleLE(state.confidence, at)
  }
  if (other.key !== undefined) {
    flags |= OTHER_KEY
    at = writeText(out, at, other.key)
  }
  if (state.metadata !== undefined) {
    flags |= METADATA
    out.set(state.metadata, at)
    at += state.metadata.length
  }
  out[tail] = flags
  return at
}

/** The other end's ordinal alone: enough to leave out the dead. */
export function otherOrdinalOf(entry: PageEntry): number {
  return entry.bytes.readUInt32LE(tailAt(entry.bytes) + 1)
}

/** Decodes an entry of a leaf of the concept `self`. */
export function decodeAssociation(
  entry: PageEntry,
  self: AssociationEnd,
  side: Side
): AssociationState {
  const { bytes } = entry
  const start = tailAt(bytes)
  const flags = bytes.readUInt8(start)
  const createdAt = bytes.readUIntLE(start + 15, 6)
  let at = start + OPTIONAL_AT
  let updatedAt = createdAt
  let strength = 1
  let confidence = 1
  let otherKey: string | undefined
  if (flags & UPDATED) {
    updatedAt = bytes.readUIntLE(at, 6)
    at += 6
  }
  if (flags & STRENGTH) {
    strength = bytes.readDoubleLE(at)
    at += 8
  }
  if (flags & CONFIDENCE) {
    confidence = bytes.readDoubleLE(at)
    at += 8
  }
  if (flags & OTHER_KEY) {
    const length = bytes.readUInt16LE(at)
    otherKey = bytes.toString('utf8', at + 2, at + 2 + length)
    at += 2 + length
  }
  const key = keyOf(entry)
  const other = {
    ordinal: bytes.readUInt32LE(start + 1),
    id: otherIdOf(entry),
    key: otherKey
  }
  return {
    source: side === 'out' ? self : other,
    target: side === 'out' ? other : self,
    name: entry.name,
    key: key === '' ? undefined : key,
    strength,
    confidence,
    metadata: flags & METADATA ? bytes.subarray(at) : undefined,
    members: undefined,
    version: bytes.readUInt32LE(start + 5),
    createdAt,
    updatedAt,
    position: bytes.readUIntLE(start + 9, 6)
  }
}

/** Reads the link out of an entry of a leaf of the concept with this ordinal. */
export function decodeLink(entry: PageEntry, ordinal: number, side: Side): Link {
  const { bytes } = entry
  const start = tailAt(bytes)
  const flags = bytes[start] ?? 0
  const other = bytes.readUInt32LE(start + 1)
  let at = start + OPTIONAL_AT + (flags & UPDATED ? 6 : 0)
  let strength = 1
  if (flags & STRENGTH) {
    strength = bytes.readDoubleLE(at)
    at += 8
  }
  const key = keyOf(entry)
  return {
    source: side === 'out' ? ordinal : other,
    target: side === 'out' ? other : ordinal,
    other,
    name: entry.name,
    key: key === '' ? undefined : key,
    strength,
    confidence: flags & CONFIDENCE ? bytes.readDoubleLE(at) : 1
  }
}

export function linkOf(state: AssociationState, side: Side): Link {
  const { source, target, name, key, strength, confidence } = state
  const other = side === 'out' ? target.ordinal : source.ordinal
  return {
    source: source.ordinal,
    target: target.ordinal,
    other,
    name,
    key,
    strength,
    confidence
  }
}
