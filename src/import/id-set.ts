import type { ConceptId } from '../ids.ts'

const WORDS = 4
const DIGITS = 8
/** Parts grow one by one, so that growing never stops the thread for long. */
const PARTS = 1024
const FIRST_SLOTS = 16

/** A set of ids that takes 32 to 64 bytes an id, a third of a `Set` of strings, and grows further. */
export class IdSet {
  readonly #parts: Part[] = Array.from({ length: PARTS }, () => new Part())

  add(id: ConceptId): void {
    const words = wordsOf(id)
    this.#part(words).add(words)
  }

  has(id: ConceptId): boolean {
    const words = wordsOf(id)
    return this.#part(words).has(words)
  }

  #part(words: Uint32Array): Part {
    // The slot within the part is taken from the other bits of the same hash.
    return this.#parts[hash(words) % PARTS] as Part
  }
}

/** Open addressing with linear probing. A slot of zeros is free, so the id of zeros has a flag. */
class Part {
  #slots = new Uint32Array(FIRST_SLOTS * WORDS)
  #size = 0
  #hasZero = false

  has(words: Uint32Array): boolean {
    return isZero(words, 0) ? this.#hasZero : !isZero(this.#slots, this.#find(words))
  }

  add(words: Uint32Array): void {
    if (isZero(words, 0)) {
      this.#hasZero = true
      return
    }
    const at = this.#find(words)
    if (!isZero(this.#slots, at)) return
    this.#slots.set(words, at)
    this.#size += 1
    if (this.#size * WORDS * 2 > this.#slots.length) this.#grow()
  }

  /** Where the id stands, or the free slot where it belongs. One is always free. */
  #find(words: Uint32Array): number {
    const slots = this.#slots
    let at = (Math.floor(hash(words) / PARTS) * WORDS) % slots.length
    while (!isZero(slots, at) && !equal(slots, at, words)) at = (at + WORDS) % slots.length
    return at
  }

  #grow(): void {
    const old = this.#slots
    this.#slots = new Uint32Array(old.length * 2)
    for (let at = 0; at < old.length; at += WORDS) {
      if (isZero(old, at)) continue
      const words = old.subarray(at, at + WORDS)
      this.#slots.set(words, this.#find(words))
    }
  }
}

function wordsOf(id: ConceptId): Uint32Array {
  const words = new Uint32Array(WORDS)
  for (let word = 0; word < WORDS; word++) {
    words[word] = Number.parseInt(id.slice(word * DIGITS, (word + 1) * DIGITS), 16)
  }
  return words
}

/** Mixes all words (the finisher of MurmurHash3): ids of a caller's own may differ in one digit. */
function hash(words: Uint32Array): number {
  let mixed = 0
  for (const word of words) {
    mixed = Math.imul(mixed ^ word, 0x85ebca6b)
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
    mixed ^= mixed >>> 16
  }
  return mixed >>> 0
}

function isZero(slots: Uint32Array, at: number): boolean {
  return (slots[at] || slots[at + 1] || slots[at + 2] || slots[at + 3] || 0) === 0
}

function equal(slots: Uint32Array, at: number, words: Uint32Array): boolean {
  return words.every((word, index) => slots[at + index] === word)
}
