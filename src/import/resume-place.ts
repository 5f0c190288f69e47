import { assert } from '../assert.ts'
import { StoreError } from '../errors.ts'

/** Where reading can begin: a row of a file, and how many records stand before it in all. */
export interface Mark {
  /** Index of the file; 0 for what a program hands over. */
  readonly file: number
  /** Bytes of the unpacked file before the row. */
  readonly offset: number
  readonly line: number
  readonly records: number
}

/** Number of the record, its line and the reason: what the log keeps of a rejected record. */
export type Kept = readonly [number: number, line: number, reason: string]

/**
 * What travels in the headers of each commit of an import that can be resumed, and says all about
 * the import up to this commit: what is in the log and what is said of it cannot differ.
 */
export interface Place {
  /** Where reading meets the first record that is not decided. */
  readonly mark: Mark
  /** The record that the next batch begins with: it and what follows is not decided. */
  readonly next: number
  /** Associations of this batch that wait for their ends. */
  readonly waits: readonly number[]
  /** What waited up to this record is decided. */
  readonly retried: number
  /** The batch of the association that waits longest. */
  readonly oldest: number
  readonly isLast: boolean
  readonly concepts: number
  readonly associations: number
  readonly rejected: number
  /** Length of the reject file. */
  readonly rejectBytes: number
  /** The rejected records of this batch, unless there is no use for them any more. */
  readonly kept: readonly Kept[]
  /** The last batch before this one whose rejected records are kept. */
  readonly keptIn: number
  /**
   * Of a batch with rejected records that the report names: those and some before them, as many as
   * make a page, so that they can be read back in a few steps.
   */
  readonly page: readonly Kept[]
  /** The batch that holds the newest page before this batch … */
  readonly pageIn: number
  /** … and the one with the page before its own. */
  readonly olderPageIn: number
  /** Tells the source and the options from others; the first batch spells it out. */
  readonly source: string
  readonly parts: readonly string[] | undefined
  /** How batches are cut, to cut them the same way again. */
  readonly cut: string
}

/** The name of the header; its value is JSON. */
const HEADER = 'sutra-import'
/** To be raised when a place of an older version means something else. */
const VERSION = 1

export const BEGIN: Mark = { file: 0, offset: 0, line: 1, records: 0 }

export function encodePlace(place: Place): Record<string, string> {
  const { mark, ...others } = place
  const { file, offset, line, records } = mark
  return { [HEADER]: JSON.stringify({ v: VERSION, at: [file, offset, line, records], ...others }) }
}

/** @throws StoreError `UNSUPPORTED` for what a newer version wrote. */
export function decodePlace(headers: Readonly<Record<string, string>>): Place {
  const text = headers[HEADER]
  assert(text !== undefined, 'a commit of an import says how far the import is')
  // Written by `encodePlace` and covered by the checksum of the frame.
  const { v, at, ...others } = JSON.parse(text) as Omit<Place, 'mark'> & { v: number; at: number[] }
  if (v !== VERSION) throw newer(v)
  const [file = 0, offset = 0, line = 1, records = 0] = at
  return { ...others, mark: { file, offset, line, records } }
}

function newer(version: number): StoreError<'UNSUPPORTED'> {
  const reason = `it was begun by a version that writes places ${version}, this one knows ${VERSION}`
  const operation = 'resuming of this import'
  return new StoreError('UNSUPPORTED', `The ${operation} is not supported: ${reason}`, {
    operation,
    reason
  })
}
