/** The rows of the tables but the pages of associations. Every row ends with its checksum. */
import { crc32 } from 'node:zlib'
import { StoreError } from '../../errors.ts'
import type { ConceptId } from '../../ids.ts'
import type { Anchor } from '../../log/anchor.ts'
import { decodeEvent, type VectorsDeclared } from '../../log/event.ts'
import { pack, unpack } from '../../storage/codec.ts'

export const CRC_BYTES = 4

/** How rows are laid out. Tables of another number are made anew when a store is opened. */
export const LAYOUT = 3

/** Puts the checksum of key and payload behind the payload (invariant 5). */
export function sealRow(key: Uint8Array, payload: Uint8Array): Buffer {
  const value = Buffer.allocUnsafe(payload.length + CRC_BYTES)
  value.set(payload)
  value.writeUInt32LE(crc32(payload, crc32(key)), payload.length)
  return value
}

/**
 * The payload of a row, its checksum verified. A view of `value`, not a copy.
 *
 * @throws StoreError `TABLES_DAMAGED`
 */
export function openRow(key: Uint8Array, value: Buffer): Buffer {
  const end = value.length - CRC_BYTES
  if (end < 0) throw rowDamaged(key, 'too short')
  const payload = value.subarray(0, end)
  if (value.readUInt32LE(end) !== crc32(payload, crc32(key))) throw rowDamaged(key, 'checksum')
  return payload
}

/** The checksum of a row that {@link openRow} let pass, or that was just sealed. */
export function checksumOf(value: Buffer): number {
  return value.readUInt32LE(value.length - CRC_BYTES)
}

/**
 * Checks a row and reads what is in it. A right checksum says that these bytes were written, not
 * that this version of this program wrote them.
 *
 * @throws StoreError `TABLES_DAMAGED`
 */
export function readRow<T>(key: Uint8Array, value: Buffer, decode: (payload: Buffer) => T): T {
  const payload = openRow(key, value)
  try {
    return decode(payload)
  } catch (cause) {
    throw rowDamaged(key, 'malformed', cause)
  }
}

export function rowDamaged(
  key: Uint8Array,
  reason: string,
  cause?: unknown
): StoreError<'TABLES_DAMAGED'> {
  const hex = Buffer.from(key).toString('hex')
  const message = `Row ${hex} of the tables is damaged: ${reason}`
  return new StoreError('TABLES_DAMAGED', message, { key: hex, reason }, { cause })
}

/** The declaration of vectors, as the log holds it. */
export function decodeVectors(payload: Buffer): VectorsDeclared | undefined {
  const event = decodeEvent(unpack(payload))
  return event.type === 'vectors-declared' ? event : undefined
}

/** Where an id leads: to its newest ordinal. */
export interface IdRow {
  ordinal: number
  /** 0 while the concept lives, else the version that its forgetting made. */
  deadVersion: number
  /** Whether the concept has a key of the caller's. */
  hasKey: boolean
}

export function decodeId(payload: Buffer): IdRow {
  return {
    ordinal: payload.readUInt32LE(0),
    deadVersion: payload.readUInt32LE(4),
    hasKey: payload[8] === 1
  }
}

/** A forgotten concept whose associations are not erased yet. */
export interface DeadConcept {
  id: ConceptId
  /** Position of the forgetting: older views still see it alive. */
  position: number
}

export function encodeDead(dead: DeadConcept): Buffer {
  return pack([dead.id, dead.position])
}

export function decodeDead(payload: Buffer): DeadConcept {
  const [id, position] = unpack(payload) as [ConceptId, number]
  return { id, position }
}

/** A single whole number: checkpoints, positions, counts of a type. */
export function encodeNumber(value: number): Buffer {
  const payload = Buffer.allocUnsafe(8)
  payload.writeDoubleLE(value)
  return payload
}

export function decodeNumber(payload: Buffer): number {
  return payload.readDoubleLE(0)
}

/** @param checksum Of the frame that holds the checkpoint. */
export function encodeAnchor(position: number, checksum: number): Buffer {
  return pack([position, checksum])
}

export function decodeAnchor(payload: Buffer): Anchor {
  const [position, checksum] = unpack(payload) as [number, number]
  return { position, checksum }
}

export interface TableCounts {
  concepts: number
  associations: number
  vectors: number
  /** The highest ordinal and vector revision given so far. */
  ordinals: number
  revisions: number
  /** Concepts that got their key after others were associated with them. */
  lateKeys: number
}

export const NO_COUNTS: TableCounts = {
  concepts: 0,
  associations: 0,
  vectors: 0,
  ordinals: 0,
  revisions: 0,
  lateKeys: 0
}

export function encodeCounts(counts: TableCounts): Buffer {
  return pack(counts)
}

export function decodeCounts(payload: Buffer): TableCounts {
  return unpack(payload) as TableCounts
}

/**
 * Proof that no batch is missing: each names the one before. LevelDB skips a damaged record in
 * its own log without a word, and with it a whole batch; then a number is missing here.
 */
export interface ContinuityRecord {
  batch: number
  from: number
  to: number
  /** Checksum of the record before; 0 for the first. */
  previous: number
}

/** The record of the batch that follows another. */
export function nextRecord(
  before: ContinuityRecord | undefined,
  from: number,
  to: number
): ContinuityRecord {
  return {
    batch: (before?.batch ?? 0) + 1,
    from,
    to,
    previous: before === undefined ? 0 : crc32(encodeRecord(before))
  }
}

export function encodeRecord(record: ContinuityRecord): Buffer {
  return pack([record.batch, record.from, record.to, record.previous])
}

export function decodeRecord(payload: Buffer): ContinuityRecord {
  const [batch, from, to, previous] = unpack(payload) as [number, number, number, number]
  return { batch, from, to, previous }
}
