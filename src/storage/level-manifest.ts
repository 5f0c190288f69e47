/**
 * Which files a LevelDB database is made of, read without LevelDB.
 *
 * CURRENT names a MANIFEST, a write-ahead file of edits: `db/version_edit.cc` of LevelDB 1.20. Files that
 * it does not name were cut off by a crash, or are still being written, and say nothing.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isMissing } from './files.ts'
import { readVarint } from './snappy.ts'
import { parseInternalKey } from './table-file.ts'
import { recordsOf } from './write-ahead-file.ts'

const TAG = {
  comparator: 1,
  logNumber: 2,
  nextFile: 3,
  lastSequence: 4,
  compactPointer: 5,
  deletedFile: 6,
  newFile: 7,
  previousLog: 9
} as const

/** A table file as MANIFEST describes it. Keys are those of its first and its last row. */
export interface LiveTable {
  bytes: number
  smallest: Buffer
  largest: Buffer
}

export interface Manifest {
  /** By their numbers. */
  tables: Map<number, LiveTable>
  /** Write-ahead files from this number on are not in tables yet, and the previous one, if any. */
  logNumber: number
  previousLog: number
  lastSequence: bigint
  /** The highest number of a write that some table is known to hold: of its first or last row. */
  flushed: bigint
}

/** `undefined` when CURRENT or MANIFEST cannot be read. */
export async function readManifest(directory: string): Promise<Manifest | undefined> {
  const manifest: Manifest = {
    tables: new Map(),
    logNumber: 0,
    previousLog: 0,
    lastSequence: 0n,
    flushed: 0n
  }
  try {
    const name = (await readFile(join(directory, 'CURRENT'), 'latin1')).trim()
    if (!/^MANIFEST-\d+$/.test(name)) return undefined
    for (const record of recordsOf(await readFile(join(directory, name)))) apply(record, manifest)
    return manifest
  } catch (error) {
    // LevelDB will say the same when it is opened.
    if (isMissing(error) || error instanceof RangeError) return undefined
    throw error
  }
}

function apply(record: Buffer, manifest: Manifest): void {
  const { tables } = manifest
  const edit = new EditReader(record)
  while (!edit.done) {
    switch (edit.number()) {
      case TAG.comparator:
        edit.bytes()
        break
      case TAG.logNumber:
        manifest.logNumber = edit.number()
        break
      case TAG.previousLog:
        manifest.previousLog = edit.number()
        break
      case TAG.nextFile:
        edit.number()
        break
      case TAG.lastSequence:
        manifest.lastSequence = edit.sequence()
        break
      case TAG.compactPointer:
        edit.number()
        edit.bytes()
        break
      case TAG.deletedFile:
        edit.number()
        tables.delete(edit.number())
        break
      case TAG.newFile: {
        edit.number()
        const number = edit.number()
        const bytes = edit.number()
        const [smallest, largest] = [edit.bytes(), edit.bytes()].map(parseInternalKey)
        if (smallest === undefined || largest === undefined) break
        tables.set(number, { bytes, smallest: smallest.key, largest: largest.key })
        for (const { sequence } of [smallest, largest]) {
          if (sequence > manifest.flushed) manifest.flushed = sequence
        }
        break
      }
      default:
        throw new RangeError('an edit of an unknown kind')
    }
  }
}

class EditReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length
  }

  number(): number {
    const { value, next } = readVarint(this.#bytes, this.#at)
    this.#at = next
    return value
  }

  /** As `number`, of any size: LevelDB believes what it reads there. */
  sequence(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#at++] ?? 0
      value |= BigInt(byte & 127) << shift
      if (byte < 128) break
    }
    return value
  }

  bytes(): Buffer {
    const length = this.number()
    const from = this.#at
    this.#at += length
    if (this.#at > this.#bytes.length) throw new RangeError('an edit is cut')
    return this.#bytes.subarray(from, this.#at)
  }
}
