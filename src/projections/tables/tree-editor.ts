/**
 * Changes the B+ trees of associations for one batch.
 *
 * An entry to be put is only noted, unless its tree was read in this batch; `flush` applies what
 * was noted tree by tree. Trees do not depend on each other, and within one the order is kept, so
 * this changes nothing but the cost: pages are read and written in the order of their keys, each
 * once, and most without becoming an object.
 */
import type { Level, LevelBatch } from '../../storage/level.ts'
import { BitSet } from '../bit-set.ts'
import type { AssociationState } from '../state.ts'
import { associationBytesMax, writeAssociation } from './association-row.ts'
import { pageKey, type Side } from './keys.ts'
import { type EncodedEntry, LeafEditor } from './leaf-editor.ts'
import { emptyRoot, encodePage, type PageEntry, PageReader } from './page.ts'
import { PageCache } from './page-cache.ts'
import { NONE, PendingEntries } from './pending-entries.ts'
import type { RowSum, RowSums } from './row-sums.ts'
import { checksumOf, readRow } from './rows.ts'
import { type PageSource, Tree } from './tree.ts'

/** Bytes of pages kept between batches. Their table takes an eighth of it on top, at most. */
const CACHE_BYTES = 64 * 1024 * 1024

/** Editors kept for the next tree, of at least 8 KiB each. */
const SPARE_MAX = 128

/** Trees are numbered as their keys sort: those that come in, then those that go out. */
const FIRST_OUT = 2 ** 32

const EMPTY_ROOT = encodePage(emptyRoot())

export class TreeEditor {
  readonly #level: Level
  readonly #cache: PageCache
  readonly #pending = new PendingEntries()
  /** Trees that were read in this batch: what comes later is applied at once. */
  readonly #opened = new Map<number, Tree>()
  /** Ordinals above this one were given here: those not in `#begun` have no page. */
  readonly #lastForeign: number
  readonly #begun: Record<Side, BitSet> = { in: new BitSet(), out: new BitSet() }
  readonly #spare: LeafEditor[] = []
  readonly #entry: EncodedEntry
  readonly #sums: RowSums

  /**
   * @param ordinals The highest ordinal whose pages may be stored already.
   * @param sums Those of pages follow what is written.
   * @param cacheBytes Bytes of encoded pages kept between batches, at most.
   */
  constructor(level: Level, ordinals: number, sums: RowSums, cacheBytes: number = CACHE_BYTES) {
    this.#sums = sums
    this.#level = level
    this.#lastForeign = ordinals
    this.#cache = new PageCache(cacheBytes)
    const { bytes, view } = this.#pending
    this.#entry = { bytes, view, start: 0, end: 0, text: '', name: bytes }
  }

  find(side: Side, ordinal: number, key: PageEntry): PageEntry | undefined {
    return this.#open(side, ordinal).find(key)
  }

  /** Whether the two entries of another association can be noted, without a look at any page. */
  get hasRoom(): boolean {
    return this.#opened.size === 0 && this.#pending.hasRoomFor(2)
  }

