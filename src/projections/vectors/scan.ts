import type { Query } from './distance.ts'
import type { Nearest } from './nearest.ts'
import type { Pace } from './pace.ts'
import type { VectorGraph } from './vector-index.ts'

/** Reads rows one after the other. What it shows belongs to the row of the last `seek`. */
export interface RowCursor {
  seek(row: number): void
  readonly vectors: Float32Array
  /** Where the row begins in `vectors`. */
  readonly offset: number
  /** `NaN` if it is not known. */
  readonly inverseNorm: number
  readonly ordinal: number
  readonly revision: number
}

/** A place where rows lie: a sealed segment, or the memory of the growing one. */
export interface RowSource {
  /** Its rows: from here, up to there, exclusive. Their revisions increase. */
  readonly from: number
  readonly to: number
  ordinalAt(row: number): number
  /** The row of a revision, or -1. */
  rowOf(revision: number): number
  /** Reads single rows. May be shared: use it without awaiting. */
  single(): RowCursor
  /** @param near Whether most rows in between are wanted too. */
  cursor(near: boolean): RowCursor
}

export interface GraphSource extends RowSource {
  readonly graph: VectorGraph
}

/** Rows of one cursor to be compared with a query: a range, or chosen ones in increasing order. */
export interface ScanPart {
  cursor: RowCursor
  rows: { from: number; to: number } | Uint32Array
}

const ROWS_PER_CHECK = 64

/** Rows that are wanted together are read ahead when at least every eighth one is wanted. */
const NEAR = 8

/** Compares the query with each row, in slices, and offers it to the nearest. */
export async function scan(
  parts: readonly ScanPart[],
  query: Query,
  nearest: Nearest,
  pace: Pace
): Promise<void> {
  for (const { cursor, rows } of parts) {
    const chosen = rows instanceof Uint32Array
    const end = chosen ? rows.length : rows.to
    for (let at = chosen ? 0 : rows.from; at < end; ) {
      const stop = Math.min(end, at + ROWS_PER_CHECK)
      for (; at < stop; at++) offerRow(cursor, chosen ? (rows[at] ?? 0) : at, query, nearest)
      if (pace.due) await pace.breathe()
    }
  }
}

export function offerRow(cursor: RowCursor, row: number, query: Query, nearest: Nearest): void {
  cursor.seek(row)
  const distance = query.distance(cursor.vectors, cursor.offset, cursor.inverseNorm)
  nearest.offer(cursor.ordinal, cursor.revision, distance)
}

/** The rows of one source whose revision is wanted, if they belong to the wanted ordinal. */
export function chosenPart(
  source: RowSource,
  wanted: Uint32Array,
  ordinals: ReadonlyMap<number, number>
): ScanPart & { rows: Uint32Array } {
  const rows: number[] = []
  for (const revision of wanted) {
    const row = source.rowOf(revision)
    if (row !== -1 && source.ordinalAt(row) === ordinals.get(revision)) rows.push(row)
  }
  const span = (rows.at(-1) ?? 0) - (rows[0] ?? 0)
  return { cursor: source.cursor(rows.length * NEAR > span), rows: Uint32Array.from(rows) }
}
