/** Values of one column, for the rows of a piece. `null` or `undefined` where a row has none. */
export type Column =
  | { readonly name: string; readonly values: readonly unknown[] }
  | { readonly name: string; readonly lists: FloatLists }

/** Lists of numbers, all in one array: that travels between threads without being copied. */
export interface FloatLists {
  readonly floats: Float32Array
  /** Where the list of each row ends; it begins where the one before ends. */
  readonly ends: Uint32Array
  /** 1 where a row has no list, which is not the same as an empty one. */
  readonly missing: Uint8Array
}

/** Some rows of a file of columns, as the worker hands them over. */
export interface Piece {
  /** Number of the first row, from 1. */
  readonly first: number
  readonly rows: number
  /** Estimated. */
  readonly bytes: number
  readonly columns: readonly Column[]
  /** Why rows of it are refused, by their place in it. */
  readonly faults?: ReadonlyMap<number, string> | undefined
  /** Bytes of the file that are read by now, about. */
  readonly readTo: number
  /** The file is an export of this package, in which a missing embedding says that there is none. */
  readonly isOurs: boolean
}

/** A piece before it is numbered. */
export type Slice = Omit<Piece, 'first'>

/** Under this name in the metadata of a file, an export says that it is one. */
export const OURS = 'sutra-storage'

/** Rows of a piece, at most: enough that the way between threads costs little for each. */
const PIECE_ROWS = 1000
/** Bytes of a piece, about: what comes out of it is unpacked on the main thread. */
const PIECE_BYTES = 1024 * 1024

/** What may be in memory at a time: a row group or a record batch, unpacked. */
export const GROUP_BYTES_MAX: number = 256 * 1024 * 1024

/** How many rows of this many bytes make a piece. */
export function pieceRows(bytesPerRow: number): number {
  return Math.max(1, Math.min(PIECE_ROWS, Math.floor(PIECE_BYTES / Math.max(1, bytesPerRow))))
}

/** The row of a piece as an object; columns without a value are `null`. */
export function rowOf({ columns }: Piece, index: number): Record<string, unknown> {
  const row: Record<string, unknown> = {}
  for (const column of columns) {
    row[column.name] = 'lists' in column ? listOf(column.lists, index) : column.values[index]
  }
  return row
}

function listOf({ floats, ends, missing }: FloatLists, index: number): Float32Array | null {
  if (missing[index] === 1) return null
  return floats.subarray(index === 0 ? 0 : ends[index - 1], ends[index])
}

/** Puts lists of numbers together. */
export function packLists(values: readonly unknown[]): FloatLists {
  const lists = values.map((value) => (isNumbers(value) ? value : undefined))
  const total = lists.reduce((sum, list) => sum + (list?.length ?? 0), 0)
  const floats = new Float32Array(total)
  const ends = new Uint32Array(values.length)
  const missing = new Uint8Array(values.length)
  let end = 0
  for (const [i, list] of lists.entries()) {
    if (list === undefined) missing[i] = 1
    else floats.set(list, end)
    end += list?.length ?? 0
    ends[i] = end
  }
  return { floats, ends, missing }
}

/** Lists of numbers; of their members the first is looked at, the rest is of the column's type. */
function isNumbers(value: unknown): value is ArrayLike<number> {
  if (ArrayBuffer.isView(value)) return !(value instanceof DataView)
  return Array.isArray(value) && value.every((one) => typeof one === 'number')
}
