import type { RowKey, RowRange, Rows } from '../../types.ts'
import type { Changes, Payload } from './changes.ts'
import { projectionDamaged, type RowSource } from './generation-rows.ts'
import {
  boundsOf,
  decodeRowKey,
  encodeRowId,
  type KeyBounds,
  keyOfRowId,
  type RowId,
  rowIdOf
} from './row-keys.ts'
import { decodeRowValue, encodeRowValue } from './row-values.ts'

/** Changes over the rows of a checkpoint. */
export interface Layers {
  projection: string
  source: RowSource
  changes: Changes
}

type Put = (id: RowId, payload: Payload) => void

/**
 * The rows as `apply` and queries are given them: what is stored with changes laid over it. Good
 * for one call: whoever keeps them would read or change rows of another moment.
 */
export class LayeredRows implements Rows {
  readonly #layers: Layers
  readonly #put: Put | undefined
  #isOver = false

  /** @param put Where changes go; absent for a query, which makes none. */
  constructor(layers: Layers, put?: Put) {
    this.#layers = layers
    this.#put = put
  }

  /** The call they were given to has ended. */
  end(): void {
    this.#isOver = true
  }

  get(key: RowKey): unknown {
    this.#assertUsable()
    const id = encodeRowId(key)
    const changed = this.#layers.changes.get(id)
    if (changed !== undefined) return changed === null ? undefined : copyOf(changed)
    const payload = this.#layers.source.get(keyOfRowId(id))
    return payload === undefined ? undefined : decodeRowValue(payload)
  }

  put(key: RowKey, value: unknown): void {
    this.#change(key, encodeRowValue(value))
  }

  del(key: RowKey): void {
    this.#change(key, null)
  }

  /** A generator begins when it is first asked: changes that come before belong to what it gives. */
  async *range(range: RowRange = {}): AsyncGenerator<[key: RowKey, value: unknown], void> {
    this.#assertUsable()
    const { limit = Number.POSITIVE_INFINITY, reverse = false } = range
    const { projection } = this.#layers
    let given = 0
    for await (const [key, payload] of mergedRows(this.#layers, boundsOf(range), reverse)) {
      if (given >= limit) return
      this.#assertUsable()
      const decoded = decodeRowKey(key)
      if (decoded === undefined) throw projectionDamaged(projection, key, 'its key is malformed')
      yield [decoded, decodeRowValue(payload)]
      given += 1
      // Before another row is read only to be left.
      if (given >= limit) return
    }
  }

  #change(key: RowKey, payload: Payload): void {
    this.#assertUsable()
    if (this.#put === undefined) throw new TypeError('A query cannot change rows')
    this.#put(encodeRowId(key), payload)
  }

  #assertUsable(): void {
    if (this.#isOver) throw new TypeError('These rows belong to a call that has ended')
  }
}

/** Decoded bytes lead into what they were decoded from, which others read after us. */
function copyOf(payload: Buffer): unknown {
  return decodeRowValue(holdsBytes(payload[0] ?? 0) ? Buffer.from(payload) : payload)
}

/** Whether MessagePack that begins so may hold bytes: numbers, booleans and short texts do not. */
function holdsBytes(first: number): boolean {
  const isNumber = first < 0x80 || first >= 0xe0 || (first >= 0xca && first < 0xd4)
  return !isNumber && !(first >= 0xa0 && first < 0xc4)
}

/** Keys and payloads in order, changes laid over what is stored. */
export async function* mergedRows(
  { source, changes }: Pick<Layers, 'source' | 'changes'>,
  bounds: KeyBounds,
  reverse = false
): AsyncGenerator<[key: Buffer, payload: Buffer], void> {
  const changed = changes.between(rowIdOf(bounds.gte), rowIdOf(bounds.lt))
  if (reverse) changed.reverse()
  const isBefore = (a: RowId, b: RowId): boolean => (reverse ? a > b : a < b)
  let at = 0
  for await (const block of source.blocks(bounds, reverse)) {
    for (const [key, payload] of block) {
      const id = rowIdOf(key)
      let isChanged = false
      for (let next = changed[at]; next !== undefined; next = changed[at]) {
        if (isBefore(id, next[0])) break
        isChanged = next[0] === id
        at += 1
        if (next[1] !== null) yield [keyOfRowId(next[0]), Buffer.from(next[1])]
      }
      if (!isChanged) yield [key, payload]
    }
  }
  for (const [id, payload] of changed.slice(at)) {
    if (payload !== null) yield [keyOfRowId(id), Buffer.from(payload)]
  }
}
