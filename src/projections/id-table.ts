/**
 * The id table: from every id to its newest ordinal, in typed arrays, 29 to 57 bytes a concept.
 *
 * Resolving the ends of an association costs no read of the tables then. It is filled in the
 * background after open; until then, and beyond its budget, whoever asks falls back to the tables.
 * Split into shards that grow one by one, so that no growth stops the event loop.
 */
import type { ConceptId } from '../ids.ts'
import type { IdLookup } from './pinned.ts'
import type { IdRow } from './tables/rows.ts'

export interface IdEntry {
  ordinal: number
  /** Whether the concept lives, in the newest state, staged commits included. */
  isAlive: boolean
  hasKey: boolean
  /**
   * Whether the id surely led to no other ordinal before, as far as any view looks back: to set it
   * for an id that had one takes nothing away from what is known.
   */
  isOnly: boolean
}

const SHARD_BITS = 10
const SHARDS = 1 << SHARD_BITS
const FIRST_SLOTS = 16
const LOAD_MAX = 0.7

/**
 * A slot is five words side by side, so that a look-up waits for memory once: three words of the id,
 * the rest of the fourth with the flags in the bits that the shard's number stands for, and the ordinal.
 */
const WORDS = 5
const BYTES_PER_SLOT = WORDS * 4
const FLAGS_AT = 32 - SHARD_BITS
const REST_MASK = 2 ** FLAGS_AT - 1

const USED = 1
const ALIVE = 2
const HAS_KEY = 4
const HAD_OTHER = 8

interface Shard {
  slots: number
  used: number
  /** Signed, because V8 keeps those in a field without a box. */
  words: Int32Array
}

export class IdTable implements IdLookup {
  readonly #shards: (Shard | undefined)[] = new Array<undefined>(SHARDS).fill(undefined)
  readonly #bytesMax: number
  #bytes = 0
  #isFull = false
  #isFilled = false

  // Where the id that was asked for last is, or belongs: learning one asks four times in a row.
  #id: ConceptId | undefined
  #word0 = 0
  #word1 = 0
  #word2 = 0
  #rest = 0
  #index = 0
  #shard: Shard | undefined
  #at = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get complete(): boolean {
    return this.#isFilled && !this.#isFull
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Said once every id of the tables was offered by `fill`. */
  markFilled(): void {
    this.#isFilled = true
  }

  find(id: ConceptId): IdEntry | undefined {
    const flags = this.#seek(id)
    if (flags === 0) return undefined
    return {
      ordinal: (this.#shard?.words[this.#at + 4] ?? 0) >>> 0,
      isAlive: (flags & ALIVE) !== 0,
      hasKey: (flags & HAS_KEY) !== 0,
      isOnly: (flags & HAD_OTHER) === 0
    }
  }

  /** Notes the newest state of an id. */
  set(id: ConceptId, entry: IdEntry): void {
    this.#put(this.#seek(id), entry, true)
  }

  /**
   * Notes what the tables say, unless something newer is known. No view looks back behind the tables
   * that the store was opened with.
   *
   * @param bytes The id begins at `at`.
   */
  fill(bytes: Buffer, at: number, entry: Omit<IdEntry, 'isOnly'>): void {
    const { ordinal, isAlive, hasKey } = entry
    this.#id = undefined
    this.#word0 = bytes.readInt32BE(at)
    this.#word1 = bytes.readInt32BE(at + 4)
    this.#word2 = bytes.readInt32BE(at + 8)
    const before = this.#seekRest(bytes.readInt32BE(at + 12))
    this.#put(before, { ordinal, isAlive, hasKey, isOnly: true }, false)
  }

  /**
   * The same for one id that somebody asked for before it was its turn: hot reads right behind opening
   * then read its row once. Whatever changed since opening is here, unless the table is full: only
   * then could a view's tables say something older than what is known.
   */
  remember(id: ConceptId, { ordinal, deadVersion, hasKey }: IdRow): void {
    if (this.#isFull) return
    this.#put(this.#seek(id), { ordinal, isAlive: deadVersion === 0, hasKey, isOnly: true }, false)
  }

  /** Takes back a staged change: what was known before, or nothing. */
  restore(id: ConceptId, before: IdEntry | undefined): void {
    if (before !== undefined) {
      this.set(id, before)
      return
    }
    // The slot stays taken, as a dead ordinal that no table has: the id is as good as unknown.
    this.set(id, { ordinal: 0, isAlive: false, hasKey: false, isOnly: false })
  }

  /** Puts an entry where was just sought. @param before The flags that were found there. */
  #put(before: number, entry: IdEntry, replace: boolean): void {
    const isNew = before === 0
    if (!isNew && !replace) return
    let shard = this.#shard
    if (isNew && (shard === undefined || shard.used >= shard.slots * LOAD_MAX)) {
      shard = this.#grow(this.#index, shard)
      if (shard === undefined) return
      this.#shard = shard
      this.#findSlot(shard)
    }
    if (shard === undefined) return
    const { words } = shard
    const at = this.#at
    if (isNew) {
      words[at] = this.#word0
      words[at + 1] = this.#word1
      words[at + 2] = this.#word2
      shard.used += 1
    }
    const isOther = !isNew && words[at + 4] !== (entry.ordinal | 0)
    const hadOther = (before & HAD_OTHER) | (entry.isOnly && !isOther ? 0 : HAD_OTHER)
    const flags = USED | (entry.isAlive ? ALIVE : 0) | (entry.hasKey ? HAS_KEY : 0) | hadOther
    words[at + 3] = this.#rest | (flags << FLAGS_AT)
    words[at + 4] = entry.ordinal
  }

  /** Beyond the budget nothing new is kept, and the table says that it is not complete. */
  #grow(index: number, old: Shard | undefined): Shard | undefined {
    const slots = old === undefined ? FIRST_SLOTS : old.slots * 2
    const added = (slots - (old?.slots ?? 0)) * BYTES_PER_SLOT
    if (this.#bytes + added > this.#bytesMax) {
      this.#isFull = true
      // A full shard takes a few more: one slot stays free, where looking for an id ends.
      return old !== undefined && old.used < old.slots - 1 ? old : undefined
    }
    const words = new Int32Array(slots * WORDS)
    const shard: Shard = { slots, used: old?.used ?? 0, words }
    if (old !== undefined) moveAll(old, shard)
    this.#bytes += added
    this.#shards[index] = shard
    return shard
  }

