/**
 * The id table: from every id to its newest ordinal, in typed arrays, about 35 bytes a concept.
 *
 * Resolving the ends of an association costs no read of the tables then. It is filled in the
 * background after open; until then, and beyond its budget, whoever asks falls back to the tables.
 * Split into shards that grow one by one, so that no growth stops the event loop.
 */
import type { ConceptId } from '../ids.ts'
import type { IdLookup } from './pinned.ts'

export interface IdEntry {
  ordinal: number
  /** Whether the concept lives, in the newest state, staged commits included. */
  isAlive: boolean
  hasKey: boolean
}

const SHARD_BITS = 10
const SHARDS = 1 << SHARD_BITS
const WORDS = 4
const FIRST_SLOTS = 16
const LOAD_MAX = 0.7
const BYTES_PER_SLOT = WORDS * 4 + 4 + 1

const USED = 1
const ALIVE = 2
const HAS_KEY = 4

interface Shard {
  slots: number
  used: number
  words: Uint32Array
  ordinals: Uint32Array
  flags: Uint8Array
}

export class IdTable implements IdLookup {
  readonly #shards: (Shard | undefined)[] = new Array<undefined>(SHARDS).fill(undefined)
  readonly #bytesMax: number
  readonly #probe = new Uint32Array(WORDS)
  #bytes = 0
  #isFull = false
  #isFilled = false

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
    const shard = this.#shards[this.#read(id)]
    if (shard === undefined) return undefined
    const slot = findSlot(shard, this.#probe)
    const flags = shard.flags[slot] ?? 0
    if ((flags & USED) === 0) return undefined
    return {
      ordinal: shard.ordinals[slot] ?? 0,
      isAlive: (flags & ALIVE) !== 0,
      hasKey: (flags & HAS_KEY) !== 0
    }
  }

  /** Notes the newest state of an id. */
  set(id: ConceptId, entry: IdEntry): void {
    this.#put(id, entry, true)
  }

  /** Notes what the tables say, unless something newer is known. */
  fill(id: ConceptId, entry: IdEntry): void {
    this.#put(id, entry, false)
  }

  /** Takes back a staged change: what was known before, or nothing. */
  restore(id: ConceptId, before: IdEntry | undefined): void {
    if (before !== undefined) {
      this.set(id, before)
      return
    }
    // The slot stays taken, as a dead ordinal that no table has: the id is as good as unknown.
    this.set(id, { ordinal: 0, isAlive: false, hasKey: false })
  }

  #put(id: ConceptId, entry: IdEntry, replace: boolean): void {
    const index = this.#read(id)
    let shard = this.#shards[index]
    if (shard === undefined || shard.used >= shard.slots * LOAD_MAX) {
      shard = this.#grow(index, shard)
      if (shard === undefined) return
    }
    const slot = findSlot(shard, this.#probe)
    const isNew = ((shard.flags[slot] ?? 0) & USED) === 0
    if (!isNew && !replace) return
    if (isNew) {
      shard.words.set(this.#probe, slot * WORDS)
      shard.used += 1
    }
    shard.ordinals[slot] = entry.ordinal
    shard.flags[slot] = USED | (entry.isAlive ? ALIVE : 0) | (entry.hasKey ? HAS_KEY : 0)
  }

  /** Beyond the budget nothing new is kept, and the table says that it is not complete. */
  #grow(index: number, old: Shard | undefined): Shard | undefined {
    const slots = old === undefined ? FIRST_SLOTS : old.slots * 2
    const added = (slots - (old?.slots ?? 0)) * BYTES_PER_SLOT
    if (this.#bytes + added > this.#bytesMax) {
      this.#isFull = true
      // A full shard may still take what it knows already.
      return old !== undefined && old.used < old.slots - 1 ? old : undefined
    }
    const shard: Shard = {
      slots,
      used: old?.used ?? 0,
      words: new Uint32Array(slots * WORDS),
      ordinals: new Uint32Array(slots),
      flags: new Uint8Array(slots)
    }
    if (old !== undefined) moveAll(old, shard)
    this.#bytes += added
    this.#shards[index] = shard
    return shard
  }

  /** Reads an id into the probe; the shard's index comes from its random end, not its time. */
  #read(id: ConceptId): number {
    const probe = this.#probe
    for (let word = 0; word < WORDS; word++) {
      let value = 0
      for (let digit = word * 8; digit < word * 8 + 8; digit++) {
        const code = id.charCodeAt(digit)
        value = (value << 4) | (code < 58 ? code - 48 : code - 87)
      }
      probe[word] = value
    }
    return (probe[3] ?? 0) >>> (32 - SHARD_BITS)
  }
}

/** The slot of the id, or the free one where it belongs. Linear probing. */
function findSlot(shard: Shard, probe: Uint32Array): number {
  const mask = shard.slots - 1
  let slot = ((probe[3] ?? 0) ^ ((probe[2] ?? 0) >>> 7)) & mask
  while (((shard.flags[slot] ?? 0) & USED) !== 0 && !isAt(shard.words, slot * WORDS, probe)) {
    slot = (slot + 1) & mask
  }
  return slot
}

function isAt(words: Uint32Array, at: number, probe: Uint32Array): boolean {
  return (
    words[at] === probe[0] &&
    words[at + 1] === probe[1] &&
    words[at + 2] === probe[2] &&
    words[at + 3] === probe[3]
  )
}

function moveAll(from: Shard, to: Shard): void {
  for (let slot = 0; slot < from.slots; slot++) {
    const flags = from.flags[slot] ?? 0
    if ((flags & USED) === 0) continue
    const words = from.words.subarray(slot * WORDS, slot * WORDS + WORDS)
    const target = findSlot(to, words)
    to.words.set(words, target * WORDS)
    to.ordinals[target] = from.ordinals[slot] ?? 0
    to.flags[target] = flags
  }
}
