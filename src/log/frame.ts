/**
 * A frame: one or more commits under one key, with one checksum, chained to the frame before.
 *
 * Key: first position, 8 bytes big endian. Value: a header, little endian, and a body. The header
 * of format 1 has 48 bytes, that of format 2 has 56: the time came in before the checksum, so that
 * going back to a time needs no body.
 *
 * | at 1   | at 2   | bytes | field                                                           |
 * | ------ | ------ | ----- | --------------------------------------------------------------- |
 * | 0      | 0      | 1     | format of the frame: 1 or 2                                      |
 * | 1      | 1      | 1     | kind: 0 normal, 1 gap (events lost, put there by `repair`)       |
 * | 2      | 2      | 2     | flags: room for a codec and for encryption under a key; 0 today  |
 * | 4      | 4      | 4     | count of events; of a gap, the number of positions lost          |
 * | 8      | 8      | 8     | first position                                                  |
 * | 16     | 16     | 16    | store id                                                        |
 * | 32     | 32     | 4     | checksum of the frame before; 0 for the first                    |
 * | 36     | 36     | 4     | length of the body                                              |
 * | 40     | 40     | 4     | erasure key id; 0 today                                         |
 * |        | 44     | 8     | time of the last commit, ms since 1970; of a gap, see `sealGap`  |
 * | 44     | 52     | 4     | checksum: CRC-32 of key, header up to here and body              |
 *
 * The body is MessagePack. Of a normal frame it is an array of commits `[time, meta, events]`; meta
 * is nil or `[subject, causation, correlation, headers, idempotency]` with nil for what is absent;
 * idempotency is `[key, digest of the commands, results]`. Of a gap it is `[checksum of the frame
 * before, what the next intact frame names as the one before it, reason]`.
 */
import { crc32 } from 'node:zlib'
import { assert } from '../assert.ts'
import { pack } from '../storage/codec.ts'
import { MessageWriter } from '../storage/message-writer.ts'
import type { CommandResult } from '../types.ts'
import type { LogEvent } from './event.ts'
import { writeEvent } from './event-writer.ts'

/** Number of a frame's layout; a store of format n holds frames of format n alone. */
export type FrameFormat = 1 | 2
const KINDS = ['normal', 'gap'] as const
const CHECKSUM_BYTES = 4
const TIME_AT = 44
/** Bytes of the header by format. */
const HEADER_BYTES: Readonly<Record<FrameFormat, number>> = { 1: 48, 2: 56 }
export const KEY_BYTES = 8

export interface Idempotency {
  key: string
  /** 16 bytes that tell the commands of this commit from others under the same key. */
  digest: Uint8Array
  results: CommandResult[]
}

export interface CommitMeta {
  subject?: string
  causation?: string
  correlation?: string
  headers?: Record<string, string>
  idempotency?: Idempotency
}

export interface LogCommit {
  /** Milliseconds since 1970; never decreases along the log. */
  time: number
  /** Position of its first event. */
  first: number
  meta: CommitMeta | undefined
  events: LogEvent[]
}

export interface FrameHeader {
  format: FrameFormat
  kind: (typeof KINDS)[number]
  count: number
  first: number
  last: number
  /** Time of the last commit; format 1 has it in the body alone, and for a gap not at all. */
  time: number | undefined
  previous: number
  checksum: number
}

/** Says that the events of these positions are lost. It closes the chain over them. */
export interface Gap {
  /** What the intact frame behind the gap names as the one before it; none if none was left. */
  next: number | undefined
  reason: string
}

export interface Frame extends FrameHeader {
  /** Encoded size, header included. */
  bytes: number
  /** None in a gap. */
  commits: LogCommit[]
  gap: Gap | undefined
}

/** A frame that cannot be trusted. The log turns it into `LOG_DAMAGED` with its positions. */
export class FrameDamage extends Error {
  override readonly name = 'FrameDamage'
}

/** 8 bytes, big endian, so that byte order is log order. */
export function frameKey(first: number): Buffer {
  const key = Buffer.allocUnsafe(KEY_BYTES)
  key.writeUInt32BE(Math.floor(first / 2 ** 32), 0)
  key.writeUInt32BE(first % 2 ** 32, 4)
  return key
}

