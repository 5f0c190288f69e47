/**
 * Compares two generations of the tables at the same checkpoint.
 *
 * Of the live one digests are known. Kinds of rows whose sum is the one that was written into the
 * rebuilt one are equal; where others have another digest, both are read row by row.
 * Rows are equal byte for byte but for two kinds. How associations lie in pages depends on the
 * batches they came in, so pages that differ are compared by what they hold. And a concept that
 * died may have been erased in one generation and not in the other.
 */
import { isDeepStrictEqual } from 'node:util'
import type { AssociationEnd } from '../../log/event.ts'
import { Pinned } from '../pinned.ts'
import type { AssociationState } from '../state.ts'
import { differingRanges, type KeyRange, type SliceHelper } from './differing-ranges.ts'
import { indexOf } from './index-keys.ts'
import { isBuilt } from './index-states.ts'
import { ordinalOf, PREFIX, type Side } from './keys.ts'
import { mayDiffer, type TablesDigest } from './range-digest.ts'
import { nextRow, type Row } from './row-cursor.ts'
import { equalKinds, type Sums } from './row-sums.ts'
import { openRow } from './rows.ts'
import type { TablesSnapshot } from './snapshot.ts'

/** Enough to see what kind of damage it is. */
const DIFFERENCES_MAX = 20

export interface CompareOptions {
  /** Of the live tables. */
  digest: TablesDigest
  /** Of the rebuilt ones, as they were written, if that is known. */
  sums?: Sums | undefined
  /** Called after some hundred rows; throws to stop. */
  pace(rows: number): Promise<void>
  /** Takes a part of the reading of the rebuilt tables off this thread. */
  helper?: SliceHelper
}

/**
 * @returns What differs, in words: the first of them, and none if the tables are equal.
 * @throws StoreError `TABLES_DAMAGED` on a row whose checksum is wrong.
 */
export async function compareTables(
  live: TablesSnapshot,
  rebuilt: TablesSnapshot,
  { digest, sums, pace, helper }: CompareOptions
): Promise<string[]> {
  const proven = sums === undefined ? [] : equalKinds(digest.sums, sums)
  const suspects = await differingRanges(rebuilt, digest.ranges, pace, { helper, proven })
  if (suspects.length === 0) return []
  const [dead, expectedDead] = [await live.dead(), await rebuilt.dead()]
  const comparison = new Comparison(pinned(live, dead), pinned(rebuilt, expectedDead))
  for (const suspect of suspects) {
    await compareRows(live, rebuilt, suspect, comparison, pace)
    if (comparison.isFull) break
  }
  return comparison.differences
}

async function compareRows(
  live: TablesSnapshot,
  rebuilt: TablesSnapshot,
  range: KeyRange,
  comparison: Comparison,
  pace: (rows: number) => Promise<void>
): Promise<void> {
  const [left, right] = [live.rows(range), rebuilt.rows(range)]
  let rows = 0
  try {
    let [actual, expected] = [await nextRow(left), await nextRow(right)]
    while (actual !== undefined || expected !== undefined) {
      const order = compareKeys(actual?.[0], expected?.[0])
      if (order < 0) comparison.onlyIn('live', actual)
      if (order > 0) comparison.onlyIn('rebuilt', expected)
      if (order === 0) comparison.both(actual, expected)
      if (comparison.isFull) break
      if (order <= 0) actual = left.ready() ?? (await nextRow(left))
      if (order >= 0) expected = right.ready() ?? (await nextRow(right))
      rows += 1
      if (rows % 512 === 0) await pace(rows)
    }
  } finally {
    await left.close()
    await right.close()
  }
}

type Which = 'live' | 'rebuilt'

/** What is no longer there sorts behind everything. */
function compareKeys(a: Buffer | undefined, b: Buffer | undefined): number {
  if (a === undefined) return 1
  return b === undefined ? -1 : a.compare(b)
}

function pinned(snapshot: TablesSnapshot, dead: Map<number, number>): Pinned {
  const unknown = { find: () => undefined, complete: false, remember: () => {} }
  return new Pinned(snapshot.checkpoint, snapshot, { segments: [], dead }, unknown)
}

class Comparison {
  readonly differences: string[] = []
  readonly #live: Pinned
  readonly #rebuilt: Pinned
  /** The concept and side whose pages were compared last: a large one has many pages. */
  #compared = ''

  constructor(live: Pinned, rebuilt: Pinned) {
    this.#live = live
    this.#rebuilt = rebuilt
  }

  get isFull(): boolean {
    return this.differences.length >= DIFFERENCES_MAX
  }

  both(actual: Row | undefined, expected: Row | undefined): void {
    if (actual === undefined || expected === undefined) return
    // An equal row has the right checksum: the other one was just made.
    if (actual[1].equals(expected[1])) return
    openRow(actual[0], actual[1])
    this.#differ(actual[0], 'differs from the one rebuilt from the log')
  }

  onlyIn(which: Which, row: Row | undefined): void {
    if (row === undefined) return
    if (which === 'live') openRow(row[0], row[1])
    const what = which === 'live' ? 'does not follow from the log' : 'is missing'
    this.#differ(row[0], what)
  }

  #differ(key: Buffer, what: string): void {
    const [prefix] = key
    if (mayDiffer(key)) return
    // An index that is not built yet, or is being removed, follows from more than the log.
    if (isOfIndex(key) && !this.#hasBuilt(key)) return
    if (prefix === PREFIX.incoming || prefix === PREFIX.outgoing) {
      this.#comparePages(key, prefix === PREFIX.outgoing ? 'out' : 'in')
      return
    }
    this.differences.push(`row ${nameOf(key)} ${what}`)
  }

  #hasBuilt(key: Buffer): boolean {
    const { field, type } = indexOf(key)
    return [this.#live, this.#rebuilt].every(({ snapshot }) =>
      snapshot.indexes().some((one) => one.field === field && one.type === type && isBuilt(one))
    )
  }

  #comparePages(key: Buffer, side: Side): void {
    const ordinal = ordinalOf(key)
    const name = `${side} ${ordinal}`
    if (name === this.#compared) return
    this.#compared = name
    if (this.#live.isDead(ordinal) || this.#rebuilt.isDead(ordinal)) return
    const self = this.#rebuilt.concept(ordinal)
    if (self === undefined) {
      // A sweep may leave an empty page of a concept that died: nobody can ask for it.
      if (this.#live.concept(ordinal) === undefined) return
      this.differences.push(`row ${nameOf(key)} belongs to no concept`)
      return
    }
    if (sameAssociations(this.#live, this.#rebuilt, self, side)) return
    this.differences.push(`associations of concept ${self.id}, ${side}, differ from the log's`)
  }
}

function sameAssociations(
  live: Pinned,
  rebuilt: Pinned,
  self: AssociationEnd,
  side: Side
): boolean {
  const actual = live.associations(self, side)
  for (const expected of rebuilt.associations(self, side)) {
    const found = actual.next()
    if (found.done === true || !isSame(found.value, expected)) return false
  }
  return actual.next().done === true
}

function isSame(a: AssociationState, b: AssociationState): boolean {
  return isDeepStrictEqual({ ...a, metadata: hex(a) }, { ...b, metadata: hex(b) })
}

function hex({ metadata }: AssociationState): string | undefined {
  return metadata === undefined ? undefined : Buffer.from(metadata).toString('hex')
}

function isOfIndex([prefix]: Buffer): boolean {
  return prefix === PREFIX.posting || prefix === PREFIX.valueCount
}

function nameOf(key: Buffer): string {
  return `${key.toString('latin1', 0, 1)}:${key.toString('hex', 1)}`
}
