/**
 * LevelDB's table files (`.ldb`), read without LevelDB.
 *
 * LevelDB checks none of its checksums unless told to, which classic-level does not offer: a flipped
 * bit makes it give back other bytes, leave rows out, or end the process. So files are checked here,
 * before it maps them, and read here, when it cannot. The layout is that of LevelDB 1.20,
 * `doc/table_format.md` and `table/format.cc` there: data blocks, filter, meta index, index, footer.
 */
import { type FileHandle, readFile } from 'node:fs/promises'
import { findMaskedEnd, maskedCrc32c } from './crc32c.ts'
import { readFully } from './files.ts'
import { readVarint, uncompressSnappy } from './snappy.ts'

export const FOOTER_BYTES = 48
const MAGIC = 0xdb4775248b80fb57n
/** Behind each block: how it is compressed, and the checksum of block and that byte. */
export const TRAILER_BYTES = 5
const SNAPPY = 1
/** Behind each key: the number of the write, and whether it put or deleted. */
const SEQUENCE_BYTES = 8
const PUT = 1
const BLOCK_BYTES_MAX = 256 * 1024 * 1024
/** The index of 32 MiB of rows takes some 300 KiB. */
const END_BYTES = 256 * 1024

/** What is wrong with a file, and where. */
export interface FileProblem {
  offset: number
  reason: string
  /** The keys that the damaged block holds lie behind the one and not behind the other. */
  after?: Buffer
  upTo?: Buffer
}

export interface TableEntry {
  key: Buffer
  /** `undefined`: deleted. */
  value: Buffer | undefined
  sequence: bigint
}

export interface Handle {
  offset: number
  size: number
}

/** Where the parts of a row lie within its block. */
interface RowPlace {
  /** Bytes of the key before that this key begins with. */
  shared: number
  from: number
  valueFrom: number
  end: number
}

/** A table file in memory, or its end. They are bounded by `maxFileBytes`, beside frames that are larger. */
export class TableFile {
  readonly #bytes: Buffer
  /** Where in the file the bytes begin. */
  readonly #base: number

  constructor(bytes: Buffer, base: number = 0) {
    this.#bytes = bytes
    this.#base = base
  }

  static async read(path: string): Promise<TableFile> {
    return new TableFile(await readFile(path))
  }

  /**
   * Reads the end of a file, which says where its blocks are.
   *
   * @throws RangeError where that is damaged.
   */
  static async readEnd(file: FileHandle, length: number): Promise<TableFile> {
    for (let wanted = END_BYTES; ; ) {
      const base = Math.max(length - wanted, 0)
      const bytes = Buffer.allocUnsafeSlow(length - base)
      const read = await readFully(file, bytes, base)
      const end = new TableFile(bytes.subarray(0, read), base)
      const { meta, index } = end.#footer()
      wanted = length - Math.min(meta.offset, index.offset)
      if (wanted <= bytes.length) return end
    }
  }

  get length(): number {
    return this.#base + this.#bytes.length
  }

