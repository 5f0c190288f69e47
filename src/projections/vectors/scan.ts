import type { Query } from './distance.ts'
import type { Nearest } from './nearest.ts'
import type { PartRows, RowCursor } from './part-rows.ts'

/** Rows that are wanted together are read ahead when at least every eighth one is wanted. */
export const NEAR = 8

/** Compares the query with each row of a range that is alive at a position, exactly. */
export function scanRange(
  rows: PartRows,
  from: number,
  to: number,
  { query, position, nearest }: { query: Query; position: number; nearest: Nearest }
): void {
  const cursor = rows.cursor(to)
  const { deaths } = rows
  for (let row = from; row < to; row++) {
    if (!deaths.isDeadAt(row, position)) offerRow(rows, cursor, row, query, nearest)
  }
}

/** Compares the query with chosen rows, in increasing order. */
export function scanChosen(
  rows: PartRows,
  chosen: readonly number[],
  query: Query,
  nearest: Nearest
): void {
  const [first = 0] = chosen
  const last = chosen.at(-1) ?? 0
  const cursor = rows.cursor(chosen.length * NEAR > last - first ? last + 1 : 0)
  for (const row of chosen) offerRow(rows, cursor, row, query, nearest)
}

export function offerRow(
  { ids }: PartRows,
  cursor: RowCursor,
  row: number,
  query: Query,
  nearest: Nearest
): void {
  nearest.offer(ids.ordinalAt(row), ids.revisionAt(row), distanceOf(cursor, row, query))
}

export function distanceOf(cursor: RowCursor, row: number, query: Query): number {
  cursor.seek(row)
  return query.distance(cursor.vectors, cursor.offset, cursor.inverseNorm)
}
