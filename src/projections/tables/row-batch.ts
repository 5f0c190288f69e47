/**
 * The rows of one batch on their way into LevelDB: sealed and put as they come, without an object
 * for each. Later ones of a key replace earlier ones, as LevelDB applies a batch in its order.
 */
import { crc32 } from 'node:zlib'
import type { LearnedConcept } from '../../log/event-reader.ts'
import type { Level, LevelBatch } from '../../storage/level.ts'
import type { At, ConceptState } from '../state.ts'
import {
  conceptBytesMax,
  copyLearned,
  decodeConcept,
  learnedBytesMax,
  writeConcept
} from './concept-row.ts'
import { conceptKey, PREFIX } from './keys.ts'
import { CRC_BYTES, readRow, sealRow } from './rows.ts'

const LENGTH_BYTES = 4
const KEY_BYTES = 5
const ID_AT = 1
const ID_BYTES = 16
const ID_ROW_BYTES = ID_AT + ID_BYTES + 9 + CRC_BYTES
const FIRST_BYTES = 1024 * 1024
/** Beyond it the memory of one large batch is given back. */
const KEPT_BYTES = 16 * 1024 * 1024
const GONE = -1

export class RowBatch {
  readonly #level: Level
  readonly #idRow = Buffer.alloc(ID_ROW_BYTES)
  #batch: LevelBatch | undefined
  /** Sealed rows of concepts: length of the row u32, key, row. */
  #rows = Buffer.allocUnsafeSlow(FIRST_BYTES)
  #end = 0
  /** Where the row of a concept begins that this batch wrote; `GONE` if it removed it. */
  readonly #concepts = new Map<number, number>()

  constructor(level: Level) {
    this.#level = level
    this.#idRow[0] = PREFIX.id
  }

  get batch(): LevelBatch {
    this.#batch ??= this.#level.batch()
    return this.#batch
  }

  put(key: Buffer, payload: Uint8Array): void {
    this.batch.put(key, sealRow(key, payload))
  }

  del(key: Buffer): void {
    this.batch.del(key)
  }

  /** As this batch and those before it left it. @throws StoreError `TABLES_DAMAGED` */
  concept(ordinal: number): ConceptState | undefined {
    const start = this.#concepts.get(ordinal)
    if (start === GONE) return undefined
    const key = conceptKey(ordinal)
    if (start === undefined) {
      const value = this.#level.getSync(key)
      return value && readRow(key, value, (row) => decodeConcept(ordinal, row))
    }
    const from = start + LENGTH_BYTES + KEY_BYTES
    // A copy: what is written next goes over what was written before the last batch.
    const row = Buffer.from(this.#rows.subarray(from, from + this.#rows.readUInt32LE(start)))
    return readRow(key, row, (payload) => decodeConcept(ordinal, payload))
  }

  putConcept(ordinal: number, state: ConceptState): void {
    const from = this.#begin(conceptBytesMax(state))
    this.#finish(ordinal, from, writeConcept(this.#rows, from, state))
  }

  /** A concept that was learned under a new ordinal, and where its id leads. */
  putLearned(body: Buffer, learned: LearnedConcept, at: At): void {
    const { ordinal, id } = learned
    const from = this.#begin(learnedBytesMax(learned))
    this.#finish(ordinal, from, copyLearned(this.#rows, from, body, learned, at))
    const row = this.#idRow
    for (let i = 0; i < ID_BYTES; i++) row[ID_AT + i] = body[id.at + i] ?? 0
    this.#putIdRow(ordinal, 0, learned.key.end > 0)
  }

  /** Makes room for a row. @returns Where it begins. */
  #begin(bytesMax: number): number {
    this.#reserve(LENGTH_BYTES + KEY_BYTES + bytesMax + CRC_BYTES)
    return this.#end + LENGTH_BYTES + KEY_BYTES
  }

  #finish(ordinal: number, from: number, end: number): void {
    const rows = this.#rows
    const start = this.#end
    const keyAt = start + LENGTH_BYTES
    rows[keyAt] = PREFIX.concept
    rows.writeUInt32BE(ordinal, keyAt + 1)
    // The checksum of a key, continued over the row: in one go where they lie side by side.
    rows.writeUInt32LE(crc32(rows.subarray(keyAt, end)), end)
    this.#end = end + CRC_BYTES
    rows.writeUInt32LE(this.#end - from, start)
    this.#concepts.set(ordinal, start)
    this.batch.put(rows.subarray(keyAt, from), rows.subarray(from, this.#end))
  }

  delConcept(ordinal: number): void {
    this.#concepts.set(ordinal, GONE)
    this.batch.del(conceptKey(ordinal))
  }

  /** Where an id leads. */
  putId(id: string, ordinal: number, deadVersion: number, hasKey: boolean): void {
    this.#idRow.write(id, ID_AT, ID_BYTES, 'hex')
    this.#putIdRow(ordinal, deadVersion, hasKey)
  }

  /** With the id that was written into it. */
  #putIdRow(ordinal: number, deadVersion: number, hasKey: boolean): void {
    const row = this.#idRow
    row.writeUInt32LE(ordinal, 17)
    row.writeUInt32LE(deadVersion, 21)
    row[25] = Number(hasKey)
    row.writeUInt32LE(crc32(row.subarray(0, 26)), 26)
    this.batch.put(row.subarray(0, 17), row.subarray(17))
  }

  /** Writes all of it or nothing. */
  async write(): Promise<void> {
    const { batch } = this
    this.#batch = undefined
    await batch.write({ sync: false })
    this.#concepts.clear()
    this.#end = 0
    if (this.#rows.length > KEPT_BYTES) this.#rows = Buffer.allocUnsafeSlow(FIRST_BYTES)
  }

  /** Lets go of what was gathered and must not be written. */
  async discard(): Promise<void> {
    const batch = this.#batch
    this.#batch = undefined
    await batch?.discard()
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#rows.length) return
    const size = Math.max(this.#rows.length * 2, this.#end + bytes)
    const larger = Buffer.allocUnsafeSlow(size)
    this.#rows.copy(larger, 0, 0, this.#end)
    this.#rows = larger
  }
}
