/**
 * Writes MessagePack without making the values first: for what is written a million times. Byte for
 * byte what `pack` of codec.ts makes of the same values; a test compares the two.
 */
import { assert } from '../assert.ts'
import { pack } from './codec.ts'

const FIRST_BYTES = 64 * 1024
/** A larger buffer is let go: one commit of 64 MiB must not stay for the life of the process. */
const KEPT_BYTES = 4 * 1024 * 1024
const NUMBER_BYTES = 9
const HEADER_BYTES = 5
/** UTF-8 has at most three bytes for each unit of UTF-16. */
const BYTES_PER_UNIT = 3
/** Up to here a loop is faster than a call that leaves JavaScript. */
const LOOP_CHARACTERS = 48
const ID_DIGITS = 32
const ID_BYTES = ID_DIGITS / 2
const TYPED_ARRAY = 0x74
/** Kinds of typed arrays in the order of their numbers in that extension. */
export const TYPED_ARRAYS: readonly string[] = [
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array'
]

export class MessageWriter {
  #buffer: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES)
  #at = 0

  /** Begins a new message, behind as many bytes as the caller fills by itself. */
  begin(headerBytes = 0): void {
    if (this.#buffer.length > KEPT_BYTES) this.#buffer = Buffer.allocUnsafeSlow(FIRST_BYTES)
    assert(headerBytes <= FIRST_BYTES, 'a header fits into the first buffer')
    this.#at = headerBytes
  }

  /** Where the next value will stand. */
  get at(): number {
    return this.#at
  }

  /** A copy of what was written: the next message is written over it. */
  finish(): Buffer {
    const copy = Buffer.allocUnsafeSlow(this.#at)
    this.#buffer.copy(copy, 0, 0, this.#at)
    return copy
  }

  /** The same from the pool of small buffers: many are made, and most do not live for long. */
  finishSmall(): Buffer {
    const copy = Buffer.allocUnsafe(this.#at)
    this.#buffer.copy(copy, 0, 0, this.#at)
    return copy
  }

  /** The same as text for addresses. */
  finishAsText(): string {
    return this.#buffer.toString('base64url', 0, this.#at)
  }

  nil(): void {
    this.#byte(0xc0)
  }

  boolean(value: boolean): void {
    this.#byte(value ? 0xc3 : 0xc2)
  }

  number(value: number): void {
    if (value >= 0 && value < 0x80 && Number.isInteger(value)) {
      this.#byte(value)
      return
    }
    this.#reserve(NUMBER_BYTES)
    const buffer = this.#buffer
    const at = this.#at
    if (value >>> 0 === value) {
      this.#at = writeLarge(buffer, at, value)
    } else if (value >> 0 === value) {
      this.#at = writeNegative(buffer, at, value)
    } else {
      buffer[at] = 0xcb
      this.#at = buffer.writeDoubleBE(value, at + 1)
    }
  }

  /** The elements are written behind it, as many as it says. */
  array(length: number): void {
    this.#reserve(HEADER_BYTES)
    const buffer = this.#buffer
    const at = this.#at
    if (length < 0x10) {
      buffer[at] = 0x90 | length
      this.#at = at + 1
    } else if (length < 0x10000) {
      buffer[at] = 0xdc
      this.#at = buffer.writeUInt16BE(length, at + 1)
    } else {
      buffer[at] = 0xdd
      this.#at = buffer.writeUInt32BE(length, at + 1)
    }
  }

  /** The members are written behind it, each as a text and a value. */
  map(size: number): void {
    this.#reserve(HEADER_BYTES)
    const buffer = this.#buffer
    const at = this.#at
    if (size < 0x10000) {
      buffer[at] = 0xde
      this.#at = buffer.writeUInt16BE(size, at + 1)
    } else {
      buffer[at] = 0xdf
      this.#at = buffer.writeUInt32BE(size, at + 1)
    }
  }

  /** @param text Well-formed. */
  text(text: string): void {
    const { length } = text
    this.#reserve(HEADER_BYTES + length * BYTES_PER_UNIT)
    if (length < LOOP_CHARACTERS && this.#ascii(text)) return
    const buffer = this.#buffer
    const at = this.#at
    // The length comes first, but is known last: most texts have a byte for each character.
    let header = textHeaderBytes(length)
    const bytes = buffer.write(text, at + header)
    const needed = textHeaderBytes(bytes)
    if (needed !== header) buffer.copyWithin(at + needed, at + header, at + header + bytes)
    header = needed
    writeTextHeader(buffer, at, header, bytes)
    this.#at = at + header + bytes
  }

  bytes(bytes: Uint8Array): void {
    const { length } = bytes
    this.#reserve(HEADER_BYTES + length)
    const buffer = this.#buffer
    let at = this.#at
    if (length < 0x100) {
      buffer[at] = 0xc4
      at = buffer.writeUInt8(length, at + 1)
    } else if (length < 0x10000) {
      buffer[at] = 0xc5
      at = buffer.writeUInt16BE(length, at + 1)
    } else {
      buffer[at] = 0xc6
      at = buffer.writeUInt32BE(length, at + 1)
    }
    buffer.set(bytes, at)
    this.#at = at + length
  }

  /**
   * An extension that the decoder knows by itself: the kind of the array, and its bytes.
   *
   * @param array One of `TYPED_ARRAYS`.
   */
  typedArray(array: NodeJS.TypedArray): void {
    const { byteLength } = array
    this.#reserve(HEADER_BYTES + 2 + byteLength)
    const buffer = this.#buffer
    let at = this.#at
    if (byteLength < 0xff) {
      buffer[at] = 0xc7
      at = buffer.writeUInt8(byteLength + 1, at + 1)
    } else if (byteLength < 0xffff) {
      buffer[at] = 0xc8
      at = buffer.writeUInt16BE(byteLength + 1, at + 1)
    } else {
      buffer[at] = 0xc9
      at = buffer.writeUInt32BE(byteLength + 1, at + 1)
    }
    buffer[at++] = TYPED_ARRAY
    buffer[at++] = TYPED_ARRAYS.indexOf(array[Symbol.toStringTag])
    buffer.set(new Uint8Array(array.buffer, array.byteOffset, byteLength), at)
    this.#at = at + byteLength
  }

  /** 32 lower-case hex digits, as 16 bytes. */
  hexId(id: string): void {
    this.#reserve(2 + ID_BYTES)
    const buffer = this.#buffer
    let at = this.#at
    buffer[at++] = 0xc4
    buffer[at++] = ID_BYTES
    for (let digit = 0; digit < ID_DIGITS; digit += 2) {
      buffer[at++] = (digitOf(id.charCodeAt(digit)) << 4) | digitOf(id.charCodeAt(digit + 1))
    }
    this.#at = at
  }

  /** Any other value, by the general encoder. */
  value(value: unknown): void {
    const packed = pack(value)
    this.#reserve(packed.length)
    this.#buffer.set(packed, this.#at)
    this.#at += packed.length
  }

  /** Writes a short text of ASCII alone; else nothing. */
  #ascii(text: string): boolean {
    const { length } = text
    const buffer = this.#buffer
    const header = textHeaderBytes(length)
    let at = this.#at + header
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i)
      if (code >= 0x80) return false
      buffer[at++] = code
    }
    writeTextHeader(buffer, this.#at, header, length)
    this.#at = at
    return true
  }

  #byte(value: number): void {
    this.#reserve(1)
    this.#buffer[this.#at] = value
    this.#at += 1
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes > this.#buffer.length) this.#grow(this.#at + bytes)
  }

  #grow(bytes: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(bytes, this.#buffer.length * 2))
    this.#buffer.copy(grown, 0, 0, this.#at)
    this.#buffer = grown
  }
}

