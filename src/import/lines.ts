import { isUtf8 } from 'node:buffer'

/** One line of a source, or the reason why it cannot be read. */
export interface Line {
  /** Counted from 1; blank lines count. */
  readonly number: number
  /** In UTF-16 units for text that is valid: the same wherever the blocks end. */
  readonly bytes: number
  /** Bytes of the source before it, where they are known: about once in a block. */
  readonly start?: number | undefined
  /** Without its line end. With a fault it is absent, or what can be shown of it. */
  readonly text: string | undefined
  readonly fault: string | undefined
}

const LF = 10
const BOM = Buffer.from([0xef, 0xbb, 0xbf])

/** A block is decoded in one go: it bounds both the string made of it and the time that takes. */
const BLOCK_BYTES = 256 * 1024
export const LINE_BYTES_MAX: number = 64 * 1024 * 1024

/**
 * Splits the bytes of one source into lines, wherever its chunks end. Holds one unfinished line,
 * never more than `maxBytes` of it: a longer one is counted, reported and forgotten.
 */
export class LineSplitter {
  readonly #maxBytes: number
  readonly #isRaw: boolean
  #number = 0
  /** The unfinished line: copied, because a source may reuse its chunk. Grows by doubling. */
  #kept: Buffer = Buffer.alloc(0)
  #length = 0
  /** Bytes of the source before the unfinished line, and before the present chunk. */
  #start = 0
  #read = 0

  /**
   * @param isRaw For formats in which a line is less than a record: keeps the CR of a line end, and
   *   gives what is no valid UTF-8 with its fault as text in which the bad bytes are replaced.
   */
  constructor(maxBytes: number = LINE_BYTES_MAX, isRaw = false) {
    this.#maxBytes = maxBytes
    this.#isRaw = isRaw
  }

  /** For a source that is not read from its beginning: what comes next stands there. */
  beginAt({ offset, line }: { offset: number; line: number }): void {
    this.#start = offset
    this.#read = offset
    this.#number = line - 1
  }

  /** Yields the lines that this chunk ends. Take all of them before the next chunk. */
  *push(chunk: Uint8Array): Generator<Line, void> {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    for (let from = 0; from < bytes.length; from += BLOCK_BYTES) {
      const block = bytes.subarray(from, from + BLOCK_BYTES)
      const first = block.indexOf(LF)
      if (first === -1) {
        this.#keep(block)
        continue
      }
      const last = block.lastIndexOf(LF)
      this.#keep(block.subarray(0, first))
      yield { ...this.#takeKept(), start: this.#start }
      if (last > first) yield* this.#split(block.subarray(first + 1, last))
      this.#keep(block.subarray(last + 1))
      this.#start = this.#read + from + last + 1
    }
    this.#read += bytes.length
  }

  /** Yields the last line when no newline ended it. */
  *end(): Generator<Line, void> {
    if (this.#length > 0) yield this.#takeKept()
  }

  #keep(piece: Buffer): void {
    const length = this.#length + piece.length
    if (length > this.#maxBytes) {
      this.#kept = Buffer.alloc(0)
    } else if (length > this.#kept.length) {
      const grown = Buffer.allocUnsafe(Math.max(length, 2 * this.#kept.length))
      this.#kept.copy(grown, 0, 0, this.#length)
      this.#kept = grown
    }
    if (length <= this.#maxBytes) piece.copy(this.#kept, this.#length)
    this.#length = length
  }

  #takeKept(): Line {
    const length = this.#length
    this.#length = 0
    if (length > this.#maxBytes) return this.#tooLong(length)
    const line = this.#kept.subarray(0, length)
    // One long line must not hold its memory until the end of the source.
    if (this.#kept.length > BLOCK_BYTES) this.#kept = Buffer.alloc(0)
    const marked = this.#number === 0 && line.subarray(0, BOM.length).equals(BOM)
    return this.#decode(marked ? line.subarray(BOM.length) : line)
  }

  /** Splits whole lines, the last without its newline. */
  *#split(block: Buffer): Generator<Line, void> {
    // One check and one string for the whole block cost a third of one for each line.
    if (block.length > this.#maxBytes || !isUtf8(block)) return yield* this.#splitBytes(block)
    const text = block.toString('utf8')
    for (let from = 0; from <= text.length; ) {
      const newline = text.indexOf('\n', from)
      const to = newline === -1 ? text.length : newline
      yield this.#line(text.slice(from, to), to - from)
      from = to + 1
    }
  }

  *#splitBytes(block: Buffer): Generator<Line, void> {
    for (let from = 0; from <= block.length; ) {
      const newline = block.indexOf(LF, from)
      const to = newline === -1 ? block.length : newline
      const line = block.subarray(from, to)
      yield line.length > this.#maxBytes ? this.#tooLong(line.length) : this.#decode(line)
      from = to + 1
    }
  }

  #decode(line: Buffer): Line {
    if (isUtf8(line)) {
      const text = line.toString('utf8')
      return this.#line(text, text.length)
    }
    const shown = this.#isRaw ? line.toString('utf8') : undefined
    return this.#fault('not valid UTF-8', line.length, shown)
  }

  #line(text: string, bytes: number): Line {
    this.#number += 1
    const whole = !this.#isRaw && text.endsWith('\r') ? text.slice(0, -1) : text
    return { number: this.#number, bytes, start: undefined, text: whole, fault: undefined }
  }

  #tooLong(bytes: number): Line {
    return this.#fault(`${bytes} bytes exceed the ${this.#maxBytes} bytes of one line`, 0)
  }

  #fault(fault: string, bytes: number, text?: string): Line {
    this.#number += 1
    return { number: this.#number, bytes, start: undefined, text, fault }
  }
}