  /**
   * Every entry of every block that is whole, whatever became of the others.
   *
   * @param keys Blocks that cannot hold any of them may be left out.
   */
  *entries(keys?: readonly Buffer[]): Generator<TableEntry> {
    for (const handle of this.#dataHandles(keys)) {
      if (!this.#isWhole(handle)) continue
      yield* this.#entriesOf(handle)
    }
  }

  /**
   * All blocks in the order in which they lie in the file. Keys are not made: opening checks thousands.
   *
   * @throws RangeError where what says so is damaged.
   */
  blocks(): Handle[] {
    const { meta, index } = this.#footer()
    const blocks = [...this.#named(index), ...this.#named(meta), meta, index]
    return blocks.sort((a, b) => a.offset - b.offset)
  }

  /** The blocks that an index names. */
  #named(index: Handle): Handle[] {
    const block = this.#contents(index)
    return Array.from(placesIn(block), ({ valueFrom }) => readHandle(block, valueFrom).handle)
  }

  /** The keys that the rows of a data block lie between; of other blocks, none. */
  boundsOf({ offset }: Handle): Pick<FileProblem, 'after' | 'upTo'> {
    let after: Buffer | undefined
    for (const [internal, value] of this.#rowsOf(this.#footer().index)) {
      const upTo = userKey(internal)
      if (readHandle(value, 0).handle.offset === offset) return { ...(after && { after }), upTo }
      after = upTo
    }
    return {}
  }

  /** The data blocks that the index names; without a whole index, those found by walking. */
  *#dataHandles(keys?: readonly Buffer[]): Generator<Handle> {
    let index: [Buffer, Buffer][]
    try {
      index = [...this.#rowsOf(this.#footer().index)]
    } catch {
      // The index is for finding blocks fast. Blocks are told by their checksums as well.
      yield* this.#foundHandles()
      return
    }
    let after: Buffer | undefined
    for (const [internal, value] of index) {
      const upTo = userKey(internal)
      // Two writes of one key may lie in neighbouring blocks: the bound before is part of the block.
      const isIn = (key: Buffer): boolean =>
        key.compare(upTo) <= 0 && (after === undefined || key.compare(after) >= 0)
      if (keys === undefined || keys.some(isIn)) yield readHandle(value, 0).handle
      after = upTo
    }
  }

  /** Blocks found from the front, each where the one before ended, as long as they are whole. */
  *#foundHandles(): Generator<Handle> {
    let offset = 0
    while (offset < this.length) {
      const end = findMaskedEnd(this.#bytes, offset)
      if (end === -1) return
      yield { offset, size: end - 1 - offset }
      offset = end + 4
    }
  }

  #footer(): { meta: Handle; index: Handle } {
    const start = this.length - FOOTER_BYTES
    if (start < this.#base) throw new RangeError('the file is shorter than its footer')
    if (this.#bytes.readBigUInt64LE(this.#bytes.length - 8) !== MAGIC) {
      throw new RangeError('the footer is damaged')
    }
    const { handle: meta, next } = readHandle(this.#bytes, start - this.#base)
    const { handle: index } = readHandle(this.#bytes, next)
    for (const { offset, size } of [meta, index]) {
      if (offset + size + TRAILER_BYTES > start) throw new RangeError('the footer is damaged')
    }
    return { meta, index }
  }

  #isWhole({ offset, size }: Handle): boolean {
    return isWhole(this.#bytes, offset - this.#base, size)
  }

  #contents(handle: Handle): Buffer {
    if (!this.#isWhole(handle)) throw new RangeError('a block is damaged')
    const at = handle.offset - this.#base
    const block = this.#bytes.subarray(at, at + handle.size)
    return this.#bytes[at + handle.size] === SNAPPY
      ? uncompressSnappy(block, BLOCK_BYTES_MAX)
      : block
  }

  *#entriesOf(handle: Handle): Generator<TableEntry> {
    for (const [internal, value] of this.#rowsOf(handle)) {
      if (internal.length < SEQUENCE_BYTES) continue
      const { key, sequence, isPut } = parseInternalKey(internal)
      yield { key, value: isPut ? value : undefined, sequence }
    }
  }

  /** The rows of one block: each key repeats a part of the one before. */
  *#rowsOf(handle: Handle): Generator<[Buffer, Buffer]> {
    const block = this.#contents(handle)
    let key = Buffer.alloc(0)
    for (const { shared, from, valueFrom, end } of placesIn(block)) {
      key = Buffer.concat([key.subarray(0, shared), block.subarray(from, valueFrom)])
      yield [key, block.subarray(valueFrom, end)]
    }
  }
}

/** Whether bytes hold a block of that size, and behind it the checksum of it. */
export function isWhole(bytes: Buffer, at: number, size: number): boolean {
  const end = at + size + 1
  if (end + 4 > bytes.length) return false
  return maskedCrc32c(bytes.subarray(at, end)) === bytes.readUInt32LE(end)
}

/** @throws RangeError on what is no block of rows. */
function* placesIn(block: Buffer): Generator<RowPlace> {
  if (block.length < 4) throw new RangeError('a block without its restarts')
  const restarts = block.readUInt32LE(block.length - 4)
  const last = block.length - 4 - restarts * 4
  let at = 0
  let keyLength = 0
  while (at < last) {
    const shared = readVarint(block, at)
    const added = readVarint(block, shared.next)
    const length = readVarint(block, added.next)
    const from = length.next
    const valueFrom = from + added.value
    const end = valueFrom + length.value
    if (shared.value > keyLength || end > last) throw new RangeError('a row is cut')
    yield { shared: shared.value, from, valueFrom, end }
    keyLength = shared.value + added.value
    at = end
  }
}

/**
 * Takes a key of LevelDB's own apart: the key of the row, the number of the write, and whether it put.
 *
 * @throws RangeError on what is none.
 */
export function parseInternalKey(internal: Buffer): Omit<TableEntry, 'value'> & { isPut: boolean } {
  const end = internal.length - SEQUENCE_BYTES
  if (end < 0) throw new RangeError('a key without the number of its write')
  const tag = internal.readBigUInt64LE(end)
  return { key: internal.subarray(0, end), sequence: tag >> 8n, isPut: Number(tag & 255n) === PUT }
}

/** A key without the number of its write. */
function userKey(internal: Buffer): Buffer {
  return internal.subarray(0, Math.max(internal.length - SEQUENCE_BYTES, 0))
}

function readHandle(bytes: Uint8Array, at: number): { handle: Handle; next: number } {
  const offset = readVarint(bytes, at)
  const size = readVarint(bytes, offset.next)
  return { handle: { offset: offset.value, size: size.value }, next: size.next }
}