function writeLarge(buffer: Buffer, at: number, value: number): number {
  if (value < 0x100) {
    buffer[at] = 0xcc
    return buffer.writeUInt8(value, at + 1)
  }
  if (value < 0x10000) {
    buffer[at] = 0xcd
    return buffer.writeUInt16BE(value, at + 1)
  }
  buffer[at] = 0xce
  return buffer.writeUInt32BE(value, at + 1)
}

function writeNegative(buffer: Buffer, at: number, value: number): number {
  if (value >= -0x20) return buffer.writeInt8(value, at)
  if (value >= -0x80) {
    buffer[at] = 0xd0
    return buffer.writeInt8(value, at + 1)
  }
  if (value >= -0x8000) {
    buffer[at] = 0xd1
    return buffer.writeInt16BE(value, at + 1)
  }
  buffer[at] = 0xd2
  return buffer.writeInt32BE(value, at + 1)
}

function textHeaderBytes(length: number): number {
  if (length < 0x20) return 1
  if (length < 0x100) return 2
  return length < 0x10000 ? 3 : 5
}

function writeTextHeader(buffer: Buffer, at: number, header: number, bytes: number): void {
  if (header === 1) {
    buffer[at] = 0xa0 | bytes
  } else if (header === 2) {
    buffer[at] = 0xd9
    buffer[at + 1] = bytes
  } else if (header === 3) {
    buffer[at] = 0xda
    buffer.writeUInt16BE(bytes, at + 1)
  } else {
    buffer[at] = 0xdb
    buffer.writeUInt32BE(bytes, at + 1)
  }
}

/** The value of a hex digit. */
function digitOf(code: number): number {
  return code < 58 ? code - 48 : code - 87
}
