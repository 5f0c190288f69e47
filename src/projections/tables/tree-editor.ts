/**
 * Changes the B+ trees of associations, page by page, for one batch.
 *
 * Pages split by what they hold, never by where a batch ends, and each event is applied before
 * the next: the same events give the same pages however they were batched (invariant 6).
 */
import { assert } from '../../assert.ts'
import type { Level, LevelBatch } from '../../storage/level.ts'
import { BitSet } from '../bit-set.ts'
import { pageKey, type Side } from './keys.ts'
import {
  childEntry,
  childOf,
  compareEntries,
  emptyRoot,
  encodePage,
  entryBytes,
  lowerBound,
  PAGE_BYTES,
  type Page,
  type PageEntry,
  PageReader
} from './page.ts'
import { readRow, sealRow } from './rows.ts'

interface Tree {
  side: Side
  ordinal: number
  pages: Map<number, Page>
  dirty: Set<number>
  deleted: Set<number>
}

/** The way down to a leaf: each page with the index of the child taken. */
interface Step {
  number: number
  page: Page
  index: number
}

/** Pages kept between batches; beyond it all are let go, which costs reads, not correctness. */
const CACHED_PAGES_MAX = 8192

export class TreeEditor {
  readonly #level: Level
  readonly #trees = new Map<number, Tree>()
  /** Trees with a higher number than this were begun here: those not in `#begun` are empty. */
  readonly #lastForeign: number
  readonly #begun = new BitSet()
  #pages = 0

  /** @param ordinals The highest ordinal whose pages may be stored already. */
  constructor(level: Level, ordinals: number) {
    this.#level = level
    this.#lastForeign = treeNumber('in', ordinals)
  }

  find(side: Side, ordinal: number, key: PageEntry): PageEntry | undefined {
    const leaf = this.#descend(this.#tree(side, ordinal), key).at(-1)
    assert(leaf !== undefined, 'a tree has a root')
    const entry = leaf.page.entries[leaf.index]
    return entry !== undefined && compareEntries(entry, key) === 0 ? entry : undefined
  }

  /** Puts an entry in its place, or replaces the one with the same sort key. */
  upsert(side: Side, ordinal: number, entry: PageEntry, isLoop: boolean): void {
    const tree = this.#tree(side, ordinal)
    const path = this.#descend(tree, entry)
    const leaf = path.at(-1)
    assert(leaf !== undefined, 'a tree has a root')
    const { page, index } = leaf
    const old = page.entries[index]
    if (old !== undefined && compareEntries(old, entry) === 0) {
      page.bytes += entryBytes(entry) - entryBytes(old)
      page.entries[index] = entry
    } else {
      page.entries.splice(index, 0, entry)
      page.bytes += entryBytes(entry)
      this.#count(tree, 1, isLoop)
    }
    tree.dirty.add(leaf.number)
    this.#splitUpwards(tree, path)
  }

  /** Takes an entry out; whether it was there. */
  remove(side: Side, ordinal: number, key: PageEntry, isLoop: boolean): boolean {
    const tree = this.#tree(side, ordinal)
    const path = this.#descend(tree, key)
    const leaf = path.at(-1)
    assert(leaf !== undefined, 'a tree has a root')
    const entry = leaf.page.entries[leaf.index]
    if (entry === undefined || compareEntries(entry, key) !== 0) return false
    this.#count(tree, -1, isLoop)
    this.#removeUpwards(tree, path)
    return true
  }

  degree(side: Side, ordinal: number): { degree: number; loops: number } {
    const root = this.#page(this.#tree(side, ordinal), 0).root
    assert(root !== undefined, 'page 0 is a root')
    return root
  }

  /** Leaf entries in order, without keeping the pages of a hub in memory. */
  *entries(side: Side, ordinal: number): Generator<PageEntry> {
    yield* this.#entriesBelow(this.#tree(side, ordinal), 0)
  }

  /** Puts every changed page into the batch. */
  flush(batch: LevelBatch): void {
    for (const [treeNumber, tree] of this.#trees) {
      const own = treeNumber - this.#lastForeign
      if (tree.dirty.size > 0 && own > 0) this.#begun.add(own)
      for (const number of tree.deleted) batch.del(pageKey(tree.side, tree.ordinal, number))
      for (const number of tree.dirty) {
        const page = tree.pages.get(number)
        assert(page !== undefined, 'a changed page is in memory')
        const key = pageKey(tree.side, tree.ordinal, number)
        const isEmpty = page.root !== undefined && page.root.degree === 0
        if (isEmpty) batch.del(key)
        else batch.put(key, sealRow(key, encodePage(page)))
      }
      tree.dirty.clear()
      tree.deleted.clear()
    }
    if (this.#pages > CACHED_PAGES_MAX) this.forget()
  }

  /** Lets all pages go, changed ones too: after a batch that failed. */
  forget(): void {
    this.#trees.clear()
    this.#pages = 0
  }

  #tree(side: Side, ordinal: number): Tree {
    const at = treeNumber(side, ordinal)
    let tree = this.#trees.get(at)
    if (tree === undefined) {
      tree = { side, ordinal, pages: new Map(), dirty: new Set(), deleted: new Set() }
      this.#trees.set(at, tree)
    }
    return tree
  }

