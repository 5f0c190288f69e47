/** Ways down a tree of pages. A page is read when its turn has come. */
import type { PageEntry, PageReader } from './page.ts'

/** Reads the page that another one names by this number. */
type ReadPage = (number: number) => PageReader

/** Where to begin among the entries of a tree. */
export interface PageSeek {
  key: PageEntry
  inclusive: boolean
}

/** A tree of pages that all hold but two entries reaches every association there can be. */
const DEPTH_MAX = 40

/**
 * Entries of the leaves, in order.
 *
 * @throws RangeError where pages lead in a circle.
 */
export function* entriesBelow(
  page: PageReader,
  child: ReadPage,
  from?: PageSeek,
  depth = 0
): Generator<PageEntry, void> {
  checkDepth(depth)
  if (page.leaf) {
    for (let i = from === undefined ? 0 : firstIn(page, from); i < page.count; i++) {
      yield page.entryAt(i)
    }
    return
  }
  const first = from === undefined ? 0 : page.childFor(from.key)
  for (let i = first; i < page.count; i++) {
    // Only the first child can hold entries before the place sought.
    yield* entriesBelow(child(page.childAt(i)), child, i === first ? from : undefined, depth + 1)
  }
}

/**
 * The leaf where an entry with this key stands, if there is one.
 *
 * @throws RangeError where pages lead in a circle.
 */
export function leafBelow(root: PageReader, child: ReadPage, key: PageEntry): PageReader {
  let page = root
  for (let depth = 0; !page.leaf; depth++) {
    checkDepth(depth)
    page = child(page.childAt(page.childFor(key)))
  }
  return page
}

function firstIn(page: PageReader, { key, inclusive }: PageSeek): number {
  return inclusive ? page.lowerBound(key) : page.upperBound(key)
}

function checkDepth(depth: number): void {
  if (depth > DEPTH_MAX) throw new RangeError('pages lead in a circle')
}