  /** Finds the slot of an id, or the free one where it belongs. Gives its flags; 0 if it is free. */
  #seek(id: ConceptId): number {
    if (id === this.#id) return this.#flags()
    this.#id = id
    this.#word0 = wordOf(id, 0)
    this.#word1 = wordOf(id, 8)
    this.#word2 = wordOf(id, 16)
    return this.#seekRest(wordOf(id, 24))
  }

  /** The same, given the last word; the others are noted already. */
  #seekRest(last: number): number {
    this.#rest = last & REST_MASK
    // The shard's number comes from the random end of an id, not from its time.
    this.#index = last >>> FLAGS_AT
    this.#shard = this.#shards[this.#index]
    if (this.#shard !== undefined) this.#findSlot(this.#shard)
    return this.#flags()
  }

  #flags(): number {
    const shard = this.#shard
    return shard === undefined ? 0 : (shard.words[this.#at + 3] ?? 0) >>> FLAGS_AT
  }

  #findSlot(shard: Shard): void {
    const { words } = shard
    const mask = shard.slots - 1
    let slot = hashOf(this.#word2, this.#rest) & mask
    for (;;) {
      const at = slot * WORDS
      const rest = words[at + 3] ?? 0
      const isSame =
        (rest & REST_MASK) === this.#rest &&
        words[at] === this.#word0 &&
        words[at + 1] === this.#word1 &&
        words[at + 2] === this.#word2
      if (rest >>> FLAGS_AT === 0 || isSame) {
        this.#at = at
        return
      }
      slot = (slot + 1) & mask
    }
  }
}

/** Eight hex digits from there on. */
function wordOf(id: ConceptId, from: number): number {
  let value = 0
  for (let digit = from; digit < from + 8; digit++) {
    const code = id.charCodeAt(digit)
    value = (value << 4) | (code < 58 ? code - 48 : code - 87)
  }
  return value
}

function hashOf(word2: number, rest: number): number {
  return rest ^ (word2 >>> 7)
}

function moveAll(from: Shard, to: Shard): void {
  const mask = to.slots - 1
  for (let at = 0; at < from.slots * WORDS; at += WORDS) {
    const rest = from.words[at + 3] ?? 0
    if (rest >>> FLAGS_AT === 0) continue
    let slot = hashOf(from.words[at + 2] ?? 0, rest & REST_MASK) & mask
    // No id is there twice, so the first free slot is its own.
    while ((to.words[slot * WORDS + 3] ?? 0) >>> FLAGS_AT !== 0) slot = (slot + 1) & mask
    for (let word = 0; word < WORDS; word++) {
      to.words[slot * WORDS + word] = from.words[at + word] ?? 0
    }
  }
}
