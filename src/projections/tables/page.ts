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
 * | leaf    | sort key, then the association as it is laid out in `encodeAssociation`              |
 * | inner   | sort key of the first entry below, page u32                                        |
 *
 * A sort key is: type as its index in `types` u16, other end's id 16 bytes, key: length u16, UTF-8.
 */
import type { ConceptId } from '../../ids.ts'
import { compareSortKeys, compareUtf8, type SortKey } from '../order.ts'

/** Encoded size at which a page splits; LevelDB reads blocks of 4 KiB. */
export const PAGE_BYTES = 4096

const LEAF = 1
const INNER = 2
const HEADER_BYTES = 5
const ROOT_BYTES = HEADER_BYTES + 12
const ID_BYTES = 16
const NO_PAYLOAD = Buffer.alloc(0)

export interface PageEntry extends SortKey {
  /** Leaf: the encoded association without its sort key. Inner: empty. */
  payload: Buffer
  /** Inner: the page below. Leaf: 0. */
  child: number
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
  /** Encoded size, kept up to date by whoever changes `entries`; types are counted per entry. */
  bytes: number
}

export function emptyRoot(): Page {
  return { leaf: true, root: { degree: 0, loops: 0, nextPage: 1 }, entries: [], bytes: 0 }
}

/** What an entry adds to its page's size. Types are shared, so this errs on the large side. */
export function entryBytes(entry: PageEntry): number {
  return 4 + 2 + ID_BYTES + 2 + Buffer.byteLength(entry.key) + entry.payload.length + 4
}

export function encodePage(page: Page): Buffer {
  const names: string[] = []
  for (const { name } of page.entries) {
    // Entries are sorted by type, so a type that is not the last one is new.
    if (names.at(-1) !== name) names.push(name)
  }
  const nameBytes = names.map((name) => Buffer.from(name))
  const entries = page.entries.map(encodeEntryHead)
  const head = page.root === undefined ? HEADER_BYTES : ROOT_BYTES
  const typesLength = nameBytes.reduce((sum, name) => sum + 2 + name.length, 2)
  const body = entries.reduce((sum, entry) => sum + entry.length, 0)
  const out = Buffer.allocUnsafe(head + typesLength + 4 * entries.length + body)

  out[0] = page.leaf ? LEAF : INNER
  out.writeUInt32LE(entries.length, 1)
  if (page.root !== undefined) {
    out.writeUInt32LE(page.root.degree, 5)
    out.writeUInt32LE(page.root.loops, 9)
    out.writeUInt32LE(page.root.nextPage, 13)
  }
  let at = out.writeUInt16LE(names.length, head)
  for (const name of nameBytes) {
    at = out.writeUInt16LE(name.length, at)
    at += name.copy(out, at)
  }
  let offset = 0
  for (const entry of entries) {
    at = out.writeUInt32LE(offset, at)
    offset += entry.length
  }
  let type = -1
  let previous: string | undefined
  for (const [i, entry] of entries.entries()) {
    const name = page.entries[i]?.name
    if (name !== previous) type++
    previous = name
    entry.writeUInt16LE(type, 0)
    at += entry.copy(out, at)
  }
  return out
}

function encodeEntryHead(entry: PageEntry): Buffer {
  const keyLength = Buffer.byteLength(entry.key)
  const head = 2 + ID_BYTES + 2 + keyLength
  const tail = entry.payload.length === 0 ? 4 : entry.payload.length
  const out = Buffer.allocUnsafe(head + tail)
  out.write(entry.otherId, 2, ID_BYTES, 'hex')
  out.writeUInt16LE(keyLength, 2 + ID_BYTES)
  out.write(entry.key, 4 + ID_BYTES, 'utf8')
  if (entry.payload.length === 0) out.writeUInt32LE(entry.child, head)
  else entry.payload.copy(out, head)
  return out
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
    this.leaf = bytes[0] === LEAF
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
    this.#entries = at + 4 * this.count
  }

  nameAt(index: number): string {
    return this.#types[this.#bytes.readUInt16LE(this.#start(index))] ?? ''
  }

  otherIdAt(index: number): ConceptId {
    const at = this.#start(index) + 2
    // Sixteen bytes always make a well-formed id.
    return this.#bytes.toString('hex', at, at + ID_BYTES) as ConceptId
  }

  keyAt(index: number): string {
    const at = this.#start(index) + 2 + ID_BYTES
    const length = this.#bytes.readUInt16LE(at)
    return length === 0 ? '' : this.#bytes.toString('utf8', at + 2, at + 2 + length)
  }

  sortKeyAt(index: number): SortKey {
    return { name: this.nameAt(index), otherId: this.otherIdAt(index), key: this.keyAt(index) }
  }

  entryAt(index: number): PageEntry {
    const payload = this.payloadAt(index)
    return this.leaf
      ? { ...this.sortKeyAt(index), payload, child: 0 }
      : { ...this.sortKeyAt(index), payload: NO_PAYLOAD, child: payload.readUInt32LE(0) }
  }

  /** The bytes behind the sort key. */
  payloadAt(index: number): Buffer {
    const start = this.#start(index)
    const head = 2 + ID_BYTES + 2 + this.#bytes.readUInt16LE(start + 2 + ID_BYTES)
    const end = index + 1 < this.count ? this.#start(index + 1) : this.#bytes.length
    return this.#bytes.subarray(start + head, end)
  }

  childAt(index: number): number {
    return this.payloadAt(index).readUInt32LE(0)
  }

  /** Index of the first entry behind a sort key; `count` when there is none. */
  upperBound(key: SortKey): number {
    const at = this.lowerBound(key)
    return at < this.count && this.#compareAt(at, key) === 0 ? at + 1 : at
  }

  /** Inner page: index of the child below which a sort key lies. */
  childFor(key: SortKey): number {
    const at = this.lowerBound(key)
    const exact = at < this.count && this.#compareAt(at, key) === 0
    // Keys before the first separator belong to the first child.
    return exact ? at : Math.max(0, at - 1)
  }

  /** Index of the first entry at or behind a sort key; `count` when there is none. */
  lowerBound(key: SortKey): number {
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#compareAt(middle, key) < 0) low = middle + 1
      else high = middle
    }
    return low
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

  #compareAt(index: number, key: SortKey): number {
    const byName = compareUtf8(this.nameAt(index), key.name)
    return byName !== 0 ? byName : compareSortKeys(this.sortKeyAt(index), key)
  }

  #start(index: number): number {
    return this.#entries + this.#bytes.readUInt32LE(this.#offsets + 4 * index)
  }
}
