/**
 * A frame: one or more commits under one key, with one checksum, chained to the frame before.
 *
 * Key: first position, 8 bytes big endian. Value: a header of 48 bytes, little endian, and a body.
 *
 * | offset | bytes | field                                                                    |
 * | ------ | ----- | ------------------------------------------------------------------------ |
 * | 0      | 1     | format of the frame: 1                                                   |
 * | 1      | 1     | kind: 0 normal, 1 gap (events lost, put there by `repair`)                |
 * | 2      | 2     | flags: room for a codec and for encryption under a key id; 0 today        |
 * | 4      | 4     | count of events                                                          |
 * | 8      | 8     | first position                                                           |
 * | 16     | 16    | store id                                                                 |
 * | 32     | 4     | checksum of the frame before; 0 for the first                             |
 * | 36     | 4     | length of the body                                                       |
 * | 40     | 4     | erasure key id; 0 today                                                  |
 * | 44     | 4     | checksum: CRC-32 of key, header up to here and body                       |
 *
 * The body is MessagePack: an array of commits `[time, meta, events]`; meta is nil or
 * `[subject, causation, correlation, headers, idempotency]` with nil for what is absent;
 * idempotency is `[key, digest of the commands, results]`.
 */
import { crc32 } from 'node:zlib'
import { assert } from '../assert.ts'
import { pack, unpack } from '../storage/codec.ts'
import type { CommandResult } from '../types.ts'
import { decodeEvent, encodeEvent, type LogEvent } from './event.ts'

const FRAME_FORMAT = 1
export const FRAME_KIND = { normal: 0, gap: 1 } as const
const HEADER_BYTES = 48
const CHECKSUM_AT = 44
const KEY_BYTES = 8

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
  kind: number
  count: number
  first: number
  last: number
  previous: number
  checksum: number
}

