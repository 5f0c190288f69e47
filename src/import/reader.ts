import type { ImportOptions } from '../types.ts'

/** What a source holds at one place: a record, or what `map` makes one of, or what is wrong. */
export interface Row {
  /** Counted from 1 in each file: the line it begins on, or, where there are no lines, the row. */
  readonly line: number
  /** About what it took in the source: decides how many rows make a batch. */
  readonly bytes: number
  /**
   * Bytes of the unpacked source before it, where this reader can begin with it again if `from`
   * says so. Needed now and then, and not at all where that is impossible.
   */
  readonly start?: number | undefined
  /** Named only where several files are imported. */
  readonly file: string | undefined
  /** As it stands in the source, for the reject file. */
  readonly text: string | undefined
  readonly value: unknown
  readonly fault: string | undefined
}

/** The bytes of one source, and what its reader may have to know. */
export interface Input {
  /** Of the file, or in words: for errors. */
  readonly name: string
  /** Goes into every row. */
  readonly file: string | undefined
  /**
   * Where the bytes stand on disk just as `chunks` gives them, for formats that are not read from
   * front to back. Absent for compressed files, standard input, pipes and bytes of a program.
   */
  readonly path: string | undefined
  /**
   * Where to begin: a `start` that this reader gave in an earlier run, and the line there. The first
   * byte of `chunks` is that one.
   */
  readonly from: { readonly offset: number; readonly line: number } | undefined
  /** Size on disk, where it is known. */
  readonly bytes: number | undefined
  /**
   * The bytes from the first on, unpacked; ends with ABORTED. Call it once.
   *
   * @param share Of the work that reading is, for progress. Default 1, which is all.
   */
  chunks(share?: number): AsyncIterable<Uint8Array>
  /** Tells the progress of a reader beyond its `chunks`: bytes of the file that it is through. */
  told(bytes: number): void
  /** `map` says: give rows as they are in the format, not as records. */
  readonly options: ImportOptions
}

/**
 * Yields the rows of one source group by group, so that only a group costs a promise. A group is
 * taken whole before the next is asked for; an empty one costs nothing and lets progress be told.
 * Blank rows are left out. The same bytes give the same rows in the same order, always.
 *
 * @throws StoreError `IMPORT_SOURCE_INVALID` when nothing more can be read, `UNSUPPORTED`,
 *   `ABORTED`. A bad row is no error: its `fault` is the reason.
 */
export type Reader = (input: Input) => AsyncIterable<Iterable<Row>>

/** A format in which several files may speak of the same things, and are read as one. */
export type JointReader = (inputs: readonly Input[]) => AsyncIterable<Iterable<Row>>
