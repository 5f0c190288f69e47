/**
 * Keys of the rows of a custom projection, as bytes that sort as the keys do.
 *
 * | byte | what follows                                                      |
 * | ---- | ----------------------------------------------------------------- |
 * | 0x01 | a number: 8 bytes, big endian, its sign bit turned; a negative one turned whole |
 * | 0x02 | a string: UTF-8, each 0x00 written as 0x00 0xff, ended by 0x00     |
 * | 0x03 | an array: its members one after the other                          |
 *
 * So numbers come before strings and strings before arrays; strings are in the order of their code
 * points, arrays in that of their members, a shorter one before those that it begins. No key but
 * an array begins another key.
 */
import { StoreError, show } from '../../errors.ts'
import type { RowKey, RowKeyPart, RowRange } from '../../types.ts'

const NUMBER = 0x01
const STRING = 0x02
const ARRAY = 0x03
const END = 0x00
const ESCAPED = 0xff
/** Behind every key that begins with what stands before it. */
const BEHIND = 0xff

/** In front of every row; the other letters of the database are in `generation-rows.ts`. */
const ROW_PREFIX = 0x72
const ROW_KEY_BYTES_MAX = 1024

const ROW_LETTER = String.fromCharCode(ROW_PREFIX)
const NUMBER_LETTER = String.fromCharCode(NUMBER)
const STRING_LETTER = String.fromCharCode(STRING)
const ARRAY_LETTER = String.fromCharCode(ARRAY)
const END_LETTER = String.fromCharCode(END)
const ESCAPED_END = String.fromCharCode(END, ESCAPED)
/** Text whose bytes are its characters, with nothing to be escaped. */
const PLAIN = /^[ -~]*$/

/** A row by its encoded key, one byte a character, so that texts compare as the bytes do. */
export type RowId = string

/**
 * The key as text: most rows that are asked for are among the changes at hand, where no bytes of it
 * are needed.
 *
 * @throws TypeError for what is no key.
 * @throws StoreError `LIMIT_EXCEEDED`
 */
export function encodeRowId(key: RowKey): RowId {
  const encoded = typeof key === 'object' ? encodeArray(key) : encodePart(key)
  checkLength(encoded.length)
  return ROW_LETTER + encoded
}

export function rowIdOf(key: Buffer): RowId {
  return key.toString('latin1')
}

export function keyOfRowId(id: RowId): Buffer {
  return Buffer.from(id, 'latin1')
}

/** The same as bytes. */
export function encodeRowKey(key: RowKey): Buffer {
  return keyOfRowId(encodeRowId(key))
}

/** What `encodeRowKey` made, read back; `undefined` for bytes that it never makes. */
export function decodeRowKey(bytes: Buffer): RowKey | undefined {
  if (bytes[1] === ARRAY) {
    const parts: RowKeyPart[] = []
    for (let at = 2; at < bytes.length; ) {
      const read = readPart(bytes, at)
      if (read === undefined) return undefined
      parts.push(read.part)
      at = read.end
    }
    return parts.length === 0 ? undefined : parts
  }
  const read = readPart(bytes, 1)
  return read?.end === bytes.length ? read.part : undefined
}

/** Bounds of encoded keys: from `gte`, which belongs to it, to `lt`, which does not. */
export interface KeyBounds {
  gte: Buffer
  lt: Buffer
}

export const ALL_ROWS: KeyBounds = {
  gte: Buffer.from([ROW_PREFIX]),
  lt: Buffer.from([ROW_PREFIX + 1])
}

const RANGE_NAMES = ['gt', 'gte', 'lt', 'lte', 'prefix', 'reverse', 'limit']

/**
 * @throws TypeError for what is no range.
 * @throws StoreError `LIMIT_EXCEEDED`
 */
export function boundsOf(range: RowRange): KeyBounds {
  checkRange(range)
  const lower = [ALL_ROWS.gte]
  const upper = [ALL_ROWS.lt]
  if (range.gte !== undefined) lower.push(encodeRowKey(range.gte))
  if (range.gt !== undefined) lower.push(justBehind(encodeRowKey(range.gt)))
  if (range.lt !== undefined) upper.push(encodeRowKey(range.lt))
  if (range.lte !== undefined) upper.push(justBehind(encodeRowKey(range.lte)))
  if (range.prefix !== undefined) {
    const prefix = encodePrefix(range.prefix)
    lower.push(prefix)
    upper.push(Buffer.concat([prefix, Buffer.from([BEHIND])]))
  }
  return { gte: lower.reduce(later), lt: upper.reduce(earlier) }
}

