import { assert } from '../../assert.ts'
import type { Level, LevelBatch } from '../../storage/level.ts'
import { typeCountKey } from './keys.ts'
import { decodeNumber, encodeNumber, readRow, sealRow } from './rows.ts'

/** How many concepts each type has, as a batch changes them. Rows are read when it is written. */
export class TypeCounts {
  readonly #level: Level
  readonly #changes = new Map<string, number>()

  constructor(level: Level) {
    this.#level = level
  }

  add(type: string, by: 1 | -1): void {
    this.#changes.set(type, (this.#changes.get(type) ?? 0) + by)
  }

  /** Puts every changed count into the batch. */
  flush(batch: LevelBatch): void {
    for (const [type, change] of this.#changes) {
      const key = typeCountKey(type)
      const value = this.#level.getSync(key)
      const count = (value === undefined ? 0 : readRow(key, value, decodeNumber)) + change
      assert(count >= 0, 'a type has no fewer than no concepts')
      if (count === 0) batch.del(key)
      else batch.put(key, sealRow(key, encodeNumber(count)))
    }
  }

  /** After the batch was put together. */
  clear(): void {
    this.#changes.clear()
  }
}