  #page(tree: Tree, number: number): Page {
    const cached = tree.pages.get(number)
    if (cached !== undefined) return cached
    const stored = this.#isUnbegun(tree) ? undefined : this.#stored(tree, number)
    assert(stored !== undefined || number === 0, 'a page that a tree names is stored')
    const page = stored?.toPage() ?? emptyRoot()
    this.#keep(tree, number, page)
    return page
  }

  /** Most imported concepts have no page yet: looking for one would cost more than the rest. */
  #isUnbegun(tree: Tree): boolean {
    const number = treeNumber(tree.side, tree.ordinal)
    return number > this.#lastForeign && !this.#begun.has(number - this.#lastForeign)
  }

  #keep(tree: Tree, number: number, page: Page): void {
    tree.pages.set(number, page)
    this.#pages++
  }

  #stored(tree: Tree, number: number): PageReader | undefined {
    const key = pageKey(tree.side, tree.ordinal, number)
    const value = this.#level.getSync(key)
    if (value === undefined) return undefined
    return readRow(key, value, (payload) => new PageReader(payload, number === 0))
  }

  #descend(tree: Tree, key: PageEntry): Step[] {
    const path: Step[] = []
    let number = 0
    for (;;) {
      const page = this.#page(tree, number)
      const bound = lowerBound(page.entries, key)
      if (page.leaf) {
        path.push({ number, page, index: bound })
        return path
      }
      const exact = page.entries[bound]
      const isExact = exact !== undefined && compareEntries(exact, key) === 0
      const index = isExact ? bound : Math.max(0, bound - 1)
      path.push({ number, page, index })
      const child = page.entries[index]
      assert(child !== undefined, 'an inner page has a child for every key')
      number = childOf(child)
    }
  }

  #count(tree: Tree, by: 1 | -1, isLoop: boolean): void {
    const { root } = this.#page(tree, 0)
    assert(root !== undefined, 'page 0 is a root')
    root.degree += by
    if (isLoop) root.loops += by
    tree.dirty.add(0)
  }

  #splitUpwards(tree: Tree, path: Step[]): void {
    for (let depth = path.length - 1; depth >= 0; depth--) {
      const step = path[depth]
      assert(step !== undefined, 'a path has no holes')
      const { page } = step
      if (page.bytes <= PAGE_BYTES || page.entries.length < 2) return
      const right = splitOff(page, step.index)
      tree.dirty.add(step.number)
      const parent = path[depth - 1]
      if (parent === undefined) {
        this.#growRoot(tree, page, right)
        return
      }
      const number = this.#addPage(tree, right)
      lowerSeparator(parent.page, parent.index, page)
      insertChild(parent.page, parent.index + 1, right, number)
      tree.dirty.add(parent.number)
      // Where the new child went decides whether the parent splits at its end.
      parent.index += 1
    }
  }

  /** The root keeps its number: what it held moves into two new pages below it. */
  #growRoot(tree: Tree, root: Page, right: Page): void {
    const left: Page = {
      leaf: root.leaf,
      root: undefined,
      entries: root.entries,
      bytes: root.bytes
    }
    const leftNumber = this.#addPage(tree, left)
    const rightNumber = this.#addPage(tree, right)
    root.leaf = false
    root.entries = []
    root.bytes = 0
    insertChild(root, 0, left, leftNumber)
    insertChild(root, 1, right, rightNumber)
  }

  #addPage(tree: Tree, page: Page): number {
    const { root } = this.#page(tree, 0)
    assert(root !== undefined, 'page 0 is a root')
    const number = root.nextPage++
    this.#keep(tree, number, page)
    tree.dirty.add(number)
    tree.dirty.add(0)
    return number
  }

  #removeUpwards(tree: Tree, path: Step[]): void {
    for (let depth = path.length - 1; depth >= 0; depth--) {
      const step = path[depth]
      assert(step !== undefined, 'a path has no holes')
      const [gone] = step.page.entries.splice(step.index, 1)
      assert(gone !== undefined, 'what is removed was there')
      step.page.bytes -= entryBytes(gone)
      tree.dirty.add(step.number)
      if (step.page.entries.length > 0) return
      if (step.number === 0) {
        // Every page below is gone: the tree starts over as one empty leaf.
        step.page.leaf = true
        return
      }
      tree.pages.delete(step.number)
      this.#pages--
      tree.dirty.delete(step.number)
      tree.deleted.add(step.number)
    }
  }

  *#entriesBelow(tree: Tree, number: number): Generator<PageEntry> {
    const page = tree.pages.get(number) ?? this.#stored(tree, number)?.toPage()
    if (page === undefined) return
    // A copy: whoever reads may remove what it was given.
    for (const entry of [...page.entries]) {
      if (page.leaf) yield entry
      else yield* this.#entriesBelow(tree, childOf(entry))
    }
  }
}

function treeNumber(side: Side, ordinal: number): number {
  return ordinal * 2 + (side === 'out' ? 0 : 1)
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
