/**
 * How fields and values of metadata stand in the keys of indexes.
 *
 *     field = length of its name in bytes u16, its name UTF-8
 *     kind  = type (1 string, 2 number, 3 boolean) × 2, + 1 for an element of an array
 *     value = string: its code units, so that bytes sort as `<` does, 0x00 as 0x00 0xff, an end
 *             number: IEEE 754 big endian, sign turned or all bits turned
 *             boolean: one byte
 *
 * A long string is cut, and its end says so: all that begin alike share one value, and whoever
 * reads it looks at the concepts themselves.
 */
import { assert } from '../../assert.ts'
import type { IndexType } from '../../options.ts'
import { PREFIX } from './keys.ts'

export type IndexedValue = string | number | boolean
/** What a posting stands for: the field is that value, or is an array that holds it. */
export type PostingKind = 'scalar' | 'element'

/** Of what is encoded, before zeros are written as two. */
const STRING_BYTES_MAX = 64
const END_WHOLE = 0x01
const END_CUT = 0x02
const ZERO_ESCAPED = 0xff

const TYPE_CODES: Readonly<Record<IndexType, number>> = { string: 1, number: 2, boolean: 3 }
const TAIL_BYTES = 3

/** Bytes in front of the values of one field and kind. */
export function fieldPrefix(field: string, type: IndexType, kind: PostingKind): Buffer {
  return prefixOf(PREFIX.posting, field, kindByte(type, kind))
}

export function countPrefix(field: string, type: IndexType, kind: PostingKind): Buffer {
  return prefixOf(PREFIX.valueCount, field, kindByte(type, kind))
}

/** All rows of an index, of values or of their counts: both kinds stand side by side. */
export function indexRange(
  prefix: number,
  field: string,
  type: IndexType
): { gte: Buffer; lt: Buffer } {
  const first = kindByte(type, 'scalar')
  return { gte: prefixOf(prefix, field, first), lt: prefixOf(prefix, field, first + 2) }
}

/** Which index a row of `f` or `g` belongs to. */
export function indexOf(key: Buffer): { field: string; type: IndexType | undefined } {
  const end = 3 + key.readUInt16BE(1)
  const code = key.readUInt8(end) >> 1
  const type = (['string', 'number', 'boolean'] as const).find((one) => TYPE_CODES[one] === code)
  return { field: key.toString('utf8', 3, end), type }
}

function kindByte(type: IndexType, kind: PostingKind): number {
  return TYPE_CODES[type] * 2 + Number(kind === 'element')
}

function prefixOf(prefix: number, field: string, kind: number): Buffer {
  const length = Buffer.byteLength(field)
  const bytes = Buffer.allocUnsafe(4 + length)
  bytes[0] = prefix
  bytes.writeUInt16BE(length, 1)
  bytes.write(field, 3, 'utf8')
  bytes[3 + length] = kind
  return bytes
}

/** The value as it stands in keys, and whether that is all of it. */
export function encodeValue(value: IndexedValue): Buffer {
  if (typeof value === 'string') return encodeString(value)
  if (typeof value === 'boolean') return Buffer.from([Number(value)])
  return encodeNumber(value)
}

/** Whether a value was cut, so that others stand under the same bytes. */
export function isCut(value: IndexedValue, encoded: Buffer): boolean {
  return typeof value === 'string' && encoded[encoded.length - 1] === END_CUT
}

function encodeNumber(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8)
  // Minus zero is equal to zero, and so are its bytes then.
  bytes.writeDoubleBE(value + 0)
  if ((bytes[0] ?? 0) < 0x80) bytes[0] = (bytes[0] ?? 0) | 0x80
  else for (let at = 0; at < 8; at++) bytes[at] = ~(bytes[at] ?? 0)
  return bytes
}

function encodeString(text: string): Buffer {
  // No more code units are looked at than can matter: a text may be long.
  const whole = unitBytes(text.slice(0, STRING_BYTES_MAX + 1))
  const isWhole = whole.length <= STRING_BYTES_MAX
  const kept = isWhole ? whole : whole.subarray(0, STRING_BYTES_MAX)
  if (!kept.includes(0)) return Buffer.concat([kept, ends(isWhole)])
  const escaped: number[] = []
  for (const byte of kept) {
    escaped.push(byte)
    if (byte === 0) escaped.push(ZERO_ESCAPED)
  }
  return Buffer.concat([Buffer.from(escaped), ends(isWhole)])
}

function ends(isWhole: boolean): Buffer {
  return Buffer.from([0, isWhole ? END_WHOLE : END_CUT])
}

/**
 * UTF-8, but of each code unit by itself: where characters take two, UTF-8 sorts by characters,
 * and JavaScript by code units.
 */
function unitBytes(text: string): Buffer {
  if (!/[\ud800-\udfff]/.test(text)) return Buffer.from(text, 'utf8')
  const bytes: number[] = []
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit < 0x80) bytes.push(unit)
    else if (unit < 0x800) bytes.push(0xc0 | (unit >> 6), 0x80 | (unit & 63))
    else bytes.push(0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 63), 0x80 | (unit & 63))
  }
  return Buffer.from(bytes)
}

/** The row of one part of one group of ordinals; part 0 comes first. */
export function postingKey(prefix: Uint8Array, group: number, part: number): Buffer {
  const key = Buffer.allocUnsafe(prefix.length + TAIL_BYTES)
  key.set(prefix)
  key.writeUInt16BE(group, prefix.length)
  key[prefix.length + 2] = part
  return key
}

export function groupOf(key: Buffer): number {
  return key.readUInt16BE(key.length - TAIL_BYTES)
}

/** The first bytes behind all that begin with these. */
export function behind(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix)
  const last = end.findLastIndex((byte) => byte < 0xff)
  assert(last >= 0, 'a key of an index begins with a letter')
  end[last] = (end[last] ?? 0) + 1
  return end.subarray(0, last + 1)
}
