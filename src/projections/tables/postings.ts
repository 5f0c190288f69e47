/**
 * Rows of `f` and `z`: which concepts have a value or a type, each with the revision of its vector.
 *
 * Ordinals stand in groups of 65 536. A group of a few is one row, its part 0. A larger group has
 * its entries in sixteen parts of 4 096 ordinals, and part 0 tells how many each of them holds. So
 * no row holds more than 4 096 entries, a value that few concepts have is read in few rows, and
 * how a group is laid out follows from its entries alone: a rebuild gives the same bytes.
 *
 *     entries: 0x00, low 16 bits of each ordinal u16 …, ascending; revision of each u32 …
 *     counts:  0x01, 16 × u16
 *
 * Numbers are little endian, as in the memory of every machine that LevelDB is built for here.
 */
import { rowDamaged } from './rows.ts'

export const GROUP_BITS = 16
export const PARTS = 16
/** Entries of a group in one row; a part never has more. */
export const ROW_ENTRIES_MAX = 4096
const PART_BITS = 12
const ENTRIES = 0
const COUNTS = 1
const LOW_BYTES = 2
const ENTRY_BYTES = 6
/** Below, typed arrays cost more to make than they save. */
const FEW = 32

export interface Entries {
  readonly lows: Uint16Array
  readonly revisions: Uint32Array
}

/** Changes of one group in the order they came; of one ordinal the last one holds. */
export interface Edits {
  readonly lows: number[]
  /** {@link GONE} for an entry that is removed. */
  readonly revisions: number[]
}

export const GONE = -1
export const NO_ENTRIES: Entries = { lows: new Uint16Array(0), revisions: new Uint32Array(0) }

/** Which part of a split group holds an ordinal; from 1 on. */
export function partFor(low: number): number {
  return (low >> PART_BITS) + 1
}

export function encodeEntries({ lows, revisions }: Entries): Buffer {
  const payload = Buffer.allocUnsafe(1 + lows.length * ENTRY_BYTES)
  payload[0] = ENTRIES
  payload.set(bytesOf(lows), 1)
  payload.set(bytesOf(revisions), 1 + lows.length * LOW_BYTES)
  return payload
}

export function encodePartCounts(counts: Uint16Array): Buffer {
  return Buffer.concat([Buffer.from([COUNTS]), bytesOf(counts)])
}

export function hasEntries(payload: Buffer): boolean {
  return payload[0] === ENTRIES
}

/** How many entries stand in a row, or behind a row of counts. */
export function countIn(payload: Buffer): number {
  if (hasEntries(payload)) return (payload.length - 1) / ENTRY_BYTES
  return decodePartCounts(payload).reduce((sum, count) => sum + count, 0)
}

export function decodePartCounts(payload: Buffer): Uint16Array {
  const counts = new Uint16Array(PARTS)
  bytesOf(counts).set(payload.subarray(1, 1 + PARTS * LOW_BYTES))
  return counts
}

export function decodeEntries(payload: Buffer): Entries {
  const count = countIn(payload)
  // Copied, because typed arrays want their numbers aligned.
  const entries = { lows: new Uint16Array(count), revisions: new Uint32Array(count) }
  bytesOf(entries.lows).set(payload.subarray(1, 1 + count * LOW_BYTES))
  bytesOf(entries.revisions).set(payload.subarray(1 + count * LOW_BYTES))
  return entries
}

export function firstLow(payload: Buffer): number {
  return payload.readUInt16LE(1)
}

export function lastLow(payload: Buffer): number {
  return payload.readUInt16LE(1 + (countIn(payload) - 1) * LOW_BYTES)
}

/** Decodes without an object for the row: most rows of a range may hold one entry. */
export function copyEntries(
  payload: Buffer,
  lows: Uint32Array,
  revisions: Uint32Array,
  at: number
): number {
  const count = countIn(payload)
  if (count < FEW) {
    for (let i = 0; i < count; i++) {
      lows[at + i] = payload.readUInt16LE(1 + i * LOW_BYTES)
      revisions[at + i] = payload.readUInt32LE(1 + count * LOW_BYTES + i * 4)
    }
    return count
  }
  const entries = decodeEntries(payload)
  lows.set(entries.lows, at)
  revisions.set(entries.revisions, at)
  return count
}

/** @throws StoreError `TABLES_DAMAGED` on a payload of another length than it can have. */
export function checkPosting(key: Buffer, payload: Buffer): Buffer {
  const isWhole =
    payload[0] === ENTRIES
      ? (payload.length - 1) % ENTRY_BYTES === 0
      : payload[0] === COUNTS && payload.length === 1 + PARTS * LOW_BYTES
  if (isWhole) return payload
  throw rowDamaged(key, 'malformed')
}

/** The entries of a group or part with its changes. `undefined`: what was to go is not there. */
export function merge({ lows, revisions }: Entries, edits: Edits): Entries | undefined {
  const order = inOrder(edits)
  const merged = {
    lows: new Uint16Array(lows.length + order.length),
    revisions: new Uint32Array(lows.length + order.length)
  }
  let from = 0
  let to = 0
  const put = (low: number, revision: number): void => {
    merged.lows[to] = low
    merged.revisions[to] = revision
    to += 1
  }
  for (const at of order) {
    const low = edits.lows[at] ?? 0
    const revision = edits.revisions[at] ?? GONE
    for (; from < lows.length && (lows[from] ?? 0) < low; from++) {
      put(lows[from] ?? 0, revisions[from] ?? 0)
    }
    const isThere = lows[from] === low
    if (isThere) from += 1
    if (revision !== GONE) put(low, revision)
    else if (!isThere && !isUndone(edits, low)) return undefined
  }
  for (; from < lows.length; from++) put(lows[from] ?? 0, revisions[from] ?? 0)
  return { lows: merged.lows.subarray(0, to), revisions: merged.revisions.subarray(0, to) }
}

/** Places of the edits that hold, by ordinal. */
function inOrder({ lows }: Edits): number[] {
  // New concepts come in order, and are the most.
  if (lows.every((low, at) => at === 0 || low > (lows[at - 1] ?? 0))) return [...lows.keys()]
  const last = new Map<number, number>()
  for (const [at, low] of lows.entries()) last.set(low, at)
  return [...last].sort(([a], [b]) => a - b).map(([, at]) => at)
}

/** Whether one batch both added an entry and removed it again. */
function isUndone({ lows, revisions }: Edits, low: number): boolean {
  return lows.some((other, at) => other === low && revisions[at] !== GONE)
}

export function joinEntries(parts: readonly Entries[]): Entries {
  const count = parts.reduce((sum, { lows }) => sum + lows.length, 0)
  const joined = { lows: new Uint16Array(count), revisions: new Uint32Array(count) }
  let at = 0
  for (const { lows, revisions } of parts) {
    joined.lows.set(lows, at)
    joined.revisions.set(revisions, at)
    at += lows.length
  }
  return joined
}

/** The entries of each part of a group, in order; those of an empty part too. */
export function splitEntries({ lows, revisions }: Entries): Entries[] {
  const parts: Entries[] = []
  let from = 0
  for (let part = 1; part <= PARTS; part++) {
    let to = from
    while (to < lows.length && partFor(lows[to] ?? 0) === part) to += 1
    parts.push({ lows: lows.subarray(from, to), revisions: revisions.subarray(from, to) })
    from = to
  }
  return parts
}

function bytesOf(array: Uint16Array | Uint32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
}
