/**
 * A page: a node of the B+ tree that holds one side of a concept's associations.
 *
 * Most concepts have few associations: their tree is one leaf and one read. A hub's tree grows
 * downwards from page 0, so that neither a change nor a read of ten touches more than one page a
 * level. Integers are little endian.
 *
 * | part    | layout                                                                            |
 * | ------- | --------------------------------------------------------------------------------- |
 * | header  | kind u8 (1 leaf, 2 inner); entries u32; on page 0 also: degree u32, loops u32, next page u32 |
 * | types   | count u16, then each: length u16, UTF-8                                            |
 * | offsets | u32 each: where an entry begins, counted from the first entry                       |
 * | entries | each: type as its index in `types` u16, then the entry's bytes                      |
 *
 * An entry's bytes are: other end's id 16 bytes, key length u16, key UTF-8, and behind this key
 * part, in a leaf the association (association-row.ts), in an inner page the number of the page
 * below, u32, whose first entry had this key when it was split off.
 */
import type { ConceptId } from '../../ids.ts'
import { compareUtf8, type SortKey } from '../order.ts'

/** Encoded size at which a page splits; LevelDB reads blocks of 4 KiB. */
export const PAGE_BYTES = 4096

export const LEAF = 1
const INNER = 2
export const HEADER_BYTES = 5
export const ROOT_BYTES: number = HEADER_BYTES + 12
export const ID_BYTES = 16
export const TYPE_BYTES = 2
export const OFFSET_BYTES = 4

/** Bytes of an entry up to its key. */
export const KEY_AT: number = ID_BYTES + 2

/** Values of hex digits by their code. A call out of JavaScript costs more than sixteen rounds. */
const DIGITS = new Uint8Array(128)
for (let digit = 0; digit < 16; digit++) DIGITS[digit.toString(16).charCodeAt(0)] = digit

export interface PageEntry {
  /** Type of the association. */
  name: string
  /** Key part and what follows it. Never changed: entries are replaced. */
  bytes: Buffer
}

export interface RootFields {
  /** Associations in the whole tree. */
  degree: number
  /** Those of them that lead back to the concept itself. */
  loops: number
  nextPage: number
}

export interface Page {
  leaf: boolean
  root: RootFields | undefined
  entries: PageEntry[]
  /** Encoded size but for types, kept up to date by whoever changes `entries`. */
  bytes: number
}

export function emptyRoot(): Page {
  return { leaf: true, root: { degree: 0, loops: 0, nextPage: 1 }, entries: [], bytes: 0 }
}

/** What an entry adds to its page's size. */
export function entryBytes(entry: PageEntry): number {
  return OFFSET_BYTES + TYPE_BYTES + entry.bytes.length
}

/** Room for an entry with its key part written; what follows the key is the caller's. */
export function newEntry(key: SortKey, tailBytes: number): PageEntry {
  const keyBytes = key.key === '' ? 0 : Buffer.byteLength(key.key)
  const bytes = Buffer.allocUnsafe(KEY_AT + keyBytes + tailBytes)
  bytes.write(key.otherId, 0, ID_BYTES, 'hex')
  bytes.writeUInt16LE(keyBytes, ID_BYTES)
  if (keyBytes > 0) bytes.write(key.key, KEY_AT, 'utf8')
  return { name: key.name, bytes }
}

/** Writes the key part of an entry; where what follows it begins. */
export function writeKey(out: Buffer, at: number, otherId: ConceptId, key = ''): number {
  for (let i = 0; i < ID_BYTES; i++) {
    const high = DIGITS[otherId.charCodeAt(2 * i)] ?? 0
    const low = DIGITS[otherId.charCodeAt(2 * i + 1)] ?? 0
    out[at + i] = (high << 4) | low
  }
  return writeText(out, at + ID_BYTES, key)
}

