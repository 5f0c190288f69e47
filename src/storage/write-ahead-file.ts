/**
 * LevelDB's write-ahead files (`.log`), read without LevelDB, which drops what is damaged in them and
 * much of what lies behind it without a word. The layout is that of LevelDB 1.20, `doc/log_format.md`:
 * blocks of 32 KiB with records, a large one in pieces; a record is a batch of puts and deletes.
 */
import { maskedCrc32c } from './crc32c.ts'
import { readVarint } from './snappy.ts'
import type { TableEntry } from './table-file.ts'

const BLOCK_BYTES = 32 * 1024
const HEADER_BYTES = 7
const FULL = 1
const FIRST = 2
const LAST = 4
const BATCH_HEADER_BYTES = 12
const DELETE = 0
const PUT = 1
/** LevelDB keeps them in 7 bytes; a larger one makes it end the process. */
export const SEQUENCE_MAX: bigint = 2n ** 56n - 1n

export interface Part {
  /** Where it begins. */
  at: number
  /** `undefined`: bytes that are no whole record. At the end, a crash may have left them. */
  record: Buffer | undefined
}

/** What a batch says of itself. */
export interface Batch {
  sequence: bigint
  count: number
}

/** Every entry of every record that is whole, in the order in which they were written. */
export function* entriesOf(bytes: Buffer): Generator<TableEntry> {
  for (const record of recordsOf(bytes)) yield* entriesOfBatch(record)
}

/** Every record that is whole. */
export function* recordsOf(bytes: Buffer): Generator<Buffer> {
  for (const { record } of partsOf(bytes)) if (record !== undefined) yield record
}

/** Every record that is whole, and where there is none although bytes are there. */
export function* partsOf(bytes: Buffer): Generator<Part> {
  let begun: { at: number; pieces: Buffer[] } | undefined
  for (let block = 0; block < bytes.length; block += BLOCK_BYTES) {
    const end = Math.min(block + BLOCK_BYTES, bytes.length)
    let at = block
    while (at + HEADER_BYTES <= end) {
      const type = bytes[at + 6] ?? 0
      const next = endOfPiece(bytes, at, end)
      const begins = type === FULL || type === FIRST
      // A piece that does not fit to the one before: its neighbour is lost, or it is lost itself.
      if (next === undefined || begins === (begun !== undefined)) {
        yield { at: begun?.at ?? at, record: undefined }
        begun = undefined
      }
      if (next === undefined) {
        at = findPiece(bytes, at, end)
        continue
      }
      const piece = bytes.subarray(at + HEADER_BYTES, next)
      if (type === FULL) yield { at, record: piece }
      else if (type === FIRST) begun = { at, pieces: [piece] }
      else begun?.pieces.push(piece)
      if (type === LAST && begun !== undefined) {
        yield { at: begun.at, record: Buffer.concat(begun.pieces) }
        begun = undefined
      }
      at = next
    }
  }
  if (begun !== undefined) yield { at: begun.at, record: undefined }
}

/**
 * Checks a whole record as LevelDB does not: it trusts the numbers that it finds there.
 *
 * @throws RangeError on what is no batch.
 */
export function checkBatch(record: Buffer): Batch {
  if (record.length < BATCH_HEADER_BYTES) throw new RangeError('a record is no batch')
  const sequence = record.readBigUInt64LE(0)
  const count = record.readUInt32LE(8)
  if (sequence + BigInt(count) > SEQUENCE_MAX) {
    throw new RangeError('a batch has a number that LevelDB cannot hold')
  }
  let found = 0
  for (let at = BATCH_HEADER_BYTES; at < record.length; found++) at = entryAt(record, at).end
  if (found !== count) throw new RangeError(`a batch of ${count} entries holds ${found}`)
  return { sequence, count }
}

/** The entries of a record, as far as it is a batch. */
export function* entriesOfBatch(record: Buffer): Generator<TableEntry> {
  if (record.length < BATCH_HEADER_BYTES) return
  let sequence = record.readBigUInt64LE(0)
  let at = BATCH_HEADER_BYTES
  while (at < record.length) {
    let entry: EntryPlace
    try {
      entry = entryAt(record, at)
    } catch (error) {
      if (error instanceof RangeError) return
      throw error
    }
    const { keyFrom, keyTo, valueFrom, end } = entry
    const value = record[at] === PUT ? record.subarray(valueFrom, end) : undefined
    yield { key: record.subarray(keyFrom, keyTo), value, sequence }
    sequence += 1n
    at = end
  }
}

/** Where the piece ends that begins here; `undefined` if none does, or not a whole one. */
function endOfPiece(bytes: Buffer, at: number, end: number): number | undefined {
  const type = bytes[at + 6] ?? 0
  if (type < FULL || type > LAST) return undefined
  const next = at + HEADER_BYTES + bytes.readUInt16LE(at + 4)
  if (next > end) return undefined
  return maskedCrc32c(bytes.subarray(at + 6, next)) === bytes.readUInt32LE(at) ? next : undefined
}

/** Where the next whole piece of a block begins behind one that is damaged; its end if none does. */
function findPiece(bytes: Buffer, damaged: number, end: number): number {
  // First where its length says: what was written may hold such files in turn.
  const next = damaged + HEADER_BYTES + bytes.readUInt16LE(damaged + 4)
  if (next + HEADER_BYTES <= end && endOfPiece(bytes, next, end) !== undefined) return next
  for (let at = damaged + 1; at + HEADER_BYTES <= end; at++) {
    if (endOfPiece(bytes, at, end) !== undefined) return at
  }
  return end
}

interface EntryPlace {
  keyFrom: number
  keyTo: number
  valueFrom: number
  end: number
}

/** @throws RangeError on what is no entry of a batch. */
function entryAt(record: Buffer, at: number): EntryPlace {
  const kind = record[at]
  if (kind !== PUT && kind !== DELETE) throw new RangeError('a batch holds what is no entry')
  const key = readVarint(record, at + 1)
  const keyTo = key.next + key.value
  const value = kind === PUT ? readVarint(record, keyTo) : { next: keyTo, value: 0 }
  const end = value.next + value.value
  if (end > record.length) throw new RangeError('a batch is cut')
  return { keyFrom: key.next, keyTo, valueFrom: value.next, end }
}