export function positionOfKey(key: Uint8Array): number {
  const buffer = Buffer.from(key.buffer, key.byteOffset, key.byteLength)
  return buffer.readUInt32BE(0) * 2 ** 32 + buffer.readUInt32BE(4)
}

export interface EncodedFrame {
  first: number
  count: number
  key: Buffer
  value: Buffer
  checksum: number
}

/** One for the thread: a message is written and copied out in one go. */
const writer = new MessageWriter()

/** Encodes the body of a frame: the costly part, which needs no position and no chain. */
export function encodeBody(commits: readonly LogCommit[]): Buffer {
  writer.begin()
  writeBody(commits)
  return writer.finish()
}

/**
 * Encodes a whole frame: as `sealFrame` of the body, which is copied once less.
 *
 * @param starts Filled with where each event begins in the value.
 */
export function encodeFrame(
  commits: readonly LogCommit[],
  header: FrameSeal,
  starts?: Uint32Array
): EncodedFrame {
  writer.begin(HEADER_BYTES[header.format])
  writeBody(commits, starts)
  return sealValue('normal', writer.finish(), header)
}

function writeBody(commits: readonly LogCommit[], starts?: Uint32Array): void {
  let written = 0
  writer.array(commits.length)
  for (const { time, meta, events } of commits) {
    writer.array(3)
    writer.number(time)
    if (meta === undefined) writer.nil()
    else writer.value(encodeMeta(meta))
    writer.array(events.length)
    for (const event of events) {
      if (starts !== undefined) starts[written++] = writer.at
      writeEvent(writer, event)
    }
  }
}

export interface FrameSeal {
  format: FrameFormat
  first: number
  count: number
  /** Time of the last commit in the body. */
  time: number
  previous: number
  storeId: Buffer
}

/** Puts the header before a body and closes the chain to the frame before. */
export function sealFrame(body: Uint8Array, header: FrameSeal): EncodedFrame {
  return seal('normal', body, header)
}

/**
 * A frame in the place of lost ones. `previous` is the checksum of the intact frame before, `next`
 * what the intact frame behind names as the one before it, `time` that of the intact frame before:
 * times never decrease along the log, and nobody knows those of what is lost.
 */
export function sealGap({ next, reason, ...header }: FrameSeal & Gap): EncodedFrame {
  return seal('gap', pack([header.previous, next ?? null, reason]), header)
}

function seal(kind: FrameHeader['kind'], body: Uint8Array, header: FrameSeal): EncodedFrame {
  const headerBytes = HEADER_BYTES[header.format]
  const value = Buffer.allocUnsafeSlow(headerBytes + body.length)
  value.set(body, headerBytes)
  return sealValue(kind, value, header)
}

/** Fills in the header of a value whose body stands where it belongs. */
function sealValue(kind: FrameHeader['kind'], value: Buffer, header: FrameSeal): EncodedFrame {
  assert(header.count > 0, 'a frame holds at least one event')
  const key = frameKey(header.first)
  const headerBytes = HEADER_BYTES[header.format]
  value.fill(0, 0, headerBytes)
  value[0] = header.format
  value[1] = KINDS.indexOf(kind)
  value.writeUInt32LE(header.count, 4)
  value.writeBigUInt64LE(BigInt(header.first), 8)
  header.storeId.copy(value, 16)
  value.writeUInt32LE(header.previous, 32)
  value.writeUInt32LE(value.length - headerBytes, 36)
  if (header.format === 2) value.writeBigUInt64LE(BigInt(header.time), TIME_AT)
  const checksum = frameChecksum(key, value, headerBytes)
  value.writeUInt32LE(checksum, headerBytes - CHECKSUM_BYTES)
  return { first: header.first, count: header.count, key, value, checksum }
}

/**
 * The rule of the chain: whether a frame may stand behind another, the first one behind nothing.
 * A gap vouches for what the frame behind it names; one appended later names the gap itself.
 */