function checkRange(range: RowRange): void {
  if (typeof range !== 'object' || range === null) {
    throw new TypeError(`A range must be an object, received ${show(range)}`)
  }
  const unknown = Object.keys(range).find((name) => !RANGE_NAMES.includes(name))
  if (unknown !== undefined) throw new TypeError(`A range has no option '${unknown}'`)
  const { limit, reverse } = range
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 0)) {
    throw new TypeError(`'limit' must be a whole number from 0, received ${show(limit)}`)
  }
  if (reverse !== undefined && typeof reverse !== 'boolean') {
    throw new TypeError(`'reverse' must be true or false, received ${show(reverse)}`)
  }
}

function encodePrefix(prefix: string | readonly RowKeyPart[]): Buffer {
  if (typeof prefix !== 'string') {
    if (prefix.length > 0) return encodeRowKey(prefix)
    return Buffer.from([ROW_PREFIX, ARRAY])
  }
  // Without its end, so that longer strings begin with it as well.
  return encodeRowKey(prefix).subarray(0, -1)
}

/** The first key that may stand behind this one: only an array is followed by what it begins. */
function justBehind(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.from([END])])
}

function later(a: Buffer, b: Buffer): Buffer {
  return a.compare(b) >= 0 ? a : b
}

function earlier(a: Buffer, b: Buffer): Buffer {
  return a.compare(b) <= 0 ? a : b
}

function encodeArray(parts: readonly RowKeyPart[] | null): string {
  if (!Array.isArray(parts)) throw new TypeError(`A key cannot be ${show(parts)}`)
  if (parts.length === 0) throw new TypeError('A key that is an array must have a member')
  let encoded = ARRAY_LETTER
  for (const part of parts) {
    encoded += encodePart(part)
    checkLength(encoded.length)
  }
  return encoded
}

function encodePart(part: RowKeyPart): string {
  if (typeof part === 'string') return encodeString(part)
  if (typeof part === 'number' && !Number.isNaN(part)) return encodeNumber(part)
  throw new TypeError(`A key must be of strings and numbers, received ${show(part)}`)
}

const number = Buffer.alloc(8)

function encodeNumber(value: number): string {
  // There is one zero: -0 equals it, and must not be another key.
  number.writeDoubleBE(value === 0 ? 0 : value)
  turnBits(number)
  return NUMBER_LETTER + number.toString('latin1')
}

/** So that negative numbers come before positive ones, and larger ones of them first. */
function turnBits(bytes: Buffer): void {
  if (((bytes[0] ?? 0) & 0x80) === 0) {
    bytes[0] = (bytes[0] ?? 0) | 0x80
    return
  }
  for (let i = 0; i < 8; i++) bytes[i] = ~(bytes[i] ?? 0)
}

function encodeString(text: string): string {
  // Asked before anything is made of it: each unit takes at least a byte.
  checkLength(text.length)
  if (PLAIN.test(text)) return `${STRING_LETTER}${text}${END_LETTER}`
  if (!text.isWellFormed()) throw new TypeError('A key must be well-formed text')
  const bytes = Buffer.from(text, 'utf8').toString('latin1')
  return STRING_LETTER + bytes.replaceAll(END_LETTER, ESCAPED_END) + END_LETTER
}

function checkLength(bytes: number): void {
  if (bytes <= ROW_KEY_BYTES_MAX) return
  const message = `The key of a row takes ${bytes} bytes, the limit is ${ROW_KEY_BYTES_MAX}`
  const details = { limit: 'rowKeyBytes', value: bytes, max: ROW_KEY_BYTES_MAX }
  throw new StoreError('LIMIT_EXCEEDED', message, details)
}

function readPart(bytes: Buffer, at: number): { part: RowKeyPart; end: number } | undefined {
  if (bytes[at] === NUMBER && at + 9 <= bytes.length) {
    const number = Buffer.from(bytes.subarray(at + 1, at + 9))
    if (((number[0] ?? 0) & 0x80) !== 0) number[0] = (number[0] ?? 0) & 0x7f
    else for (let i = 0; i < 8; i++) number[i] = ~(number[i] ?? 0)
    return { part: number.readDoubleBE(0), end: at + 9 }
  }
  return bytes[at] === STRING ? readString(bytes, at + 1) : undefined
}

function readString(bytes: Buffer, at: number): { part: string; end: number } | undefined {
  let text = ''
  for (let from = at; ; ) {
    const end = bytes.indexOf(END, from)
    if (end < 0) return undefined
    text += bytes.toString('utf8', from, end)
    if (bytes[end + 1] !== ESCAPED) return { part: text, end: end + 1 }
    text += '\0'
    from = end + 2
  }
}
