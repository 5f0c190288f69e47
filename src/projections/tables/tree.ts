/**
 * One B+ tree of associations, for as long as a batch changes or reads it.
 *
 * A page is held encoded while entries only go into its leaf, and as objects once it splits, loses
 * an entry or leads to others. Pages split by what they hold, never by where a batch ends, and each
 * change is made before the next: the same events give the same pages however they were batched
 * (invariant 6).
 */
import { assert } from '../../assert.ts'
import type { LevelBatch } from '../../storage/level.ts'
import { pageKey, type Side } from './keys.ts'
import { type EncodedEntry, LeafEditor } from './leaf-editor.ts'
import {
  childEntry,
  childOf,
  compareEntries,
  emptyRoot,
  entryBytes,
  lowerBound,
  PAGE_BYTES,
  type Page,
  type PageEntry,
  type RootFields
} from './page.ts'
import type { RowSum } from './row-sums.ts'

/** The pages of all trees as they were before this batch. */
export interface PageSource {
  /** An editor to hold a page, and back: a hub takes many, and each has memory of its own. */
  borrow(): LeafEditor
  giveBack(editor: LeafEditor): void
  /** Loads a page; whether there is one. */
  load(side: Side, ordinal: number, page: number, into: LeafEditor): boolean
  /** Told of every page that a batch writes, or deletes when it is `undefined`. */
  wrote(side: Side, ordinal: number, page: number, written: LeafEditor | undefined): void
  /** Of the rows that hold pages. */
  sum(side: Side): RowSum
}

/** A page's row as it is stored. */
interface StoredRow {
  checksum: number
  bytes: number
}

/** The way down to a leaf: each inner page with the index of the child taken. */
interface Step {
  number: number
  page: Page
  index: number
}

export class Tree {
  readonly #source: PageSource
  readonly #side: Side
  readonly #ordinal: number
  readonly #pages = new Map<number, Page | LeafEditor>()
  readonly #dirty = new Set<number>()
  readonly #deleted = new Set<number>()
  /** Of pages that were loaded, until they are written. */
  readonly #rows = new Map<number, StoredRow>()

  /** @param root Page 0, if it is at hand and was changed already; its stored row is in no sum. */
  constructor(source: PageSource, side: Side, ordinal: number, root?: LeafEditor) {
    this.#source = source
    this.#side = side
    this.#ordinal = ordinal
    if (root === undefined) return
    this.#pages.set(0, root.isLeaf ? root : this.#decode(root))
    this.#dirty.add(0)
  }

  find(key: PageEntry): PageEntry | undefined {
    const { page, index } = this.#lookUp(key)
    const entry = page.entries[index]
    return entry !== undefined && compareEntries(entry, key) === 0 ? entry : undefined
  }

  /** Puts an entry in its place, or replaces the one with the same sort key. */
  upsert(encoded: EncodedEntry, isLoop: boolean): void {
    const bytes = encoded.bytes.subarray(encoded.start, encoded.end)
    const { path, number } = this.#descend({ name: encoded.text, bytes })
    const leaf = this.#held(number)
    if (leaf instanceof LeafEditor) {
      const outcome = leaf.upsert(encoded, isLoop)
      if (outcome !== 'full') {
        this.#dirty.add(number)
        // A root that is a leaf counts for itself.
        if (outcome === 'inserted' && number !== 0) this.#count(1, isLoop)
        return
      }
    }
    this.#upsertDecoded({ name: encoded.text, bytes: Buffer.from(bytes) }, path, number, isLoop)
  }

  /** Takes an entry out; whether it was there. */
  remove(key: PageEntry, isLoop: boolean): boolean {
    const leaf = this.#lookUp(key)
    const entry = leaf.page.entries[leaf.index]
    if (entry === undefined || compareEntries(entry, key) !== 0) return false
    this.#count(-1, isLoop)
    this.#removeUpwards([...leaf.path, leaf])
    return true
  }

  get root(): RootFields {
    const { root } = this.#page(0)
    assert(root !== undefined, 'page 0 is a root')
    return root
  }

  /** Leaf entries in order, without keeping the pages of a hub in memory. */
  entries(): Generator<PageEntry> {
    return this.#entriesBelow(0)
  }

