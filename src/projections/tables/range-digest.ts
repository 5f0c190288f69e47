/**
 * The rows of the tables in a few bytes: one number for every stretch of keys, so that two
 * generations are compared by reading each of them once, at different times.
 */
import type { LevelRange } from '../../storage/level.ts'
import { endOf, META, PREFIX } from './keys.ts'
import { nextRow, RowCursor } from './row-cursor.ts'
import { newSums, type RowSum, SUMMED, type Sums } from './row-sums.ts'
import { checksumOf, openRow } from './rows.ts'
import type { TablesSnapshot } from './snapshot.ts'

/** The rows behind the range before, up to and including one; all have the same prefix. */
export interface RangeDigest {
  /** Key of the last row. As text: a string costs a third of what a buffer of its own does. */
  readonly upTo: string
  readonly rows: number
  readonly digest: number
}

/**
 * Rows of the first ranges. A range that differs is read again, so a small one is cheap to look
 * into; later ones are larger, so that what is remembered grows with the logarithm of the tables.
 */
const RANGE_ROWS = 512
const RANGES_OF_A_SIZE = 8192

export interface TablesDigest {
  readonly ranges: readonly RangeDigest[]
  readonly sums: Sums
}

/**
 * Reads every row once and checks it.
 *
 * @param pace Called at the end of each range with the rows read; throws to stop.
 * @throws StoreError `TABLES_DAMAGED` on a row whose checksum is wrong.
 */
export async function digestRanges(
  tables: TablesSnapshot,
  pace: (rows: number) => Promise<void>
): Promise<TablesDigest> {
  const ranges: RangeDigest[] = []
  const sums = newSums()
  const sumOf = new Map<number, RowSum>(SUMMED.map((kind) => [PREFIX[kind], sums[kind]]))
  let sum: RowSum | undefined
  const cursor = tables.rows()
  let limit = RANGE_ROWS
  let read = 0
  let rows = 0
  let digest = 0
  let last: Buffer | undefined
  const end = (upTo: Buffer): void => {
    ranges.push({ upTo: upTo.toString('latin1'), rows, digest })
    if (ranges.length % RANGES_OF_A_SIZE === 0) limit *= 2
    rows = 0
    digest = 0
    last = undefined
  }
  try {
    for (;;) {
      const row = cursor.ready() ?? (await nextRow(cursor))
      if (row === undefined) break
      const [key, value] = row
      openRow(key, value)
      read += 1
      if (read % RANGE_ROWS === 0) await pace(read)
      if (mayDiffer(key)) continue
      if (last?.[0] !== key[0]) {
        if (last !== undefined) end(last)
        sum = sumOf.get(key[0] ?? 0)
      }
      sum?.add(checksumOf(value), value.length)
      digest = addRow(digest, value)
      rows += 1
      last = key
      if (rows >= limit) end(key)
    }
    if (last !== undefined) end(last)
  } finally {
    await cursor.close()
  }
  return { ranges, sums }
}

/** Some ranges in a row, to be compared in one go. */
export interface DigestSlice {
  /** Keys that belong to them, and to none before and behind. */
  readonly from: string
  readonly to?: string
  readonly ranges: readonly RangeDigest[]
}

/** Where rows are read from: a snapshot, or a database that nobody writes meanwhile. */
export interface ValueSource {
  valueBlocks(range: LevelRange): AsyncGenerator<Buffer[]>
}

/**
 * Numbers of the ranges of a slice that have other rows in other tables. The checksums of the rows are
 * believed. Rows are counted into their ranges, as their keys are not read: where one is missing or
 * is too many, the rest of the slice differs too. What stands behind the last range belongs to it.
 *
 * @param pace Called after some hundred rows with how many those were; throws to stop.
 */
export async function differingIn(
  tables: ValueSource,
  { from, to, ranges }: DigestSlice,
  pace: (rows: number) => Promise<void>
): Promise<number[]> {
  const differing: number[] = []
  const values = valuesOf(tables, rangesOf(from, to))
  let read = 0
  try {
    for (const [i, range] of ranges.entries()) {
      let rows = 0
      let digest = 0
      for (; rows < range.rows; rows++) {
        const value = values.ready() ?? (await nextRow(values))
        if (value === undefined) break
        digest = addRow(digest, value)
        read += 1
        if (read % RANGE_ROWS === 0) await pace(RANGE_ROWS)
      }
      if (rows !== range.rows || digest !== range.digest) differing.push(i)
    }
    const last = Math.max(0, ranges.length - 1)
    const isMore = (await nextRow(values)) !== undefined
    if (isMore && differing.at(-1) !== last) differing.push(last)
  } finally {
    await values.close()
  }
  return differing
}

function valuesOf(tables: ValueSource, spans: Iterable<LevelRange>): RowCursor<Buffer> {
  return new RowCursor(blocks())

  async function* blocks(): AsyncGenerator<Buffer[]> {
    for (const span of spans) yield* tables.valueBlocks(span)
  }
}

/**
 * Folds in a row whose checksum is right, or that was just made. The checksum stands for key and
 * value, and the length of the value says where one ends; ranges that differ are taken for equal with
 * a chance of one to 2³². Chaining `crc32` over the values instead would be blind: what it makes of
 * bytes with their own checksum behind them depends on their number alone.
 */
function addRow(digest: number, value: Buffer): number {
  const named = Math.imul(digest ^ checksumOf(value), 0x01000193)
  return Math.imul(named ^ value.length, 0x01000193)
}

/** Rows of these names, and all of these prefixes, are left out: see {@link mayDiffer}. */
const NAMES_LEFT_OUT = [META.anchor, META.counts, META.indexes]
const PREFIXES_LEFT_OUT: readonly number[] = [PREFIX.record, PREFIX.dead]

/**
 * Whether two sound generations may disagree about the row: its value depends on how far batches
 * and sweeps and building of indexes went, or an older program did not write it. Counts are compared
 * by themselves.
 */
export function mayDiffer(key: Buffer): boolean {
  const [prefix] = key
  if (prefix === PREFIX.meta) return NAMES_LEFT_OUT.some((name) => key.equals(name))
  return prefix !== undefined && PREFIXES_LEFT_OUT.includes(prefix)
}

/** Where rows may not differ, in the order of keys. */
const LEFT_OUT: readonly { from: Buffer; to: Buffer }[] = [
  ...NAMES_LEFT_OUT.map((name) => ({ from: name, to: Buffer.concat([name, Buffer.alloc(1)]) })),
  ...PREFIXES_LEFT_OUT.map((prefix) => ({ from: Buffer.from([prefix]), to: endOf(prefix) }))
].sort((a, b) => a.from.compare(b.from))

/** Keys between two, without those of rows that may differ. */
function* rangesOf(from: string, to: string | undefined): Generator<LevelRange> {
  let gte: Buffer = Buffer.from(from, 'latin1')
  const lt = to === undefined ? undefined : Buffer.from(to, 'latin1')
  for (const hole of LEFT_OUT) {
    if (hole.to.compare(gte) <= 0) continue
    if (lt !== undefined && hole.from.compare(lt) >= 0) break
    if (hole.from.compare(gte) > 0) yield { gte, lt: hole.from }
    gte = hole.to
  }
  if (lt === undefined) yield { gte }
  else if (lt.compare(gte) > 0) yield { gte, lt }
}
