/**
 * Which table files a LevelDB database is made of, read without LevelDB.
 *
 * CURRENT names a MANIFEST, a write-ahead file of edits: `db/version_edit.cc` of LevelDB 1.20. Files that
 * it does not name were cut off by a crash, or are still being written, and say nothing.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isMissing } from './files.ts'
import { readVarint } from './snappy.ts'
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

/** Sizes of the live table files by number; `undefined` when CURRENT or MANIFEST cannot be read. */
export async function liveTableFiles(directory: string): Promise<Map<number, number> | undefined> {
  try {
    const name = (await readFile(join(directory, 'CURRENT'), 'latin1')).trim()
    if (!/^MANIFEST-\d+$/.test(name)) return undefined
    const live = new Map<number, number>()
    for (const record of recordsOf(await readFile(join(directory, name)))) apply(record, live)
    return live
  } catch (error) {
    // LevelDB will say the same when it is opened.
    if (isMissing(error) || error instanceof RangeError) return undefined
    throw error
  }
}

function apply(record: Buffer, live: Map<number, number>): void {
  const edit = new EditReader(record)
  while (!edit.done) {
    switch (edit.number()) {
      case TAG.comparator:
        edit.skipBytes()
        break
      case TAG.logNumber:
      case TAG.nextFile:
      case TAG.lastSequence:
      case TAG.previousLog:
        edit.number()
        break
      case TAG.compactPointer:
        edit.number()
        edit.skipBytes()
        break
      case TAG.deletedFile:
        edit.number()
        live.delete(edit.number())
        break
      case TAG.newFile: {
        edit.number()
        const number = edit.number()
        live.set(number, edit.number())
        edit.skipBytes()
        edit.skipBytes()
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

  skipBytes(): void {
    const length = this.number()
    this.#at += length
    if (this.#at > this.#bytes.length) throw new RangeError('an edit is cut')
  }
}