  /** Puts every changed page into the batch, in the order of keys. The tree is done with then. */
  write(batch: LevelBatch): void {
    for (const number of this.#deleted) this.#delete(batch, number)
    const spare = this.#source.borrow()
    for (const number of [...this.#dirty].sort((a, b) => a - b)) {
      const page = this.#pages.get(number)
      assert(page !== undefined, 'a changed page is in memory')
      if (page instanceof LeafEditor) {
        this.#put(batch, number, page)
      } else if (page.root?.degree === 0) {
        this.#delete(batch, number)
      } else {
        spare.take(page)
        this.#put(batch, number, spare)
      }
    }
    this.#source.giveBack(spare)
    for (const page of this.#pages.values()) {
      if (page instanceof LeafEditor) this.#source.giveBack(page)
    }
    this.#pages.clear()
  }

  #put(batch: LevelBatch, number: number, page: LeafEditor): void {
    page.put(batch, this.#side, this.#ordinal, number)
    this.#uncount(number)
    this.#source.sum(this.#side).add(page.checksum, page.rowBytes)
    this.#source.wrote(this.#side, this.#ordinal, number, page)
  }

  #delete(batch: LevelBatch, number: number): void {
    batch.del(pageKey(this.#side, this.#ordinal, number))
    this.#uncount(number)
    this.#source.wrote(this.#side, this.#ordinal, number, undefined)
  }

  /** Takes the stored row of a page, if there was one, out of the sum. */
  #uncount(number: number): void {
    const row = this.#rows.get(number)
    if (row === undefined) return
    this.#source.sum(this.#side).remove(row.checksum, row.bytes)
    this.#rows.delete(number)
  }

  /** A page as it is held, which is encoded only where it is a leaf. */
  #held(number: number): Page | LeafEditor {
    const held = this.#pages.get(number)
    if (held !== undefined) return held
    const page = this.#stored(number)
    assert(page !== undefined || number === 0, 'a page that a tree names is stored')
    const kept = page ?? emptyRoot()
    this.#pages.set(number, kept)
    return kept
  }

  #stored(number: number): Page | LeafEditor | undefined {
    const editor = this.#source.borrow()
    if (this.#source.load(this.#side, this.#ordinal, number, editor)) {
      this.#rows.set(number, { checksum: editor.checksum, bytes: editor.rowBytes })
      return editor.isLeaf ? editor : this.#decode(editor)
    }
    this.#source.giveBack(editor)
    return undefined
  }

