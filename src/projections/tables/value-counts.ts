/**
 * Rows of `g`: how many concepts have values that begin with certain bytes, so that it can be told
 * without reading them about how many a range holds. Three levels, one byte of the value each:
 * the sign and exponent of a number and twelve bits behind, or the beginning of a text. A row has a
 * count for each next byte that occurs:
 *
 *     (byte, count u32 little endian) …, ascending
 */
import type { Level, LevelBatch } from '../../storage/level.ts'
import { openRow, rowDamaged, sealRow } from './rows.ts'

const LEVELS = 3
const CELL_BYTES = 5

type Cells = Map<number, number>

interface Changed {
  readonly prefix: Buffer
  /** By the first bytes of values, as one number. */
  readonly deltas: Map<number, number>
}

export class ValueCounts {
  readonly #level: Level
  readonly #changed = new Map<string, Changed>()

  constructor(level: Level) {
    this.#level = level
  }

  add(prefix: Buffer, value: Buffer, by: 1 | -1): void {
    const name = prefix.toString('latin1')
    let changed = this.#changed.get(name)
    if (changed === undefined) {
      changed = { prefix, deltas: new Map() }
      this.#changed.set(name, changed)
    }
    const at = (byteAt(value, 0) << 16) | (byteAt(value, 1) << 8) | byteAt(value, 2)
    changed.deltas.set(at, (changed.deltas.get(at) ?? 0) + by)
  }

  /** @throws StoreError `TABLES_DAMAGED`: there are fewer than none. */
  flush(batch: LevelBatch): void {
    for (const { prefix, deltas } of this.#changed.values()) {
      for (const { path, cells } of rolledUp(deltas)) this.#flushRow(prefix, path, cells, batch)
    }
  }

  /** After the batch was written. */
  clear(): void {
    this.#changed.clear()
  }

  #flushRow(prefix: Buffer, path: readonly number[], deltas: Cells, batch: LevelBatch): void {
    const key = rowKey(prefix, path)
    const value = this.#level.getSync(key)
    const cells =
      value === undefined
        ? new Map<number, number>()
        : decodeCells(checkCells(key, openRow(key, value)))
    for (const [byte, delta] of deltas) {
      const count = (cells.get(byte) ?? 0) + delta
      if (count < 0) throw rowDamaged(key, 'a count is too small')
      if (count === 0) cells.delete(byte)
      else cells.set(byte, count)
    }
    if (cells.size === 0) batch.del(key)
    else batch.put(key, sealRow(key, encodeCells(cells)))
  }
}

/** Reads the payload of a row. */
export type ReadCounts = (key: Buffer) => Buffer | undefined

/**
 * How many values lie between two, both included, to the precision of the counts: rather more.
 * Reads five rows at most.
 *
 * @param from Encoded value; `undefined`: from the first one on.
 */
export function countBetween(
  read: ReadCounts,
  prefix: Buffer,
  from: Buffer | undefined,
  to: Buffer | undefined
): number {
  return countBelow(read, prefix, [], from, to)
}

function countBelow(
  read: ReadCounts,
  prefix: Buffer,
  path: readonly number[],
  from: Buffer | undefined,
  to: Buffer | undefined
): number {
  const payload = read(rowKey(prefix, path))
  if (payload === undefined) return 0
  const level = path.length
  const low = from === undefined ? -1 : byteAt(from, level)
  const high = to === undefined ? 0x100 : byteAt(to, level)
  let total = 0
  for (const [byte, count] of decodeCells(payload)) {
    if (byte < low || byte > high) continue
    const isEdge = byte === low || byte === high
    if (!isEdge || level === LEVELS - 1) total += count
    else {
      const below = [byte === low ? from : undefined, byte === high ? to : undefined] as const
      total += countBelow(read, prefix, [...path, byte], ...below)
    }
  }
  return total
}

/** A value may be shorter than the levels are many. */
function byteAt(value: Buffer, level: number): number {
  return value[level] ?? 0
}

function rowKey(prefix: Buffer, path: readonly number[]): Buffer {
  return Buffer.concat([prefix, Buffer.from(path)])
}

/** The changes of each row, from those of its last level. */
function rolledUp(deltas: ReadonlyMap<number, number>): { path: number[]; cells: Cells }[] {
  const rows = new Map<number, { path: number[]; cells: Cells }>()
  for (const [at, delta] of deltas) {
    if (delta === 0) continue
    const bytes = [at >> 16, (at >> 8) & 0xff, at & 0xff]
    for (let level = 0; level < LEVELS; level++) {
      // The level in front tells paths of other lengths apart.
      const name = (level << 16) | (at >> (8 * (LEVELS - level)))
      let row = rows.get(name)
      if (row === undefined) {
        row = { path: bytes.slice(0, level), cells: new Map() }
        rows.set(name, row)
      }
      const byte = bytes[level] ?? 0
      row.cells.set(byte, (row.cells.get(byte) ?? 0) + delta)
    }
  }
  return [...rows.values()]
}

/** @throws StoreError `TABLES_DAMAGED` on a payload of another length than it can have. */
export function checkCells(key: Buffer, payload: Buffer): Buffer {
  if (payload.length % CELL_BYTES === 0) return payload
  throw rowDamaged(key, 'malformed')
}

function encodeCells(cells: Cells): Buffer {
  const payload = Buffer.allocUnsafe(cells.size * CELL_BYTES)
  let at = 0
  for (const [byte, count] of [...cells].sort(([a], [b]) => a - b)) {
    payload[at] = byte
    payload.writeUInt32LE(count, at + 1)
    at += CELL_BYTES
  }
  return payload
}

function decodeCells(payload: Buffer): Cells {
  const cells: Cells = new Map()
  for (let at = 0; at < payload.length; at += CELL_BYTES) {
    cells.set(payload.readUInt8(at), payload.readUInt32LE(at + 1))
  }
  return cells
}
