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
const PUT = 1

/** Every entry of every record that is whole, in the order in which they were written. */
export function* entriesOf(bytes: Buffer): Generator<TableEntry> {
  for (const record of recordsOf(bytes)) yield* batchEntries(record)
}

/** Every record that is whole. */
export function* recordsOf(bytes: Buffer): Generator<Buffer> {
  let pieces: Buffer[] | undefined
  for (let block = 0; block < bytes.length; block += BLOCK_BYTES) {
    const end = Math.min(block + BLOCK_BYTES, bytes.length)
    let at = block
    while (at + HEADER_BYTES <= end) {
      const length = bytes.readUInt16LE(at + 4)
      const type = bytes[at + 6] ?? 0
      const next = at + HEADER_BYTES + length
      const isWhole =
        type >= FULL &&
        type <= LAST &&
        next <= end &&
        maskedCrc32c(bytes.subarray(at + 6, next)) === bytes.readUInt32LE(at)
      if (!isWhole) {
        // Where this record ends is not known, but the next block begins with one, or a piece.
        pieces = undefined
        break
      }
      const piece = bytes.subarray(at + HEADER_BYTES, next)
      if (type === FULL) yield piece
      if (type === FIRST) pieces = [piece]
      else if (type === FULL) pieces = undefined
      else pieces?.push(piece)
      if (type === LAST && pieces !== undefined) {
        yield Buffer.concat(pieces)
        pieces = undefined
      }
      at = next
    }
  }
}

function* batchEntries(record: Buffer): Generator<TableEntry> {
  if (record.length < BATCH_HEADER_BYTES) return
  let sequence = record.readBigUInt64LE(0)
  let at = BATCH_HEADER_BYTES
  while (at < record.length) {
    const isPut = record[at] === PUT
    const key = readBytes(record, at + 1)
    const value = isPut ? readBytes(record, key.next) : undefined
    yield { key: key.bytes, value: value?.bytes, sequence }
    sequence += 1n
    at = value?.next ?? key.next
  }
}

function readBytes(record: Buffer, at: number): { bytes: Buffer; next: number } {
  const length = readVarint(record, at)
  const next = length.next + length.value
  if (next > record.length) throw new RangeError('a batch is cut')
  return { bytes: record.subarray(length.next, next), next }
}