export function follows(
  before: Pick<Frame, 'last' | 'checksum' | 'gap'> | undefined,
  frame: Pick<Frame, 'first' | 'previous'>
): boolean {
  if (before === undefined) return frame.first === 1 && frame.previous === 0
  if (frame.first !== before.last + 1) return false
  const vouched = before.gap?.next
  return frame.previous === before.checksum || (vouched !== undefined && frame.previous === vouched)
}

/**
 * Checks a frame against its key, its checksum and its store, without decoding the body.
 *
 * @throws FrameDamage
 */
export function checkFrame(key: Uint8Array, value: Buffer, storeId: Uint8Array): FrameHeader {
  if (key.length !== KEY_BYTES) throw new FrameDamage(`a key of ${key.length} bytes`)
  const format = formatOf(value)
  const headerBytes = HEADER_BYTES[format]
  if (value.length < headerBytes) throw new FrameDamage(`a frame of ${value.length} bytes`)
  if (value.readUInt32LE(36) !== value.length - headerBytes) {
    throw new FrameDamage('the length of the body differs from the header')
  }
  const checksum = value.readUInt32LE(headerBytes - CHECKSUM_BYTES)
  if (frameChecksum(key, value, headerBytes) !== checksum) throw new FrameDamage('checksum differs')
  if (!value.subarray(16, 32).equals(storeId)) throw new FrameDamage('frame of another store')
  const first = Number(value.readBigUInt64LE(8))
  if (first !== positionOfKey(key)) throw new FrameDamage('position differs from the key')
  const count = value.readUInt32LE(4)
  if (count === 0) throw new FrameDamage('it holds no event')
  const kind = KINDS[value.readUInt8(1)]
  if (kind === undefined) throw new FrameDamage(`frame kind ${value[1]}`)
  return {
    format,
    kind,
    count,
    first,
    last: first + count - 1,
    time: format === 1 ? undefined : Number(value.readBigUInt64LE(TIME_AT)),
    previous: value.readUInt32LE(32),
    checksum
  }
}

/**
 * Where a frame stands by its key and its header, whose checksum is not checked.
 *
 * @param value `undefined` where a frame is deleted.
 * @throws FrameDamage on what is no frame of this store.
 */
export function placeOf(
  key: Uint8Array,
  value: Buffer | undefined,
  storeId: Uint8Array
): Pick<FrameHeader, 'first' | 'last'> {
  if (key.length !== KEY_BYTES) throw new FrameDamage(`a key of ${key.length} bytes`)
  const first = positionOfKey(key)
  if (value === undefined) return { first, last: first }
  if (value.length < HEADER_BYTES[1]) throw new FrameDamage(`a frame of ${value.length} bytes`)
  if (!value.subarray(16, 32).equals(storeId)) throw new FrameDamage('frame of another store')
  return { first, last: first + value.readUInt32LE(4) - 1 }
}

function formatOf(value: Buffer): FrameFormat {
  const [format] = value
  if (format === undefined) throw new FrameDamage('a frame of 0 bytes')
  if (format !== 1 && format !== 2) throw new FrameDamage(`frame format ${format}`)
  return format
}

/** Where the body of a frame begins. */
export function bodyAt(value: Buffer): number {
  return HEADER_BYTES[formatOf(value)]
}

/** The body of a frame that was checked, to be sealed under another header. */
export function bodyOf(value: Buffer): Buffer {
  return value.subarray(bodyAt(value))
}

function encodeMeta(meta: CommitMeta): unknown {
  const { subject, causation, correlation, headers, idempotency } = meta
  return [
    subject ?? null,
    causation ?? null,
    correlation ?? null,
    headers ?? null,
    idempotency === undefined
      ? null
      : [idempotency.key, idempotency.digest, idempotency.results.map(encodeResult)]
  ]
}

function encodeResult(result: CommandResult): unknown {
  return [result.id ?? null, result.key ?? null, result.version, result.created]
}

function frameChecksum(key: Uint8Array, value: Buffer, headerBytes: number): number {
  const head = crc32(value.subarray(0, headerBytes - CHECKSUM_BYTES), crc32(key))
  return crc32(value.subarray(headerBytes), head)
}
