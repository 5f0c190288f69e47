/**
 * Changes a leaf as it is encoded (page.ts), without decoding it.
 *
 * Most changes put one entry into a page of a few hundred bytes. Decoding and encoding the
 * page for that makes a dozen objects; moving the bytes behind the entry makes none. The bytes that
 * come out are those that `encodePage` would give.
 */
import { crc32 } from 'node:zlib'
import type { LevelBatch } from '../../storage/level.ts'
import { PAGE_KEY_BYTES, type Side, writePageKey } from './keys.ts'
import {
  encodePage,
  HEADER_BYTES,
  ID_BYTES,
  KEY_AT,
  LEAF,
  OFFSET_BYTES,
  PAGE_BYTES,
  type Page,
  PageReader,
  ROOT_BYTES,
  TYPE_BYTES
} from './page.ts'
import { copyBytes, copyWords, viewOf, wordsOf } from './words.ts'

/** An encoded entry without its type: where it lies in `bytes`, and the same bytes as a view. */
export interface EncodedEntry {
  bytes: Buffer
  view: DataView
  start: number
  end: number
  /** Its type, and the same as UTF-8. */
  text: string
  name: Buffer
}

/** What became of an entry; `full` when the page must split for it and nothing was changed. */
export type Upserted = 'inserted' | 'replaced' | 'full'

/** The page begins here. Its key stands right before it, so that one checksum covers both. */
const PAGE_AT = 16
const KEY_AT_START: number = PAGE_AT - PAGE_KEY_BYTES

const CRC_BYTES = 4
const FIRST_BYTES = 8 * 1024

/** Copies of whole words write behind the end of a page. */
const SLACK_BYTES = 4

/** Most pages are shorter than this. */
const KEPT_PARTS = 1024

type Parts = (Buffer | undefined)[]

export class LeafEditor {
  #bytes = Buffer.allocUnsafeSlow(FIRST_BYTES)
  #view = viewOf(this.#bytes)
  #words = wordsOf(this.#bytes)
  #key = this.#bytes.subarray(KEY_AT_START, PAGE_AT)
  #end = PAGE_AT
  /** Where the count of types stands. */
  #types = PAGE_AT
  #isRoot = true
  #checksum = 0
  /** By the length of a page: the page behind its key, and before its checksum. */
  #keyed: Parts = []
  #sealed: Parts = []

  // What the last search found: the entry's type, and whether the page has it not yet.
  #type = 0
  #typeAt = 0
  #isNewType = false
  /** Where the offsets begin, right behind the types. */
  #offsets = 0
  #entries = 0
  #count = 0

  /** The page lies here from `start` to `end`, which count bytes. */
  get words(): Int32Array {
    return this.#words
  }

  readonly start: number = PAGE_AT

  /** Of the row that was put last, or that was loaded. */
  get checksum(): number {
    return this.#checksum
  }

  /** Bytes of the row that holds the page as it is now. */
  get rowBytes(): number {
    return this.#end - PAGE_AT + CRC_BYTES
  }

  get end(): number {
    return this.#end
  }

  get isLeaf(): boolean {
    return this.#bytes[PAGE_AT] === LEAF
  }

  /** Takes a copy of an encoded page. @param checksum Of its row, if it is stored. */
  load(source: Buffer, isRoot: boolean, checksum = 0): void {
    this.#begin(source.length, isRoot)
    this.#checksum = checksum
    this.#bytes.set(source, PAGE_AT)
  }

