/**
 * Entries that a batch puts into trees, gathered until it is written: then those of one tree are
 * applied together, in their order, and trees in the order of their keys.
 *
 * Most trees of an import get one entry a batch. Objects for each would live just long enough to
 * be promoted by the garbage collector, so entries are bytes in one block, and lists of them are
 * numbers in typed arrays: `next` leads from an entry to the later one of the same tree.
 */
import { assert } from '../../assert.ts'
import { viewOf } from './words.ts'

const FIRST_BYTES = 64 * 1024
const FIRST_ENTRIES = 512

/** What is kept for the next batch. A batch of large entries takes more for itself. */
const KEPT_BYTES = 8 * 1024 * 1024

/** Names stay interned between batches, but a graph may have any number of them. */
const NAMES_MAX = 4096

/** Entries in one batch at most: sorting numbers trees and entries in one f64. */
const ENTRIES_MAX = 2 ** 20

const TAKEN = -1

/** An entry number that means none. */
export const NONE = -1

/** A type, and the same as UTF-8. */
interface Name {
  text: string
  bytes: Buffer
}

export class PendingEntries {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES)
  #view = viewOf(this.#bytes)
  #used = 0
  #count = 0
  #trees = new Float64Array(FIRST_ENTRIES)
  #starts = new Uint32Array(FIRST_ENTRIES)
  #ends = new Uint32Array(FIRST_ENTRIES)
  #nexts = new Int32Array(FIRST_ENTRIES)
  /** Of the first entry of a tree: the last one. */
  #lasts = new Int32Array(FIRST_ENTRIES)
  /** Number of the name, twice, and 1 more for a loop. */
  #kinds = new Uint32Array(FIRST_ENTRIES)
  /** Open addressing: first entry of a tree, plus 1; 0 is free. */
  #slots = new Int32Array(2 * FIRST_ENTRIES)
  readonly #numbers = new Map<string, number>()
  #names: Name[] = []

  hasRoomFor(entries: number): boolean {
    return this.#count + entries <= ENTRIES_MAX
  }

  /** Where the next entry is to be written: at `used`, as many bytes as were asked for. */
  room(bytes: number): Buffer {
    if (this.#used + bytes > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#used + bytes))
      this.#bytes.copy(larger, 0, 0, this.#used)
      this.#bytes = larger
      this.#view = viewOf(larger)
    }
    return this.#bytes
  }

  get used(): number {
    return this.#used
  }

  /** Adds the entry that was written at `used`. */
  add(tree: number, name: string, end: number, isLoop: boolean): void {
    assert(this.hasRoomFor(1), 'entries beyond the most are never pending')
    if (this.#count === this.#trees.length) this.#grow()
    const entry = this.#count++
    this.#trees[entry] = tree
    this.#starts[entry] = this.#used
    this.#ends[entry] = end
    this.#kinds[entry] = this.#numberOf(name) * 2 + Number(isLoop)
    this.#nexts[entry] = NONE
    this.#lasts[entry] = entry
    this.#used = end
    const slot = this.#slotOf(tree)
    const first = (this.#slots[slot] ?? 0) - 1
    if (first === NONE) {
      this.#slots[slot] = entry + 1
    } else {
      this.#nexts[this.#lasts[first] ?? 0] = entry
      this.#lasts[first] = entry
    }
  }

  /** The first entry of a tree, which the batch then is rid of; NONE when there is none. */
  take(tree: number): number {
    if (this.#count === 0) return NONE
    const first = (this.#slots[this.#slotOf(tree)] ?? 0) - 1
    // The slot stays: it now stands for a tree that there is not, and searches go on behind it.
    if (first !== NONE) this.#trees[first] = TAKEN
    return first
  }

  /** First entries of all trees, in the order of trees. */
  firsts(): Float64Array {
    const order = new Float64Array(this.#count)
    let found = 0
    for (const slot of this.#slots) {
      const tree = slot === 0 ? TAKEN : this.treeOf(slot - 1)
      if (tree !== TAKEN) order[found++] = tree * ENTRIES_MAX + slot - 1
    }
    const sorted = order.subarray(0, found).sort()
    for (let i = 0; i < found; i++) sorted[i] = (sorted[i] ?? 0) % ENTRIES_MAX
    return sorted
  }

  treeOf(entry: number): number {
    return this.#trees[entry] ?? TAKEN
  }

  nextOf(entry: number): number {
    return this.#nexts[entry] ?? NONE
  }

  get bytes(): Buffer {
    return this.#bytes
  }

  get view(): DataView {
    return this.#view
  }

  startOf(entry: number): number {
    return this.#starts[entry] ?? 0
  }

  endOf(entry: number): number {
    return this.#ends[entry] ?? 0
  }

  nameOf(entry: number): Name {
    const name = this.#names[(this.#kinds[entry] ?? 0) >>> 1]
    assert(name !== undefined, 'a pending entry has a type')
    return name
  }

  isLoop(entry: number): boolean {
    return ((this.#kinds[entry] ?? 0) & 1) === 1
  }

  clear(): void {
    // A large batch is often followed by large ones, but not for ever.
    const isRoomy = this.#trees.length > FIRST_ENTRIES && this.#count < this.#trees.length / 16
    if (isRoomy) this.#shrink()
    else this.#slots.fill(0)
    this.#used = 0
    this.#count = 0
    if (this.#bytes.length > KEPT_BYTES) {
      this.#bytes = Buffer.allocUnsafeSlow(FIRST_BYTES)
      this.#view = viewOf(this.#bytes)
    }
    if (this.#names.length > NAMES_MAX) {
      this.#numbers.clear()
      this.#names = []
    }
  }

  #numberOf(name: string): number {
    const known = this.#numbers.get(name)
    if (known !== undefined) return known
    const number = this.#names.length
    this.#names.push({ text: name, bytes: Buffer.from(name) })
    this.#numbers.set(name, number)
    return number
  }

  /** The slot of a tree, or the free one where it would go. */
  #slotOf(tree: number): number {
    const slots = this.#slots
    const trees = this.#trees
    const mask = slots.length - 1
    let slot = hashOf(tree) & mask
    for (;;) {
      const first = slots[slot] ?? 0
      if (first === 0 || trees[first - 1] === tree) return slot
      slot = (slot + 1) & mask
    }
  }

  #shrink(): void {
    this.#trees = new Float64Array(FIRST_ENTRIES)
    this.#starts = new Uint32Array(FIRST_ENTRIES)
    this.#ends = new Uint32Array(FIRST_ENTRIES)
    this.#nexts = new Int32Array(FIRST_ENTRIES)
    this.#lasts = new Int32Array(FIRST_ENTRIES)
    this.#kinds = new Uint32Array(FIRST_ENTRIES)
    this.#slots = new Int32Array(2 * FIRST_ENTRIES)
  }

  #grow(): void {
    const length = this.#trees.length * 2
    this.#trees = grown(this.#trees, new Float64Array(length))
    this.#starts = grown(this.#starts, new Uint32Array(length))
    this.#ends = grown(this.#ends, new Uint32Array(length))
    this.#nexts = grown(this.#nexts, new Int32Array(length))
    this.#lasts = grown(this.#lasts, new Int32Array(length))
    this.#kinds = grown(this.#kinds, new Uint32Array(length))
    const old = this.#slots
    this.#slots = new Int32Array(2 * length)
    for (const slot of old) {
      const tree = slot === 0 ? TAKEN : this.treeOf(slot - 1)
      if (tree !== TAKEN) this.#slots[this.#slotOf(tree)] = slot
    }
  }
}

function grown<T extends Float64Array | Uint32Array | Int32Array>(old: T, larger: T): T {
  larger.set(old)
  return larger
}

function hashOf(tree: number): number {
  // Trees of the two sides differ above 32 bits only.
  const hash = Math.imul((tree >>> 0) ^ (tree > 0xffffffff ? 0x5bd1e995 : 0), 0x9e3779b1)
  return hash ^ (hash >>> 15)
}