/** Writes the length of a text as u16, and its UTF-8; where it ends. */
export function writeText(out: Buffer, at: number, text: string): number {
  const start = at + 2
  const end = text === '' ? start : start + out.write(text, start, 'utf8')
  out.writeUInt16LE(end - start, at)
  return end
}

/** Where the bytes behind the key part begin. */
export function tailAt(bytes: Buffer): number {
  return KEY_AT + bytes.readUInt16LE(ID_BYTES)
}

export function otherIdOf(entry: PageEntry): ConceptId {
  // Sixteen bytes always make a well-formed id.
  return entry.bytes.toString('hex', 0, ID_BYTES) as ConceptId
}

export function keyOf(entry: PageEntry): string {
  const end = tailAt(entry.bytes)
  return end === KEY_AT ? '' : entry.bytes.toString('utf8', KEY_AT, end)
}

/** An entry of an inner page for a page whose first entry is `first`. */
export function childEntry(first: PageEntry, page: number): PageEntry {
  const end = tailAt(first.bytes)
  const bytes = Buffer.allocUnsafe(end + 4)
  first.bytes.copy(bytes, 0, 0, end)
  bytes.writeUInt32LE(page, end)
  return { name: first.name, bytes }
}

export function childOf(entry: PageEntry): number {
  return entry.bytes.readUInt32LE(tailAt(entry.bytes))
}

/** The order of order.ts, on bytes. */
export function compareEntries(a: PageEntry, b: PageEntry): number {
  return compareUtf8(a.name, b.name) || compareKeys(a.bytes, 0, b.bytes)
}

/** Index of the first entry at or behind a key. */
export function lowerBound(entries: readonly PageEntry[], key: PageEntry): number {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const entry = entries[middle]
    if (entry !== undefined && compareEntries(entry, key) < 0) low = middle + 1
    else high = middle
  }
  return low
}

export function encodePage(page: Page): Buffer {
  const { entries, root, leaf } = page
  const names: Buffer[] = []
  let head = (root === undefined ? HEADER_BYTES : ROOT_BYTES) + 2
  let body = 0
  let previous: string | undefined
  for (const { name, bytes } of entries) {
    body += TYPE_BYTES + bytes.length
    // Entries are sorted by type, so a type that is not the last one is new.
    if (name === previous) continue
    previous = name
    const encoded = Buffer.from(name)
    names.push(encoded)
    head += 2 + encoded.length
  }
  const out = Buffer.allocUnsafe(head + OFFSET_BYTES * entries.length + body)
  out[0] = leaf ? LEAF : INNER
  out.writeUInt32LE(entries.length, 1)
  let at = HEADER_BYTES
  if (root !== undefined) {
    out.writeUInt32LE(root.degree, at)
    out.writeUInt32LE(root.loops, at + 4)
    out.writeUInt32LE(root.nextPage, at + 8)
    at = ROOT_BYTES
  }
  at = out.writeUInt16LE(names.length, at)
  for (const name of names) {
    at = out.writeUInt16LE(name.length, at)
    at += name.copy(out, at)
  }
  writeEntries(out, at, entries)
  return out
}

function writeEntries(out: Buffer, offsetsAt: number, entries: readonly PageEntry[]): void {
  const start = offsetsAt + OFFSET_BYTES * entries.length
  let offsetAt = offsetsAt
  let at = start
  let type = -1
  let previous: string | undefined
  for (const { name, bytes } of entries) {
    if (name !== previous) type += 1
    previous = name
    offsetAt = out.writeUInt32LE(at - start, offsetAt)
    at = out.writeUInt16LE(type, at)
    out.set(bytes, at)
    at += bytes.length
  }
}

/** Reads single entries out of an encoded page, without decoding the rest. */
export class PageReader {
  readonly leaf: boolean
  readonly count: number
  readonly root: RootFields | undefined
  readonly #bytes: Buffer
  readonly #types: string[] = []
  readonly #offsets: number
  readonly #entries: number

