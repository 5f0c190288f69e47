/**
 * The rows of the tables in a few bytes: one number for every stretch of keys, so that two
 * generations are compared by reading each of them once, at different times.
 */
import type { LevelRange } from '../../storage/level.ts'
import { META, PREFIX } from './keys.ts'
import { nextRow, type Row, type RowCursor } from './row-cursor.ts'
import { checksumOf, openRow } from './rows.ts'
import type { TablesSnapshot } from './snapshot.ts'

/** The rows behind the range before, up to and including one. */
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

/**
 * Reads every row once and checks it.
 *
 * @param pace Called at the end of each range with the rows read; throws to stop.
 * @throws StoreError `TABLES_DAMAGED` on a row whose checksum is wrong.
 */
export async function digestRanges(
  tables: TablesSnapshot,
  pace: (rows: number) => Promise<void>
): Promise<RangeDigest[]> {
  const ranges: RangeDigest[] = []
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
      digest = addRow(digest, key, value)
      rows += 1
      last = key
      if (rows >= limit) end(key)
    }
    if (last !== undefined) end(last)
  } finally {
    await cursor.close()
  }
  return ranges
}

/** Some ranges in a row, to be compared in one go. */
export interface DigestSlice {
  /** Key of the last row before them; empty before all. */
  readonly after: string
  readonly ranges: readonly RangeDigest[]
  /** Whether nothing stands behind them. */
  readonly isLast: boolean
}

/** Where rows are read from: a snapshot, or a database that nobody writes meanwhile. */
export interface RowSource {
  rows(range: LevelRange): RowCursor
}

/**
 * Numbers of the ranges of a slice that have other rows in other tables; their number for rows behind
 * the last slice. The checksums of the rows are believed.
 *
 * @param pace Called after some hundred rows with how many those were; throws to stop.
 */
export async function differingIn(
  tables: RowSource,
  { after, ranges, isLast }: DigestSlice,
  pace: (rows: number) => Promise<void>
): Promise<number[]> {
  const differing: number[] = []
  const upTo = ranges.at(-1)?.upTo
  const cursor = tables.rows({
    gt: Buffer.from(after, 'latin1'),
    ...(isLast || upTo === undefined ? {} : { lte: Buffer.from(upTo, 'latin1') })
  })
  let read = 0
  try {
    let row = await nextRow(cursor)
    for (const [i, range] of ranges.entries()) {
      const lte = Buffer.from(range.upTo, 'latin1')
      let rows = 0
      let digest = 0
      while (row !== undefined && row[0].compare(lte) <= 0) {
        const [key, value]: Row = row
        if (!mayDiffer(key)) {
          digest = addRow(digest, key, value)
          rows += 1
        }
        read += 1
        if (read % RANGE_ROWS === 0) await pace(RANGE_ROWS)
        row = cursor.ready() ?? (await nextRow(cursor))
      }
      if (rows !== range.rows || digest !== range.digest) differing.push(i)
    }
    if (row !== undefined) differing.push(ranges.length)
  } finally {
    await cursor.close()
  }
  return differing
}
/**
 * Folds in a row whose checksum is right, or that was just made. The checksum stands for key and
 * value, and their lengths say where one ends; ranges that differ are taken for equal with a chance
 * of one to 2³². Chaining `crc32` over the values instead would be blind: what it makes of bytes
 * with their own checksum behind them depends on their number alone.
 */
function addRow(digest: number, key: Buffer, value: Buffer): number {
  const named = Math.imul(digest ^ checksumOf(value), 0x01000193)
  return Math.imul(named ^ (key.length + value.length * 4096), 0x01000193)
}

/**
 * Whether two sound generations may disagree about the row: its value depends on how far batches
 * and sweeps and building of indexes went, or an older program did not write it. Counts are compared
 * by themselves.
 */
export function mayDiffer(key: Buffer): boolean {
  const [prefix] = key
  if (prefix === PREFIX.record || prefix === PREFIX.dead) return true
  if (prefix !== PREFIX.meta) return false
  return [META.anchor, META.counts, META.indexes].some((name) => key.equals(name))
}