  #decode(editor: LeafEditor): Page {
    const page = editor.toPage()
    this.#source.giveBack(editor)
    return page
  }

  /** A page as objects. */
  #page(number: number): Page {
    const held = this.#held(number)
    if (!(held instanceof LeafEditor)) return held
    const page = this.#decode(held)
    this.#pages.set(number, page)
    return page
  }

  /** The way to the leaf where a key is or would be, and the number of that leaf. */
  #descend(key: PageEntry): { path: Step[]; number: number } {
    const path: Step[] = []
    let number = 0
    for (;;) {
      const page = this.#held(number)
      if (page instanceof LeafEditor || page.leaf) return { path, number }
      const bound = lowerBound(page.entries, key)
      const exact = page.entries[bound]
      const isExact = exact !== undefined && compareEntries(exact, key) === 0
      const index = isExact ? bound : Math.max(0, bound - 1)
      path.push({ number, page, index })
      const child = page.entries[index]
      assert(child !== undefined, 'an inner page has a child for every key')
      number = childOf(child)
    }
  }

  #lookUp(key: PageEntry): Step & { path: Step[] } {
    const { path, number } = this.#descend(key)
    const page = this.#page(number)
    return { path, number, page, index: lowerBound(page.entries, key) }
  }

  #upsertDecoded(entry: PageEntry, path: Step[], number: number, isLoop: boolean): void {
    const page = this.#page(number)
    const index = lowerBound(page.entries, entry)
    const old = page.entries[index]
    if (old !== undefined && compareEntries(old, entry) === 0) {
      page.bytes += entryBytes(entry) - entryBytes(old)
      page.entries[index] = entry
    } else {
      page.entries.splice(index, 0, entry)
      page.bytes += entryBytes(entry)
      this.#count(1, isLoop)
    }
    this.#dirty.add(number)
    this.#splitUpwards([...path, { number, page, index }])
  }

  #count(by: 1 | -1, isLoop: boolean): void {
    const { root } = this
    root.degree += by
    if (isLoop) root.loops += by
    this.#dirty.add(0)
  }

  #splitUpwards(path: Step[]): void {
    for (let depth = path.length - 1; depth >= 0; depth--) {
      const step = path[depth]
      assert(step !== undefined, 'a path has no holes')
      const { page } = step
      if (page.bytes <= PAGE_BYTES || page.entries.length < 2) return
      const right = splitOff(page, step.index)
      this.#dirty.add(step.number)
      const parent = path[depth - 1]
      if (parent === undefined) {
        this.#growRoot(page, right)
        return
      }
      const number = this.#addPage(right)
      lowerSeparator(parent.page, parent.index, page)
      insertChild(parent.page, parent.index + 1, right, number)
      this.#dirty.add(parent.number)
      // Where the new child went decides whether the parent splits at its end.
      parent.index += 1
    }
  }

  /** The root keeps its number: what it held moves into two new pages below it. */
  #growRoot(root: Page, right: Page): void {
    const left: Page = {
      leaf: root.leaf,
      root: undefined,
      entries: root.entries,
      bytes: root.bytes
    }
    const leftNumber = this.#addPage(left)
    const rightNumber = this.#addPage(right)
    root.leaf = false
    root.entries = []
    root.bytes = 0
    insertChild(root, 0, left, leftNumber)
    insertChild(root, 1, right, rightNumber)
  }

  #addPage(page: Page): number {
    const number = this.root.nextPage++
    this.#pages.set(number, page)
    this.#dirty.add(number)
    this.#dirty.add(0)
    return number
  }

  #removeUpwards(path: Step[]): void {
    for (let depth = path.length - 1; depth >= 0; depth--) {
      const step = path[depth]
      assert(step !== undefined, 'a path has no holes')
      const [gone] = step.page.entries.splice(step.index, 1)
      assert(gone !== undefined, 'what is removed was there')
      step.page.bytes -= entryBytes(gone)
      this.#dirty.add(step.number)
      if (step.page.entries.length > 0) return
      if (step.number === 0) {
        // Every page below is gone: the tree starts over as one empty leaf, with its numbers too,
        // as it would if its row, which is deleted, had been read anew.
        step.page.leaf = true
        this.root.nextPage = 1
        return
      }
      this.#pages.delete(step.number)
      this.#dirty.delete(step.number)
      this.#deleted.add(step.number)
    }
  }

  *#entriesBelow(number: number): Generator<PageEntry> {
    const kept = this.#pages.get(number)
    const stored = kept ?? this.#stored(number)
    if (stored === undefined) return
    const page = stored instanceof LeafEditor ? stored.toPage() : stored
    if (kept === undefined && stored instanceof LeafEditor) this.#source.giveBack(stored)
    // A copy: whoever reads may remove what it was given.
    for (const entry of [...page.entries]) {
      if (page.leaf) yield entry
      else yield* this.#entriesBelow(childOf(entry))
    }
  }
}

/**
 * Takes the right part of a page off. Halves it by bytes, except when the page grew at its end:
 * then it stays full, as sorted input would otherwise leave every page half empty.
 */
function splitOff(page: Page, changedAt: number): Page {
  const { entries } = page
  let at = entries.length - 1
  if (changedAt < entries.length - 1) {
    let bytes = 0
    at = 0
    while (at < entries.length - 1 && bytes < page.bytes / 2) {
      const entry = entries[at]
      assert(entry !== undefined, 'an index below the length')
      bytes += entryBytes(entry)
      at++
    }
  }
  const right = entries.splice(at)
  const rightBytes = right.reduce((sum, entry) => sum + entryBytes(entry), 0)
  page.bytes -= rightBytes
  return { leaf: page.leaf, root: undefined, entries: right, bytes: rightBytes }
}

/**
 * Keys before the first separator go into the first child, whose separator then is too high: what
 * splits off from it may sort before that separator, and the search would miss it.
 */
function lowerSeparator(parent: Page, index: number, child: Page): void {
  const [first] = child.entries
  const old = parent.entries[index]
  assert(first !== undefined && old !== undefined, 'a page that splits keeps a part')
  if (compareEntries(first, old) >= 0) return
  const entry = childEntry(first, childOf(old))
  parent.entries[index] = entry
  parent.bytes += entryBytes(entry) - entryBytes(old)
}

function insertChild(parent: Page, index: number, child: Page, number: number): void {
  const first = child.entries[0]
  assert(first !== undefined, 'a new page is not empty')
  const entry = childEntry(first, number)
  parent.entries.splice(index, 0, entry)
  parent.bytes += entryBytes(entry)
}
