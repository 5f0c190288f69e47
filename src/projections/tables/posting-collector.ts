/** Ordinals of rows of postings in one ascending list, however many values the rows are of. */
import { groupOf } from './index-keys.ts'
import { copyEntries, countIn, firstLow, GROUP_BITS, hasEntries, lastLow } from './postings.ts'

/** Ordinals, ascending, and of each the revision of its vector; 0 for none. */
export interface Ordinals {
  readonly ordinals: Uint32Array
  readonly revisions: Uint32Array
}

interface Group {
  readonly rows: Buffer[]
  /** The low bits of the last ordinal taken. */
  last: number
  /** Whether each row begins behind the one before it. */
  inOrder: boolean
}

const GROUP_SIZE = 1 << GROUP_BITS
/** About a millisecond. */
const ENTRIES_PER_STRETCH = 100_000

export class PostingCollector {
  readonly #groups = new Map<number, Group>()
  #count = 0

  /** Entries taken so far; an ordinal under two values counts twice. */
  get count(): number {
    return this.#count
  }

  /** Takes the entries of a row; one of counts has none. They are looked at in the end. */
  take(key: Buffer, payload: Buffer): void {
    if (!hasEntries(payload)) return
    const count = countIn(payload)
    if (count === 0) return
    const number = groupOf(key)
    let group = this.#groups.get(number)
    if (group === undefined) {
      group = { rows: [], last: -1, inOrder: true }
      this.#groups.set(number, group)
    }
    if (firstLow(payload) <= group.last) group.inOrder = false
    group.last = lastLow(payload)
    group.rows.push(payload)
    this.#count += count
  }

  /** @param rest Called after some work; gives the event loop back. */
  async ordinals(rest: () => Promise<void>): Promise<Ordinals> {
    const ordinals = new Uint32Array(this.#count)
    const revisions = new Uint32Array(this.#count)
    const scratch = new Scratch()
    let at = 0
    let rested = 0
    for (const number of [...this.#groups.keys()].sort((a, b) => a - b)) {
      const { rows = [], inOrder = true } = this.#groups.get(number) ?? {}
      const begin = at
      for (const row of rows) at += copyEntries(row, ordinals, revisions, at)
      if (!inOrder) at = scratch.sort(ordinals, revisions, begin, at)
      const base = number * GROUP_SIZE
      for (let i = begin; i < at; i++) ordinals[i] = base + (ordinals[i] ?? 0)
      if (at - rested < ENTRIES_PER_STRETCH) continue
      await rest()
      rested = at
    }
    return { ordinals: ordinals.subarray(0, at), revisions: revisions.subarray(0, at) }
  }
}

/** Sorts the entries of one group by marking them in a bitmap: its size is known. */
class Scratch {
  readonly #bits = new Uint32Array(GROUP_SIZE / 32)
  #revisions: Uint32Array | undefined

  /** Sorts a stretch, each ordinal once. @returns Its end. */
  sort(lows: Uint32Array, revisions: Uint32Array, begin: number, end: number): number {
    this.#revisions ??= new Uint32Array(GROUP_SIZE)
    const [bits, byLow] = [this.#bits, this.#revisions]
    for (let i = begin; i < end; i++) {
      const low = lows[i] ?? 0
      bits[low >>> 5] = (bits[low >>> 5] ?? 0) | (1 << (low & 31))
      byLow[low] = revisions[i] ?? 0
    }
    let to = begin
    for (let word = 0; word < bits.length; word++) {
      let marked = bits[word] ?? 0
      if (marked === 0) continue
      bits[word] = 0
      for (; marked !== 0; marked &= marked - 1) {
        const low = word * 32 + 31 - Math.clz32(marked & -marked)
        lows[to] = low
        revisions[to] = byLow[low] ?? 0
        to += 1
      }
    }
    return to
  }
}