  constructor(bytes: Buffer, isRoot: boolean) {
    this.#bytes = bytes
    const [kind] = bytes
    if (kind !== LEAF && kind !== INNER) throw new RangeError(`a page of kind ${kind}`)
    this.leaf = kind === LEAF
    this.count = bytes.readUInt32LE(1)
    this.root = isRoot
      ? {
          degree: bytes.readUInt32LE(5),
          loops: bytes.readUInt32LE(9),
          nextPage: bytes.readUInt32LE(13)
        }
      : undefined
    let at = isRoot ? ROOT_BYTES : HEADER_BYTES
    const types = bytes.readUInt16LE(at)
    at += 2
    for (let i = 0; i < types; i++) {
      const length = bytes.readUInt16LE(at)
      this.#types.push(bytes.toString('utf8', at + 2, at + 2 + length))
      at += 2 + length
    }
    this.#offsets = at
    this.#entries = at + OFFSET_BYTES * this.count
    if (this.#entries > bytes.length) throw new RangeError('a page is cut')
  }

  entryAt(index: number): PageEntry {
    const start = this.#start(index)
    const end = index + 1 < this.count ? this.#start(index + 1) : this.#bytes.length
    return {
      name: this.#nameAt(start),
      bytes: this.#bytes.subarray(start + TYPE_BYTES, end)
    }
  }

  decodeAll<T>(decode: (entry: PageEntry) => T): T[] {
    const found: T[] = []
    for (let i = 0; i < this.count; i++) found.push(decode(this.entryAt(i)))
    return found
  }

  /** Index of the first entry at or behind a key; `count` when there is none. */
  lowerBound(key: PageEntry): number {
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#compareAt(middle, key) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Index of the first entry behind a key; `count` when there is none. */
  upperBound(key: PageEntry): number {
    const at = this.lowerBound(key)
    return this.isAt(at, key) ? at + 1 : at
  }

  /** Whether the entry at an index has this key. */
  isAt(index: number, key: PageEntry): boolean {
    return index < this.count && this.#compareAt(index, key) === 0
  }

  /** Inner page: index of the child below which a key lies. */
  childFor(key: PageEntry): number {
    // Keys before the first separator belong to the first child.
    return Math.max(0, this.upperBound(key) - 1)
  }

  childAt(index: number): number {
    return childOf(this.entryAt(index))
  }

  /** Decodes the whole page, for changing it. */
  toPage(): Page {
    const entries: PageEntry[] = []
    let bytes = 0
    for (let i = 0; i < this.count; i++) {
      const entry = this.entryAt(i)
      entries.push(entry)
      bytes += entryBytes(entry)
    }
    return { leaf: this.leaf, root: this.root, entries, bytes }
  }

  #compareAt(index: number, key: PageEntry): number {
    const start = this.#start(index)
    const byName = compareUtf8(this.#nameAt(start), key.name)
    return byName !== 0 ? byName : compareKeys(this.#bytes, start + TYPE_BYTES, key.bytes)
  }

  #nameAt(start: number): string {
    return this.#types[this.#bytes.readUInt16LE(start)] ?? ''
  }

  #start(index: number): number {
    return this.#entries + this.#bytes.readUInt32LE(this.#offsets + OFFSET_BYTES * index)
  }
}

/** Compares key parts: ids, then keys. Ids nearly always differ in their first bytes. */
function compareKeys(a: Buffer, aStart: number, b: Buffer): number {
  for (let i = 0; i < ID_BYTES; i++) {
    const difference = (a[aStart + i] ?? 0) - (b[i] ?? 0)
    if (difference !== 0) return difference
  }
  const aLength = a.readUInt16LE(aStart + ID_BYTES)
  const bLength = b.readUInt16LE(ID_BYTES)
  if (aLength === 0 || bLength === 0) return aLength - bLength
  const aKey = aStart + KEY_AT
  return a.compare(b, KEY_AT, KEY_AT + bLength, aKey, aKey + aLength)
}
