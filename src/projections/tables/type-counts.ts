import { assert } from '../../assert.ts'
import type { Level, LevelBatch } from '../../storage/level.ts'
import { typeCountKey } from './keys.ts'
import { decodeNumber, encodeNumber, readRow, sealRow } from './rows.ts'

/** How many concepts each type has, as a batch changes them. */
export class TypeCounts {
  readonly #level: Level
  readonly #changed = new Map<string, number>()

  constructor(level: Level) {
    this.#level = level
  }

  add(type: string, by: 1 | -1): void {
    const count = this.#count(type) + by
    assert(count >= 0, 'a type has no fewer than no concepts')
    this.#changed.set(type, count)
  }

  /** Puts every changed count into the batch. */
  flush(batch: LevelBatch): void {
    for (const [type, count] of this.#changed) {
      const key = typeCountKey(type)
      if (count === 0) batch.del(key)
      else batch.put(key, sealRow(key, encodeNumber(count)))
    }
  }

  /** After the batch was written. */
  clear(): void {
    this.#changed.clear()
  }

  #count(type: string): number {
    const changed = this.#changed.get(type)
    if (changed !== undefined) return changed
    const key = typeCountKey(type)
    const value = this.#level.getSync(key)
    return value === undefined ? 0 : readRow(key, value, decodeNumber)
  }
}