  /** Puts an association into the pages of the end that `side` leaves, or replaces it there. */
  upsert(side: Side, state: AssociationState): void {
    const isLoop = state.source.ordinal === state.target.ordinal
    const { ordinal } = side === 'out' ? state.source : state.target
    const number = treeNumber(side, ordinal)
    const pending = this.#pending
    const start = pending.used
    const end = writeAssociation(pending.room(associationBytesMax(state)), start, state, side)
    const opened = this.#opened.size === 0 ? undefined : this.#opened.get(number)
    if (opened === undefined && pending.hasRoomFor(1)) {
      pending.add(number, state.name, end, isLoop)
      return
    }
    const tree = opened ?? this.#open(side, ordinal)
    tree.upsert(this.#entryOf(start, end, state.name, Buffer.from(state.name)), isLoop)
  }

  /** Takes an entry out; whether it was there. */
  remove(side: Side, ordinal: number, key: PageEntry, isLoop: boolean): boolean {
    return this.#open(side, ordinal).remove(key, isLoop)
  }

  degree(side: Side, ordinal: number): { degree: number; loops: number } {
    return this.#open(side, ordinal).root
  }

  /** Leaf entries in order, without keeping the pages of a hub in memory. */
  entries(side: Side, ordinal: number): Generator<PageEntry> {
    return this.#open(side, ordinal).entries()
  }

  /** Puts every changed page into the batch. */
  flush(batch: LevelBatch): void {
    for (const first of this.#pending.firsts()) this.#applyTree(first, batch)
    for (const tree of this.#opened.values()) tree.write(batch)
    this.#pending.clear()
    this.#opened.clear()
  }

  /** A tree with all that was noted for it. */
  #open(side: Side, ordinal: number): Tree {
    const number = treeNumber(side, ordinal)
    const opened = this.#opened.get(number)
    if (opened !== undefined) return opened
    const tree = new Tree(this.#source, side, ordinal)
    this.#applyTo(tree, this.#pending.take(number))
    this.#opened.set(number, tree)
    return tree
  }

  /** Applies what was noted for one tree: to its only page as it is encoded, if that is enough. */
  #applyTree(first: number, batch: LevelBatch): void {
    const pending = this.#pending
    const number = pending.treeOf(first)
    const side = number < FIRST_OUT ? 'in' : 'out'
    const ordinal = number % FIRST_OUT
    const leaf = this.#borrow()
    const sum = this.#sumOf(side)
    if (this.#load(side, ordinal, 0, leaf)) sum.remove(leaf.checksum, leaf.rowBytes)
    else leaf.load(EMPTY_ROOT, true)
    let entry = first
    while (entry !== NONE && leaf.isLeaf) {
      if (leaf.upsert(this.#pendingEntry(entry), pending.isLoop(entry)) === 'full') break
      entry = pending.nextOf(entry)
    }
    if (entry === NONE) {
      leaf.put(batch, side, ordinal, 0)
      sum.add(leaf.checksum, leaf.rowBytes)
      this.#wrote(side, ordinal, 0, leaf)
      this.#giveBack(leaf)
      return
    }
    const tree = new Tree(this.#source, side, ordinal, leaf)
    this.#applyTo(tree, entry)
    tree.write(batch)
  }

  #applyTo(tree: Tree, first: number): void {
    for (let entry = first; entry !== NONE; entry = this.#pending.nextOf(entry)) {
      tree.upsert(this.#pendingEntry(entry), this.#pending.isLoop(entry))
    }
  }

  #pendingEntry(entry: number): EncodedEntry {
    const pending = this.#pending
    const name = pending.nameOf(entry)
    return this.#entryOf(pending.startOf(entry), pending.endOf(entry), name.text, name.bytes)
  }

  /** The same object each time, for the call that follows: one each would cost as much. */
  #entryOf(start: number, end: number, text: string, name: Buffer): EncodedEntry {
    const entry = this.#entry
    entry.bytes = this.#pending.bytes
    entry.view = this.#pending.view
    entry.start = start
    entry.end = end
    entry.text = text
    entry.name = name
    return entry
  }

  readonly #source: PageSource = {
    borrow: () => this.#borrow(),
    giveBack: (editor) => {
      this.#giveBack(editor)
    },
    load: (side, ordinal, page, into) => this.#load(side, ordinal, page, into),
    wrote: (side, ordinal, page, written) => {
      this.#wrote(side, ordinal, page, written)
    },
    sum: (side) => this.#sumOf(side)
  }

  #sumOf(side: Side): RowSum {
    return side === 'out' ? this.#sums.outgoing : this.#sums.incoming
  }

  #borrow(): LeafEditor {
    return this.#spare.pop() ?? new LeafEditor()
  }

  #giveBack(editor: LeafEditor): void {
    if (this.#spare.length < SPARE_MAX) this.#spare.push(editor)
  }

  #load(side: Side, ordinal: number, page: number, into: LeafEditor): boolean {
    const tree = treeNumber(side, ordinal)
    const cached = this.#cache.find(tree, page)
    const isRoot = page === 0
    if (cached >= 0) {
      const end = cached + this.#cache.lengthAt(cached)
      const checksum = this.#cache.checksumAt(cached)
      into.loadWords(this.#cache.words, cached, end, { isRoot, checksum })
      return true
    }
    if (this.#isUnbegun(side, ordinal)) return false
    const key = pageKey(side, ordinal, page)
    const value = this.#level.getSync(key)
    if (value === undefined) return false
    const payload = readRow(key, value, (bytes) => {
      new PageReader(bytes, isRoot)
      return bytes
    })
    into.load(payload, isRoot, checksumOf(value))
    // Others are kept when they are written, which inner pages may never be.
    if (!into.isLeaf) this.#cache.store(tree, page, into)
    return true
  }

  #wrote(side: Side, ordinal: number, page: number, written: LeafEditor | undefined): void {
    const tree = treeNumber(side, ordinal)
    if (written === undefined) this.#cache.delete(tree, page)
    else this.#cache.store(tree, page, written)
    if (ordinal > this.#lastForeign) this.#begun[side].add(ordinal - this.#lastForeign)
  }

  /** Most imported concepts have no page yet: looking for one would cost more than the rest. */
  #isUnbegun(side: Side, ordinal: number): boolean {
    const own = ordinal - this.#lastForeign
    return own > 0 && !this.#begun[side].has(own)
  }
}

function treeNumber(side: Side, ordinal: number): number {
  return side === 'out' ? FIRST_OUT + ordinal : ordinal
}
