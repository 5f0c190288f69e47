/**
 * How an association lies in a page behind its sort key, seen from one of its ends. Little endian:
 * flags u8, other end's ordinal u32, version u32, position 6 bytes, createdAt 6 bytes, then as the
 * flags say: updatedAt 6 bytes, strength f64, confidence f64, other end's key (length u16, UTF-8),
 * metadata (the rest).
 */
import type { AssociationEnd } from '../../log/event.ts'
import type { AssociationState } from '../state.ts'
import type { Side } from './keys.ts'
import type { PageEntry } from './page.ts'

const UPDATED = 1
const STRENGTH = 2
const CONFIDENCE = 4
const OTHER_KEY = 8
const METADATA = 16
const FIXED_BYTES = 21

/** An association of one concept, as its page tells it. */
export function encodeAssociation(state: AssociationState, side: Side): Buffer {
  const other = side === 'out' ? state.target : state.source
  const keyLength = other.key === undefined ? 0 : Buffer.byteLength(other.key)
  let flags = 0
  let size = FIXED_BYTES
  const reserve = (flag: number, bytes: number): void => {
    flags |= flag
    size += bytes
  }
  if (state.updatedAt !== state.createdAt) reserve(UPDATED, 6)
  if (state.strength !== 1) reserve(STRENGTH, 8)
  if (state.confidence !== 1) reserve(CONFIDENCE, 8)
  if (other.key !== undefined) reserve(OTHER_KEY, 2 + keyLength)
  if (state.metadata !== undefined) reserve(METADATA, state.metadata.length)

  const out = Buffer.allocUnsafe(size)
  out[0] = flags
  out.writeUInt32LE(other.ordinal, 1)
  out.writeUInt32LE(state.version, 5)
  out.writeUIntLE(state.position, 9, 6)
  out.writeUIntLE(state.createdAt, 15, 6)
  let at = FIXED_BYTES
  if (flags & UPDATED) at = out.writeUIntLE(state.updatedAt, at, 6)
  if (flags & STRENGTH) at = out.writeDoubleLE(state.strength, at)
  if (flags & CONFIDENCE) at = out.writeDoubleLE(state.confidence, at)
  if (other.key !== undefined) {
    at = out.writeUInt16LE(keyLength, at)
    at += out.write(other.key, at, 'utf8')
  }
  if (state.metadata !== undefined) out.set(state.metadata, at)
  return out
}

/** The other end's ordinal alone: enough to leave out the dead. */
export function otherOrdinalOf(payload: Buffer): number {
  return payload.readUInt32LE(1)
}

/** Decodes an entry of a leaf of the concept `self`. */
export function decodeAssociation(
  entry: PageEntry,
  self: AssociationEnd,
  side: Side
): AssociationState {
  const { payload } = entry
  const flags = payload.readUInt8(0)
  const createdAt = payload.readUIntLE(15, 6)
  let at = FIXED_BYTES
  let updatedAt = createdAt
  let strength = 1
  let confidence = 1
  let otherKey: string | undefined
  if (flags & UPDATED) {
    updatedAt = payload.readUIntLE(at, 6)
    at += 6
  }
  if (flags & STRENGTH) {
    strength = payload.readDoubleLE(at)
    at += 8
  }
  if (flags & CONFIDENCE) {
    confidence = payload.readDoubleLE(at)
    at += 8
  }
  if (flags & OTHER_KEY) {
    const length = payload.readUInt16LE(at)
    otherKey = payload.toString('utf8', at + 2, at + 2 + length)
    at += 2 + length
  }
  const other = { ordinal: otherOrdinalOf(payload), id: entry.otherId, key: otherKey }
  return {
    source: side === 'out' ? self : other,
    target: side === 'out' ? other : self,
    name: entry.name,
    key: entry.key === '' ? undefined : entry.key,
    strength,
    confidence,
    metadata: flags & METADATA ? payload.subarray(at) : undefined,
    version: payload.readUInt32LE(5),
    createdAt,
    updatedAt,
    position: payload.readUIntLE(9, 6)
  }
}
