/**
 * How an association lies in a page behind its key, seen from one of its ends. Little endian:
 * flags u8, other end's ordinal u32, version u32, position 6 bytes, createdAt 6 bytes, then as the
 * flags say: updatedAt 6 bytes, strength f64, confidence f64, other end's key (length u16, UTF-8),
 * metadata (the rest).
 */
import type { AssociationEnd } from '../../log/event.ts'
import type { AssociationState } from '../state.ts'
import type { Side } from './keys.ts'
import { keyOf, newEntry, otherIdOf, type PageEntry, tailAt } from './page.ts'

const UPDATED = 1
const STRENGTH = 2
const CONFIDENCE = 4
const OTHER_KEY = 8
const METADATA = 16
const FIXED_BYTES = 21

/** An association as an entry of the pages of the end that `side` leaves. */
export function encodeAssociation(state: AssociationState, side: Side): PageEntry {
  const other = side === 'out' ? state.target : state.source
  const keyLength = other.key === undefined ? 0 : Buffer.byteLength(other.key)
  let flags = 0
  let size = FIXED_BYTES
  if (state.updatedAt !== state.createdAt) {
    flags |= UPDATED
    size += 6
  }
  if (state.strength !== 1) {
    flags |= STRENGTH
    size += 8
  }
  if (state.confidence !== 1) {
    flags |= CONFIDENCE
    size += 8
  }
  if (other.key !== undefined) {
    flags |= OTHER_KEY
    size += 2 + keyLength
  }
  if (state.metadata !== undefined) {
    flags |= METADATA
    size += state.metadata.length
  }
  const entry = newEntry({ name: state.name, otherId: other.id, key: state.key ?? '' }, size)
  const out = entry.bytes
  const start = out.length - size
  out[start] = flags
  out.writeUInt32LE(other.ordinal, start + 1)
  out.writeUInt32LE(state.version, start + 5)
  out.writeUIntLE(state.position, start + 9, 6)
  out.writeUIntLE(state.createdAt, start + 15, 6)
  let at = start + FIXED_BYTES
  if (flags & UPDATED) at = out.writeUIntLE(state.updatedAt, at, 6)
  if (flags & STRENGTH) at = out.writeDoubleLE(state.strength, at)
  if (flags & CONFIDENCE) at = out.writeDoubleLE(state.confidence, at)
  if (other.key !== undefined) {
    at = out.writeUInt16LE(keyLength, at)
    at += out.write(other.key, at, 'utf8')
  }
  if (state.metadata !== undefined) out.set(state.metadata, at)
  return entry
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
  let at = start + FIXED_BYTES
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
    version: bytes.readUInt32LE(start + 5),
    createdAt,
    updatedAt,
    position: bytes.readUIntLE(start + 9, 6)
  }
}
