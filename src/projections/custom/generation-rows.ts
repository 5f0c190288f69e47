/**
 * The database of one generation of a custom projection.
 *
 * | key                       | value                                      |
 * | ------------------------- | ------------------------------------------ |
 * | `c` batch, 6 bytes        | continuity record, as those of the tables  |
 * | `m` name                  | `anchor`, `checkpoint`, `definition`       |
 * | `r` key, see row-keys.ts  | the row's value, see row-values.ts         |
 *
 * Every value ends with a checksum of key and value. Numbers are big endian.
 */
import { crc32 } from 'node:zlib'
import { StoreError } from '../../errors.ts'
import { pack, unpack } from '../../storage/codec.ts'
import { isCorruption, type Level, type LevelSnapshot } from '../../storage/level.ts'
import { CRC_BYTES } from '../tables/rows.ts'
import { decodeRowKey, type KeyBounds } from './row-keys.ts'

const LAYOUT = 1

export const META: Readonly<Record<'anchor' | 'checkpoint' | 'definition', Buffer>> = {
  anchor: Buffer.from('manchor'),
  checkpoint: Buffer.from('mcheckpoint'),
  definition: Buffer.from('mdefinition')
}

export const RECORDS: KeyBounds = { gte: Buffer.from('c'), lt: Buffer.from('d') }

export function recordKey(batch: number): Buffer {
  const key = Buffer.allocUnsafe(7)
  key.write('c', 'latin1')
  key.writeUIntBE(batch, 1, 6)
  return key
}

/** What rows were made by: others are made anew. */
export interface MadeBy {
  storeId: string
  version: number
  types: readonly string[] | undefined
}

export function encodeMadeBy({ storeId, version, types }: MadeBy): Buffer {
  return pack([LAYOUT, storeId, version, types ?? null])
}

/** `undefined`: laid out by another version of this program. */
export function decodeMadeBy(payload: Buffer): MadeBy | undefined {
  const [layout, storeId, version, types] = unpack(payload) as [
    number,
    string,
    number,
    string[] | null
  ]
  return layout === LAYOUT ? { storeId, version, types: types ?? undefined } : undefined
}

/** Rows as they lie under one checkpoint; what is given are payloads, their checksums verified. */
export interface RowSource {
  get(key: Buffer): Buffer | undefined
  blocks(bounds: KeyBounds, reverse?: boolean): AsyncIterable<[key: Buffer, payload: Buffer][]>
}

/** Told of damage before its error is thrown. */
export type OnDamaged = (error: StoreError<'PROJECTION_DAMAGED'>) => void

export class LevelRows implements RowSource {
  readonly #level: Level
  readonly #snapshot: LevelSnapshot | undefined
  readonly #projection: string
  readonly #onDamaged: OnDamaged

  /** @param snapshot Absent for the one who writes: what it reads is what it wrote. */
  constructor(
    level: Level,
    projection: string,
    onDamaged: OnDamaged,
    snapshot: LevelSnapshot | undefined = undefined
  ) {
    this.#level = level
    this.#snapshot = snapshot
    this.#projection = projection
    this.#onDamaged = onDamaged
  }

  get(key: Buffer): Buffer | undefined {
    try {
      const value = this.#level.getSync(key, this.#snapshot)
      return value === undefined ? undefined : this.#open(key, value)
    } catch (error) {
      throw this.#asDamage(error, key)
    }
  }

  async *blocks(
    bounds: KeyBounds,
    reverse = false
  ): AsyncGenerator<[key: Buffer, payload: Buffer][]> {
    if (bounds.gte.compare(bounds.lt) >= 0) return
    const snapshot = this.#snapshot === undefined ? {} : { snapshot: this.#snapshot }
    try {
      for await (const rows of this.#level.blocks({ ...bounds, ...snapshot, reverse })) {
        yield rows.map(([key, value]) => [key, this.#open(key, value)])
      }
    } catch (error) {
      throw this.#asDamage(error, bounds.gte)
    }
  }

  #open(key: Buffer, value: Buffer): Buffer {
    const payload = payloadOf(key, value)
    if (payload !== undefined) return payload
    throw this.damaged(key, 'its checksum is wrong')
  }

  /** Whoever throws it finds that its projection knows. */
  damaged(key: Buffer, reason: string, cause?: unknown): StoreError<'PROJECTION_DAMAGED'> {
    const error = projectionDamaged(this.#projection, key, reason, cause)
    this.#onDamaged(error)
    return error
  }

  #asDamage(error: unknown, key: Buffer): unknown {
    return isCorruption(error) ? this.damaged(key, error.message, error) : error
  }
}

/** `undefined` for a value that does not carry the checksum of this key and itself. */
export function payloadOf(key: Buffer, value: Buffer): Buffer | undefined {
  const end = value.length - CRC_BYTES
  if (end < 0) return undefined
  const payload = value.subarray(0, end)
  return value.readUInt32LE(end) === crc32(payload, crc32(key)) ? payload : undefined
}

export function projectionDamaged(
  projection: string,
  key: Buffer,
  reason: string,
  cause?: unknown
): StoreError<'PROJECTION_DAMAGED'> {
  const row = decodeRowKey(key)
  const shown = row === undefined ? key.toString('hex') : JSON.stringify(row)
  const message = `Row ${shown} of projection '${projection}' is damaged: ${reason}`
  const details = { projection, key: shown, reason }
  return new StoreError('PROJECTION_DAMAGED', message, details, { cause })
}
