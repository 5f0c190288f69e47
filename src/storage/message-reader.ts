/**
 * Reads MessagePack without making arrays of its values first: for what is read a million times. What
 * it meets may be anything; it goes no further than the bytes that it was given.
 */
import { unpack } from './codec.ts'

const FLOAT = 0xca
const DOUBLE = 0xcb
const NIL = 0xc0
const ID_BYTES = 16

/** Bytes that are no MessagePack, or of another shape than was asked for. */
export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage'
}

/** A stretch of the bytes; none where `end` is 0. */
export interface Span {
  at: number
  end: number
}

export class MessageReader {
  readonly bytes: Buffer
  #at: number

  /** @param at Where the message begins. It ends with the bytes. */
  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes
    this.#at = at
  }

  /** Where the next value begins. */
  get at(): number {
    return this.#at
  }

  /** Goes back to where an earlier value began. */
  goTo(at: number): void {
    this.#at = at
  }

  get isAtEnd(): boolean {
    return this.#at === this.bytes.length
  }

  /** Whether the next value is nil, which then is read. */
  nil(): boolean {
    if (this.bytes[this.#at] !== NIL) return false
    this.#at += 1
    return true
  }

  /** How many elements follow. */
  array(): number {
    const tag = this.#tag()
    if (tag >= 0x90 && tag < 0xa0) return tag & 0x0f
    if (tag === 0xdc) return this.bytes.readUInt16BE(this.#take(2))
    if (tag === 0xdd) return this.bytes.readUInt32BE(this.#take(4))
    throw this.#unexpected('an array')
  }

  number(): number {
    const tag = this.#tag()
    if (tag < 0x80) return tag
    const { bytes } = this
    switch (tag) {
      case FLOAT:
        return bytes.readFloatBE(this.#take(4))
      case DOUBLE:
        return bytes.readDoubleBE(this.#take(8))
      case 0xcc:
        return bytes.readUInt8(this.#take(1))
      case 0xcd:
        return bytes.readUInt16BE(this.#take(2))
      case 0xce:
        return bytes.readUInt32BE(this.#take(4))
      case 0xcf:
        return Number(bytes.readBigUInt64BE(this.#take(8)))
      case 0xd0:
        return bytes.readInt8(this.#take(1))
      case 0xd1:
        return bytes.readInt16BE(this.#take(2))
      case 0xd2:
        return bytes.readInt32BE(this.#take(4))
      case 0xd3:
        return Number(bytes.readBigInt64BE(this.#take(8)))
      default:
        if (tag >= 0xe0) return tag - 0x100
        throw this.#unexpected('a number')
    }
  }

  integer(): number {
    const value = this.number()
    if (Number.isSafeInteger(value)) return value
    throw this.#unexpected('an integer')
  }

  boolean(): boolean {
    const tag = this.#tag()
    if (tag === 0xc3) return true
    if (tag === 0xc2) return false
    throw this.#unexpected('a boolean')
  }

  text(): string {
    const length = this.#textLength()
    const at = this.#take(length)
    return this.bytes.toString('utf8', at, at + length)
  }

  /** A text where it lies, as UTF-8. */
  textAt(into: Span): void {
    const length = this.#textLength()
    into.at = this.#take(length)
    into.end = this.#at
  }

  /** A view of the bytes. */
  binary(): Buffer {
    const length = this.#binaryLength()
    const at = this.#take(length)
    return this.bytes.subarray(at, at + length)
  }

  /** Bytes where they lie. */
  binaryAt(into: Span): void {
    const length = this.#binaryLength()
    into.at = this.#take(length)
    into.end = this.#at
  }

  /** 16 bytes, as 32 lower-case hex digits. */
  hexId(): string {
    const length = this.#binaryLength()
    if (length !== ID_BYTES) throw this.#unexpected('16 bytes')
    const at = this.#take(length)
    return this.bytes.toString('hex', at, at + length)
  }

  /** Any other value, by the general decoder. */
  value(): unknown {
    const at = this.#at
    this.skip()
    try {
      return unpack(this.bytes.subarray(at, this.#at))
    } catch (cause) {
      throw new MalformedMessage(cause instanceof Error ? cause.message : String(cause), { cause })
    }
  }

  /** Passes over a value, whatever it is. */
  skip(): void {
    // Counted, not descended into: nesting is as deep as whoever wrote it liked.
    for (let left = 1; left > 0; left--) left += this.#skipHead()
  }

  /** Passes over a value up to what it contains. @returns How many values that are. */
  #skipHead(): number {
    const tag = this.#tag()
    if (tag < 0x80 || tag >= 0xe0) return 0
    if (tag < 0x90) return (tag & 0x0f) * 2
    if (tag < 0xa0) return tag & 0x0f
    if (tag < 0xc0) {
      this.#take(tag & 0x1f)
      return 0
    }
    const { bytes } = this
    switch (tag) {
      case NIL:
      case 0xc2:
      case 0xc3:
        return 0
      case 0xc4:
      case 0xd9:
        this.#take(bytes.readUInt8(this.#take(1)))
        return 0
      case 0xc5:
      case 0xda:
        this.#take(bytes.readUInt16BE(this.#take(2)))
        return 0
      case 0xc6:
      case 0xdb:
        this.#take(bytes.readUInt32BE(this.#take(4)))
        return 0
      case 0xcc:
      case 0xd0:
        this.#take(1)
        return 0
      case 0xcd:
      case 0xd1:
        this.#take(2)
        return 0
      case FLOAT:
      case 0xce:
      case 0xd2:
        this.#take(4)
        return 0
      case DOUBLE:
      case 0xcf:
      case 0xd3:
        this.#take(8)
        return 0
      case 0xdc:
        return bytes.readUInt16BE(this.#take(2))
      case 0xdd:
        return bytes.readUInt32BE(this.#take(4))
      case 0xde:
        return bytes.readUInt16BE(this.#take(2)) * 2
      case 0xdf:
        return bytes.readUInt32BE(this.#take(4)) * 2
      default:
        // Extensions are never written here.
        throw this.#unexpected('a value')
    }
  }

  #textLength(): number {
    const tag = this.#tag()
    if (tag >= 0xa0 && tag < 0xc0) return tag & 0x1f
    if (tag === 0xd9) return this.bytes.readUInt8(this.#take(1))
    if (tag === 0xda) return this.bytes.readUInt16BE(this.#take(2))
    if (tag === 0xdb) return this.bytes.readUInt32BE(this.#take(4))
    throw this.#unexpected('a text')
  }

  #binaryLength(): number {
    const tag = this.#tag()
    if (tag === 0xc4) return this.bytes.readUInt8(this.#take(1))
    if (tag === 0xc5) return this.bytes.readUInt16BE(this.#take(2))
    if (tag === 0xc6) return this.bytes.readUInt32BE(this.#take(4))
    throw this.#unexpected('bytes')
  }

  #tag(): number {
    const tag = this.bytes[this.#at]
    if (tag === undefined) throw new MalformedMessage(`it ends at byte ${this.#at}`)
    this.#at += 1
    return tag
  }

  /** Goes past so many bytes. @returns Where they begin. */
  #take(length: number): number {
    const at = this.#at
    if (at + length > this.bytes.length) {
      throw new MalformedMessage(`${length} bytes from byte ${at} on are more than there are`)
    }
    this.#at = at + length
    return at
  }

  #unexpected(expected: string): MalformedMessage {
    return new MalformedMessage(`before byte ${this.#at} is not ${expected}`)
  }
}