  /** The same of one that begins at a multiple of four bytes. */
  loadWords(
    source: Int32Array,
    start: number,
    end: number,
    { isRoot, checksum }: { isRoot: boolean; checksum: number }
  ): void {
    this.#begin(end - start, isRoot)
    this.#checksum = checksum
    copyWords(source, start, this.#words, PAGE_AT, end - start)
  }

  /** The page as objects, with bytes of its own. */
  toPage(): Page {
    const bytes = Buffer.from(this.#bytes.subarray(PAGE_AT, this.#end))
    return new PageReader(bytes, this.#isRoot).toPage()
  }

  /** Takes the place of a page of objects. */
  take(page: Page): void {
    this.load(encodePage(page), page.root !== undefined)
  }

  /** Puts an entry in its place, or replaces the one with the same sort key. */
  upsert(entry: EncodedEntry, isLoop: boolean): Upserted {
    this.#count = this.#view.getUint32(PAGE_AT + 1, true)
    this.#findType(entry.name)
    const index = this.#lowerBound(entry)
    const at = this.#startOf(index)
    if (index < this.#count && this.#compareAt(at, entry) === 0) {
      return this.#replace(entry, index, at)
    }
    return this.#insert(entry, index, at, isLoop)
  }

  /** Puts the page into a batch, sealed as a row. The batch copies it at once. */
  put(batch: LevelBatch, side: Side, ordinal: number, number: number): void {
    this.#reserve(this.#end + CRC_BYTES)
    writePageKey(this.#key, side, ordinal, number)
    const length = this.#end - PAGE_AT
    this.#checksum = crc32(this.#part(this.#keyed, KEY_AT_START, length))
    this.#view.setUint32(this.#end, this.#checksum, true)
    batch.put(this.#key, this.#part(this.#sealed, PAGE_AT, length))
  }

  /** Bytes of the page with its key or checksum. Views are kept: one costs as much as a checksum. */
  #part(kept: Parts, start: number, length: number): Buffer {
    const known = kept[length]
    if (known !== undefined) return known
    const end = start === PAGE_AT ? CRC_BYTES : 0
    const part = this.#bytes.subarray(start, PAGE_AT + length + end)
    if (length < KEPT_PARTS) kept[length] = part
    return part
  }

  #replace(entry: EncodedEntry, index: number, at: number): Upserted {
    const offsets = this.#offsets
    const next = this.#startOf(index + 1)
    const size = TYPE_BYTES + entry.end - entry.start
    const by = size - (next - at)
    if (this.#count > 1 && this.#end - offsets + by > PAGE_BYTES) return 'full'
    this.#reserve(this.#end + by)
    const view = this.#view
    if (by !== 0) {
      this.#bytes.copyWithin(next + by, next, this.#end)
      for (let i = index + 1; i < this.#count; i++) {
        const offsetAt = offsets + OFFSET_BYTES * i
        view.setUint32(offsetAt, view.getUint32(offsetAt, true) + by, true)
      }
      this.#end += by
    }
    copyBytes(entry.bytes, entry.start, entry.end, this.#bytes, at + TYPE_BYTES)
    return 'replaced'
  }

  #insert(entry: EncodedEntry, index: number, at: number, isLoop: boolean): Upserted {
    const size = TYPE_BYTES + entry.end - entry.start
    const body = this.#end - this.#offsets
    if (this.#count > 0 && body + OFFSET_BYTES + size > PAGE_BYTES) return 'full'
    const typeBytes = this.#isNewType ? 2 + entry.name.length : 0
    this.#reserve(this.#end + typeBytes + OFFSET_BYTES + size)
    // What lies behind the entry moves most and first; what lies before the type stays.
    const by = typeBytes + OFFSET_BYTES
    this.#bytes.copyWithin(at + by + size, at, this.#end)
    this.#bytes.copyWithin(this.#entries + by, this.#entries, at)
    this.#insertOffset(index, at - this.#entries, size, typeBytes)
    if (this.#isNewType) this.#insertType(entry.name)
    this.#view.setUint16(at + by, this.#type, true)
    copyBytes(entry.bytes, entry.start, entry.end, this.#bytes, at + by + TYPE_BYTES)
    this.#end += by + size
    this.#count += 1
    this.#offsets += typeBytes
    this.#entries += by
    if (this.#isNewType) this.#raiseTypes(index + 1)
    this.#countEntry(isLoop)
    return 'inserted'
  }

  #insertOffset(index: number, offset: number, size: number, typeBytes: number): void {
    const view = this.#view
    const to = this.#offsets + typeBytes
    for (let i = this.#count; i > index; i--) {
      const moved = view.getUint32(this.#offsets + OFFSET_BYTES * (i - 1), true) + size
      view.setUint32(to + OFFSET_BYTES * i, moved, true)
    }
    if (typeBytes > 0) {
      this.#bytes.copyWithin(to, this.#offsets, this.#offsets + OFFSET_BYTES * index)
    }
    view.setUint32(to + OFFSET_BYTES * index, offset, true)
  }

  #insertType(name: Buffer): void {
    const at = this.#typeAt
    this.#bytes.copyWithin(at + 2 + name.length, at, this.#offsets)
    this.#view.setUint16(at, name.length, true)
    this.#bytes.set(name, at + 2)
    this.#view.setUint16(this.#types, this.#view.getUint16(this.#types, true) + 1, true)
  }

  /** Types behind a new one have moved on by one. */
  #raiseTypes(from: number): void {
    const view = this.#view
    for (let i = from; i < this.#count; i++) {
      const at = this.#startOf(i)
      view.setUint16(at, view.getUint16(at, true) + 1, true)
    }
  }

  #countEntry(isLoop: boolean): void {
    const view = this.#view
    view.setUint32(PAGE_AT + 1, this.#count, true)
    if (!this.#isRoot) return
    const degreeAt = PAGE_AT + HEADER_BYTES
    view.setUint32(degreeAt, view.getUint32(degreeAt, true) + 1, true)
    if (isLoop) view.setUint32(degreeAt + 4, view.getUint32(degreeAt + 4, true) + 1, true)
  }

  /** Passes the types and finds where the entry's own stands or would go. */
  #findType(name: Buffer): void {
    const view = this.#view
    const types = view.getUint16(this.#types, true)
    let at = this.#types + 2
    this.#type = 0
    this.#typeAt = at
    this.#isNewType = true
    for (let i = 0; i < types; i++) {
      const end = at + 2 + view.getUint16(at, true)
      const order = compareBytes(this.#bytes, at + 2, end, name, 0, name.length)
      if (order < 0) {
        this.#type = i + 1
        this.#typeAt = end
      } else if (order === 0) {
        this.#isNewType = false
      }
      at = end
    }
    this.#offsets = at
    this.#entries = at + OFFSET_BYTES * this.#count
  }

  /** Index of the first entry at or behind the key of another. */
  #lowerBound(entry: EncodedEntry): number {
    let low = 0
    let high = this.#count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#compareAt(this.#startOf(middle), entry) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  #startOf(index: number): number {
    if (index >= this.#count) return this.#end
    return this.#entries + this.#view.getUint32(this.#offsets + OFFSET_BYTES * index, true)
  }

  #compareAt(at: number, entry: EncodedEntry): number {
    const type = this.#view.getUint16(at, true)
    if (this.#isNewType || type !== this.#type) return type < this.#type ? -1 : 1
    return compareKeys(this.#bytes, this.#view, at + TYPE_BYTES, entry)
  }

  #begin(length: number, isRoot: boolean): void {
    this.#reserve(PAGE_AT + length + SLACK_BYTES)
    this.#end = PAGE_AT + length
    this.#isRoot = isRoot
    this.#types = PAGE_AT + (isRoot ? ROOT_BYTES : HEADER_BYTES)
  }

  #reserve(end: number): void {
    if (end <= this.#bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(end, this.#bytes.length * 2))
    this.#bytes.copy(larger, 0, 0, this.#end)
    this.#bytes = larger
    this.#view = viewOf(larger)
    this.#words = wordsOf(larger)
    this.#keyed = []
    this.#sealed = []
    this.#key = larger.subarray(KEY_AT_START, PAGE_AT)
  }
}

/** Ids, then keys. Ids are hashes: they nearly always differ in their first four bytes. */
function compareKeys(bytes: Buffer, view: DataView, at: number, entry: EncodedEntry): number {
  const { start } = entry
  const left = view.getUint32(at)
  const right = entry.view.getUint32(start)
  if (left !== right) return left < right ? -1 : 1
  const idEnd = at + ID_BYTES
  const byId = compareBytes(bytes, at, idEnd, entry.bytes, start, start + ID_BYTES)
  if (byId !== 0) return byId
  const end = at + KEY_AT + view.getUint16(idEnd, true)
  const entryEnd = start + KEY_AT + entry.view.getUint16(start + ID_BYTES, true)
  return compareBytes(bytes, at + KEY_AT, end, entry.bytes, start + KEY_AT, entryEnd)
}

function compareBytes(
  a: Buffer,
  aStart: number,
  aEnd: number,
  b: Buffer,
  bStart: number,
  bEnd: number
): number {
  const length = Math.min(aEnd - aStart, bEnd - bStart)
  for (let i = 0; i < length; i++) {
    const difference = (a[aStart + i] ?? 0) - (b[bStart + i] ?? 0)
    if (difference !== 0) return difference
  }
  return aEnd - aStart - (bEnd - bStart)
}
