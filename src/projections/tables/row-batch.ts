/**
 * The rows of one batch on their way into LevelDB: sealed and put as they come, without an object
 * for each. Later ones of a key replace earlier ones, as LevelDB applies a batch in its order.
 */
import { crc32 } from 'node:zlib'
import { assert } from '../../assert.ts'
import type { ConceptId } from '../../ids.ts'
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
import { conceptKey, ID_AT, idKey, PREFIX } from './keys.ts'
import { loseSums, type RowSums } from './row-sums.ts'
import { CRC_BYTES, checksumOf, decodeId, type IdRow, readRow, sealRow } from './rows.ts'

const LENGTH_BYTES = 4
const KEY_BYTES = 5
const ID_BYTES = 16
const ID_VALUE_AT = ID_AT + ID_BYTES
const ID_CRC_AT = ID_VALUE_AT + 9
const ID_ROW_BYTES = ID_CRC_AT + CRC_BYTES
const ID_VALUE_BYTES = ID_ROW_BYTES - ID_VALUE_AT
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
  readonly #sums: RowSums
  /** Behind a gap alone: where ids lead that this batch wrote. */
  readonly #ids = new Map<ConceptId, number>()
  #isPastGap = false
  /** The row of the concept that was read last. */
  readonly #read = { ordinal: 0, checksum: 0, bytes: 0 }

  /** @param sums Those of concepts and ids follow what is put. */
  constructor(level: Level, sums: RowSums) {
    this.#level = level
    this.#sums = sums
    this.#idRow[0] = PREFIX.id
  }

  /** Ids are asked for from here on. What was never forgotten may be learned anew: sums are lost. */
  passGap(): void {
    this.#isPastGap = true
    loseSums(this.#sums)
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
      return value && this.#readConcept(ordinal, key, value)
    }
    const from = start + LENGTH_BYTES + KEY_BYTES
    // A copy: what is written next goes over what was written before the last batch.
    const row = Buffer.from(this.#rows.subarray(from, from + this.#rows.readUInt32LE(start)))
    return this.#readConcept(ordinal, key, row)
  }

  #readConcept(ordinal: number, key: Buffer, value: Buffer): ConceptState {
    const state = readRow(key, value, (payload) => decodeConcept(ordinal, payload))
    this.#read.ordinal = ordinal
    this.#read.checksum = checksumOf(value)
    this.#read.bytes = value.length
    return state
  }

  /** @param isNew Whether there is no row of it. Else it was just read. */
  putConcept(ordinal: number, state: ConceptState, isNew: boolean): void {
    if (!isNew) this.#uncount(ordinal)
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
    this.#sealIdRow(ordinal, 0, learned.key.end > 0)
    if (learned.version > 1) this.#sums.id.lose()
    this.#putIdRow()
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
    const checksum = crc32(rows.subarray(keyAt, end))
    rows.writeUInt32LE(checksum, end)
    this.#end = end + CRC_BYTES
    const bytes = this.#end - from
    rows.writeUInt32LE(bytes, start)
    this.#sums.concept.add(checksum, bytes)
    this.#concepts.set(ordinal, start)
    this.batch.put(rows.subarray(keyAt, from), rows.subarray(from, this.#end))
  }

  /** Removes a concept that was just read. */
  delConcept(ordinal: number): void {
    this.#uncount(ordinal)
    this.#concepts.set(ordinal, GONE)
    this.batch.del(conceptKey(ordinal))
  }

  /**
   * Where an id of a new concept leads.
   *
   * @param version Above 1, another one had the id before: its row, which nobody read, goes.
   */
  putId(id: ConceptId, row: IdRow, version: number): void {
    if (version > 1) this.#sums.id.lose()
    if (this.#isPastGap) this.#ids.set(id, row.ordinal)
    this.#idRow.write(id, ID_AT, ID_BYTES, 'hex')
    this.#sealIdRow(row.ordinal, row.deadVersion, row.hasKey)
    this.#putIdRow()
  }

  /** Where an id leads that led elsewhere. */
  replaceId(id: ConceptId, before: IdRow, row: IdRow): void {
    if (this.#isPastGap) this.#ids.set(id, row.ordinal)
    this.#idRow.write(id, ID_AT, ID_BYTES, 'hex')
    this.#sealIdRow(before.ordinal, before.deadVersion, before.hasKey)
    this.#sums.id.remove(this.#idRow.readUInt32LE(ID_CRC_AT), ID_VALUE_BYTES)
    this.#sealIdRow(row.ordinal, row.deadVersion, row.hasKey)
    this.#putIdRow()
  }

  /** As this batch and those before it left it; asked behind a gap alone. */
  ordinalOf(id: ConceptId): number | undefined {
    const gathered = this.#ids.get(id)
    if (gathered !== undefined) return gathered
    const key = idKey(id)
    const value = this.#level.getSync(key)
    return value === undefined ? undefined : readRow(key, value, decodeId).ordinal
  }

  #uncount(ordinal: number): void {
    const { checksum, bytes } = this.#read
    assert(this.#read.ordinal === ordinal, 'a concept is read before it is changed')
    this.#sums.concept.remove(checksum, bytes)
  }

  /** With the id that was written into it. */
  #sealIdRow(ordinal: number, deadVersion: number, hasKey: boolean): void {
    const row = this.#idRow
    row.writeUInt32LE(ordinal, ID_VALUE_AT)
    row.writeUInt32LE(deadVersion, ID_VALUE_AT + 4)
    row[ID_VALUE_AT + 8] = Number(hasKey)
    row.writeUInt32LE(crc32(row.subarray(0, ID_CRC_AT)), ID_CRC_AT)
  }

  #putIdRow(): void {
    const row = this.#idRow
    this.#sums.id.add(row.readUInt32LE(ID_CRC_AT), ID_VALUE_BYTES)
    this.batch.put(row.subarray(0, ID_VALUE_AT), row.subarray(ID_VALUE_AT))
  }

  /**
   * Writes all of it or nothing. Another batch may be gathered meanwhile, by who reads no row until this one
   * is written.
   */
  async write(): Promise<void> {
    const { batch } = this
    this.#batch = undefined
    this.#concepts.clear()
    this.#ids.clear()
    this.#end = 0
    if (this.#rows.length > KEPT_BYTES) this.#rows = Buffer.allocUnsafeSlow(FIRST_BYTES)
    await batch.write({ sync: false })
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
