/** Reads all rows of a position, to compare them with others or to tell them apart by a hash. */
import { createHash } from 'node:crypto'
import { throwIfAborted } from '../../errors.ts'
import { STRETCH_MS, turn } from '../../turn.ts'
import type { ProjectionComparison, ProjectionDifference } from '../../types.ts'
import { type Layers, mergedRows } from './layered-rows.ts'
import { ALL_ROWS, decodeRowKey } from './row-keys.ts'
import { decodeRowValue } from './row-values.ts'

type Row = [key: Buffer, payload: Buffer]

export interface Differences
  extends Pick<ProjectionComparison, 'same' | 'added' | 'removed' | 'changed' | 'differences'> {}

export interface ReadPlan {
  operation: string
  signal: AbortSignal | undefined
}

/** Walks both in the order of keys, with a row of each in memory. */
export async function compareRows(
  before: Layers,
  after: Layers,
  limit: number,
  plan: ReadPlan
): Promise<Differences> {
  const found: Differences = { same: 0, added: 0, removed: 0, changed: 0, differences: [] }
  const tell = (key: Buffer, difference: Omit<ProjectionDifference, 'key'>): void => {
    const decoded = decodeRowKey(key)
    if (found.differences.length >= limit || decoded === undefined) return
    found.differences.push({ key: decoded, ...difference })
  }
  for await (const [old, next] of pairsOf(rowsOf(before, plan), rowsOf(after, plan))) {
    if (old === undefined) {
      found.added += 1
      tell(next[0], { after: decodeRowValue(next[1]) })
    } else if (next === undefined) {
      found.removed += 1
      tell(old[0], { before: decodeRowValue(old[1]) })
    } else if (old[1].equals(next[1])) {
      found.same += 1
    } else {
      found.changed += 1
      tell(old[0], { before: decodeRowValue(old[1]), after: decodeRowValue(next[1]) })
    }
  }
  return found
}

/** Equal for equal rows, whatever batches they came in. */
export async function hashRows(layers: Layers, plan: ReadPlan): Promise<string> {
  const hash = createHash('sha256')
  const lengths = Buffer.alloc(8)
  for await (const [key, payload] of rowsOf(layers, plan)) {
    // Lengths first: the end of a key must not pass for the beginning of a value.
    lengths.writeUInt32LE(key.length, 0)
    lengths.writeUInt32LE(payload.length, 4)
    hash.update(lengths).update(key).update(payload)
  }
  return hash.digest('hex')
}

async function* rowsOf(layers: Layers, { operation, signal }: ReadPlan): AsyncGenerator<Row, void> {
  let began = performance.now()
  for await (const row of mergedRows(layers, ALL_ROWS)) {
    yield row
    if (performance.now() - began < STRETCH_MS) continue
    await turn()
    throwIfAborted(signal, operation)
    began = performance.now()
  }
}

async function* pairsOf(
  before: AsyncGenerator<Row, void>,
  after: AsyncGenerator<Row, void>
): AsyncGenerator<[Row, Row | undefined] | [undefined, Row]> {
  try {
    let old = (await before.next()).value ?? undefined
    let next = (await after.next()).value ?? undefined
    while (old !== undefined || next !== undefined) {
      const order = old === undefined ? 1 : next === undefined ? -1 : old[0].compare(next[0])
      if (order <= 0 && old !== undefined) yield [old, order === 0 ? next : undefined]
      else if (next !== undefined) yield [undefined, next]
      if (order <= 0) old = (await before.next()).value ?? undefined
      if (order >= 0) next = (await after.next()).value ?? undefined
    }
  } finally {
    // Each holds an iterator of its database.
    await before.return()
    await after.return()
  }
}
