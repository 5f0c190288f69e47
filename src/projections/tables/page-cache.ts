/**
 * Encoded pages of trees, kept between batches in one block of memory.
 *
 * Pages are taken and changed by the million. As objects they would outlive the garbage
 * collector's young space and die in its old one, which cost a fifth of all time. Here a page is
 * bytes in a ring and a number in a table: nothing to collect.
 *
 * The ring is written at its head only, a page that changed as well; its old place becomes waste.
 * What lies at the tail is waste, or a page that nobody changed for a whole round. It is carried
 * to the head while the ring holds waste enough to make room otherwise, else it is let go.
 * All pages here are stored ones: letting go costs a read, not correctness.
 *
 * A record is: tree f64, page u32, length u32, checksum of its row u32, then the page, padded to 8
 * bytes.
 */
import { assert } from '../../assert.ts'
import { copyWords, viewOf, wordsOf } from './words.ts'

/** Where a page lies, at a multiple of four bytes, in memory read as words. */
interface Encoded {
  readonly words: Int32Array
  readonly start: number
  readonly end: number
  /** Of the row that the page is stored as. */
  readonly checksum: number
}

const FIRST_BYTES = 64 * 1024
const FIRST_SLOTS = 1024
const HEADER_BYTES = 20
const ALIGN = 8

/** Pages longer than this part of the ring would push out too much. */
const PAGE_PART = 1 / 16

/** Live pages are carried on while they fill no more than this part of the ring. */
const LIVE_PART = 2 / 3

/** The table grows beyond this load: longer ways to a page cost more than its memory. */
const LOAD_MAX = 0.6

export class PageCache {
  readonly #bytesMax: number
  #bytes: Buffer
  #view: DataView
  #words: Int32Array
  #head = 0
  #tail = 0
  /** Where the records behind the tail end, and go on at the start. */
  #end: number
  /** Bytes from tail to head: tells a full ring from an empty one. */
  #used = 0
  /** Bytes of the records that the table names; the rest of `#used` is waste. */
  #live = 0
  /** Open addressing; place of a record in units of ALIGN, plus 1; 0 is free. */
  #slots = new Uint32Array(FIRST_SLOTS)
  #count = 0

  /** @param bytesMax Bytes of the ring, at most. It begins small and grows with what is kept. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax - (bytesMax % ALIGN)
    this.#bytes = Buffer.allocUnsafeSlow(Math.min(FIRST_BYTES, this.#bytesMax))
    this.#view = viewOf(this.#bytes)
    this.#words = wordsOf(this.#bytes)
    this.#end = this.#bytes.length
  }

  /** Where `find` found a page. Overwritten by any change here: copy before. */
  get words(): Int32Array {
    return this.#words
  }

  /** How many pages are kept. */
  get size(): number {
    return this.#count
  }

  /** Where a page begins in the bytes of `words`; -1 when it is not kept. */
  find(tree: number, page: number): number {
    const place = this.#slots[this.#slotOf(tree, page)] ?? 0
    return place === 0 ? -1 : (place - 1) * ALIGN + HEADER_BYTES
  }

  /** Length of the page at a place that `find` gave. */
  lengthAt(place: number): number {
    return this.#view.getUint32(place - 8, true)
  }

  /** Checksum of the row of a page at a place that `find` gave. */
  checksumAt(place: number): number {
    return this.#view.getUint32(place - 4, true)
  }

  /** Keeps a copy of a page, in place of its older one. */
  store(tree: number, page: number, source: Encoded): void {
    const length = source.end - source.start
    const size = sizeOf(length)
    if (size > this.#bytesMax * PAGE_PART) {
      this.delete(tree, page)
      return
    }
    this.#makeRoom(size)
    const at = this.#head
    this.#view.setFloat64(at, tree, true)
    this.#view.setUint32(at + 8, page, true)
    this.#view.setUint32(at + 12, length, true)
    this.#view.setUint32(at + 16, source.checksum, true)
    copyWords(source.words, source.start, this.#words, at + HEADER_BYTES, length)
    this.#head += size
    this.#used += size
    this.#live += size
    const slot = this.#slotOf(tree, page)
    const place = this.#slots[slot] ?? 0
    this.#slots[slot] = at / ALIGN + 1
    if (place !== 0) {
      this.#live -= this.#sizeAt((place - 1) * ALIGN)
      return
    }
    this.#count += 1
    if (this.#count > this.#slots.length * LOAD_MAX) this.#growTable()
  }

  delete(tree: number, page: number): void {
    const slot = this.#slotOf(tree, page)
    const place = this.#slots[slot] ?? 0
    if (place === 0) return
    this.#live -= this.#sizeAt((place - 1) * ALIGN)
    this.#free(slot)
  }

  /** The slot of a page, or the free one where it would go. */
  #slotOf(tree: number, page: number): number {
    const slots = this.#slots
    const view = this.#view
    const mask = slots.length - 1
    let slot = hashOf(tree, page) & mask
    for (;;) {
      const place = slots[slot] ?? 0
      if (place === 0) return slot
      const at = (place - 1) * ALIGN
      if (view.getFloat64(at, true) === tree && view.getUint32(at + 8, true) === page) return slot
      slot = (slot + 1) & mask
    }
  }

  /** Closes the hole: a search ends at a free slot, so what stands behind it moves up. */
  #free(slot: number): void {
    const slots = this.#slots
    const mask = slots.length - 1
    let hole = slot
    for (let next = (hole + 1) & mask; ; next = (next + 1) & mask) {
      const place = slots[next] ?? 0
      if (place === 0) break
      const home = this.#homeOf((place - 1) * ALIGN) & mask
      // Only what may stand in the hole: its own way leads past it.
      if (((next - home) & mask) < ((next - hole) & mask)) continue
      slots[hole] = place
      hole = next
    }
    slots[hole] = 0
    this.#count -= 1
  }