export interface Frame extends FrameHeader {
  /** Encoded size, header included. */
  bytes: number
  commits: LogCommit[]
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

/** Encodes the body of a frame: the costly part, which needs no position and no chain. */
export function encodeBody(commits: readonly LogCommit[]): Buffer {
  return pack(
    commits.map(({ time, meta, events }) => [time, encodeMeta(meta), events.map(encodeEvent)])
  )
}

/** Puts the header before a body and closes the chain to the frame before. */
export function sealFrame(
  body: Buffer,
  header: { kind: number; first: number; count: number; previous: number; storeId: Buffer }
): EncodedFrame {
  assert(header.count > 0, 'a frame holds at least one event')
  const key = frameKey(header.first)
  const value = Buffer.allocUnsafe(HEADER_BYTES + body.length)
  value[0] = FRAME_FORMAT
  value[1] = header.kind
  value.writeUInt16LE(0, 2)
  value.writeUInt32LE(header.count, 4)
  value.writeBigUInt64LE(BigInt(header.first), 8)
  header.storeId.copy(value, 16)
  value.writeUInt32LE(header.previous, 32)
  value.writeUInt32LE(body.length, 36)
  value.writeUInt32LE(0, 40)
  body.copy(value, HEADER_BYTES)
  const checksum = frameChecksum(key, value)
  value.writeUInt32LE(checksum, CHECKSUM_AT)
  return { first: header.first, count: header.count, key, value, checksum }
}

/**
 * Checks a frame against its key, its checksum and its store, without decoding the body.
 *
 * @throws FrameDamage
 */
function checkFrame(key: Uint8Array, value: Buffer, storeId: Uint8Array): FrameHeader {
  if (key.length !== KEY_BYTES) throw new FrameDamage(`a key of ${key.length} bytes`)
  if (value.length < HEADER_BYTES) throw new FrameDamage(`a frame of ${value.length} bytes`)
  if (value[0] !== FRAME_FORMAT) throw new FrameDamage(`frame format ${value[0]}`)
  if (value.readUInt32LE(36) !== value.length - HEADER_BYTES) {
    throw new FrameDamage('the length of the body differs from the header')
  }
  const checksum = value.readUInt32LE(CHECKSUM_AT)
  if (frameChecksum(key, value) !== checksum) throw new FrameDamage('checksum differs')
  if (!value.subarray(16, 32).equals(storeId)) throw new FrameDamage('frame of another store')
  const first = Number(value.readBigUInt64LE(8))
  if (first !== positionOfKey(key)) throw new FrameDamage('position differs from the key')
  const count = value.readUInt32LE(4)
  return {
    kind: value.readUInt8(1),
    count,
    first,
    last: first + count - 1,
    previous: value.readUInt32LE(32),
    checksum
  }
}

/**
 * Checks and decodes a frame.
 *
 * @throws FrameDamage
 */
export function decodeFrame(key: Uint8Array, value: Buffer, storeId: Uint8Array): Frame {
  const header = checkFrame(key, value, storeId)
  if (header.kind === FRAME_KIND.gap) return { ...header, bytes: value.length, commits: [] }
  if (header.kind !== FRAME_KIND.normal) throw new FrameDamage(`frame kind ${header.kind}`)
  try {
    const commits = decodeBody(unpack(value.subarray(HEADER_BYTES)), header.first)
    const last = commits.at(-1)
    const end = last === undefined ? header.first : last.first + last.events.length
    if (end !== header.last + 1) throw new FrameDamage('count of events differs from the header')
    return { ...header, bytes: value.length, commits }
  } catch (cause) {
    if (cause instanceof FrameDamage) throw cause
    throw new FrameDamage('the body is malformed', { cause })
  }
}

function decodeBody(value: unknown, first: number): LogCommit[] {
  if (!Array.isArray(value)) throw new FrameDamage('the body is not an array')
  let position = first
  return value.map((item: unknown) => {
    if (!Array.isArray(item)) throw new FrameDamage('a commit is not an array')
    const [time, meta, events] = item as unknown[]
    if (typeof time !== 'number' || !Array.isArray(events)) {
      throw new FrameDamage('a commit without time or events')
    }
    const commit = {
      time,
      first: position,
      meta: decodeMeta(meta),
      events: events.map(decodeEvent)
    }
    position += events.length
    return commit
  })
}

function encodeMeta(meta: CommitMeta | undefined): unknown {
  if (meta === undefined) return null
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

function decodeMeta(value: unknown): CommitMeta | undefined {
  if (value === null) return undefined
  if (!Array.isArray(value) || value.length !== 5) throw new FrameDamage('malformed commit meta')
  const [subject, causation, correlation, headers, idempotency] = value as unknown[]
  const meta: CommitMeta = {}
  if (typeof subject === 'string') meta.subject = subject
  if (typeof causation === 'string') meta.causation = causation
  if (typeof correlation === 'string') meta.correlation = correlation
  if (typeof headers === 'object' && headers !== null) {
    meta.headers = headers as Record<string, string>
  }
  if (Array.isArray(idempotency)) meta.idempotency = decodeIdempotency(idempotency)
  return meta
}

function decodeIdempotency([key, digest, results]: unknown[]): Idempotency {
  if (typeof key !== 'string' || !(digest instanceof Uint8Array) || !Array.isArray(results)) {
    throw new FrameDamage('malformed idempotency record')
  }
  return { key, digest, results: results.map(decodeResult) }
}

function decodeResult(value: unknown): CommandResult {
  if (!Array.isArray(value)) throw new FrameDamage('malformed command result')
  const [id, key, version, created] = value as [string | null, string | null, number, boolean]
  const result: CommandResult = { version, created }
  // Written from a checked id and covered by the frame's checksum.
  if (id !== null) result.id = id as NonNullable<CommandResult['id']>
  if (key !== null) result.key = key
  return result
}

function frameChecksum(key: Uint8Array, value: Buffer): number {
  const head = crc32(value.subarray(0, CHECKSUM_AT), crc32(key))
  return crc32(value.subarray(HEADER_BYTES), head)
}