  #homeOf(at: number): number {
    return hashOf(this.#view.getFloat64(at, true), this.#view.getUint32(at + 8, true))
  }

  #sizeAt(at: number): number {
    return sizeOf(this.#view.getUint32(at + 12, true))
  }

  /** Moves head and tail until a record of this size fits behind the head. */
  #makeRoom(size: number): void {
    while (!this.#hasRoom(size)) {
      if (this.#isTooSmall(size)) this.#grow()
      else if (this.#head > this.#tail || this.#used === 0) this.#wrap()
      else this.#passTail()
    }
  }

  #isTooSmall(size: number): boolean {
    const { length } = this.#bytes
    if (length >= this.#bytesMax) return false
    return this.#live > length / 2 || size > length * PAGE_PART
  }

  #hasRoom(size: number): boolean {
    const isWrapped = this.#used > 0 && this.#head <= this.#tail
    return size <= (isWrapped ? this.#tail : this.#bytes.length) - this.#head
  }

  #wrap(): void {
    this.#end = this.#head
    this.#head = 0
    if (this.#used === 0) this.#tail = 0
  }

  /** Carries what lies at the tail to the head, or lets it go. */
  #passTail(): void {
    assert(this.#used > 0, 'a ring without room holds something')
    const at = this.#tail
    const size = this.#sizeAt(at)
    const tree = this.#view.getFloat64(at, true)
    const slot = this.#slotOf(tree, this.#view.getUint32(at + 8, true))
    const isLive = this.#slots[slot] === at / ALIGN + 1
    this.#tail += size
    this.#used -= size
    if (isLive && this.#live <= this.#bytes.length * LIVE_PART) {
      // Between head and tail there is room for it at least, as it was just taken from there.
      this.#bytes.copyWithin(this.#head, at, at + size)
      this.#slots[slot] = this.#head / ALIGN + 1
      this.#head += size
      this.#used += size
    } else if (isLive) {
      this.#live -= size
      this.#free(slot)
    }
    if (this.#tail === this.#end) {
      this.#tail = 0
      this.#end = this.#bytes.length
    }
  }

  /** Doubles the ring. What is live moves together. */
  #grow(): void {
    const old = this.#bytes
    const places = this.#slots.filter((place) => place !== 0).sort()
    this.#bytes = Buffer.allocUnsafeSlow(Math.min(old.length * 2, this.#bytesMax))
    this.#view = viewOf(this.#bytes)
    this.#words = wordsOf(this.#bytes)
    this.#slots.fill(0)
    let head = 0
    for (const place of places) {
      const at = (place - 1) * ALIGN
      const size = sizeOf(old.readUInt32LE(at + 12))
      old.copy(this.#bytes, head, at, at + size)
      this.#insert(head)
      head += size
    }
    this.#head = head
    this.#tail = 0
    this.#end = this.#bytes.length
    this.#used = head
  }

  #growTable(): void {
    const old = this.#slots
    this.#slots = new Uint32Array(old.length * 2)
    for (const place of old) {
      if (place !== 0) this.#insert((place - 1) * ALIGN)
    }
  }

  /** Puts a record, whose page is not in the table, into it. */
  #insert(at: number): void {
    const mask = this.#slots.length - 1
    let slot = this.#homeOf(at) & mask
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
    this.#slots[slot] = at / ALIGN + 1
  }
}

function sizeOf(length: number): number {
  return (HEADER_BYTES + length + ALIGN - 1) & -ALIGN
}

/** Mixes tree and page; trees are dense numbers, so every bit must reach the lowest ones. */
function hashOf(tree: number, page: number): number {
  const low = tree >>> 0
  const high = (tree - low) / 2 ** 32
  let hash = Math.imul(low, 0x9e3779b1) ^ Math.imul(page + high * 0x01000193 + 1, 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae35)
  return (hash ^ (hash >>> 13)) >>> 0
}
