/**
 * A Bloom filter (Bloom 1970) of the associations created since the store was opened.
 *
 * Before an association is created, the writer must know that it is not there. For a concept that
 * is itself younger than the open, an association that the filter does not know surely is not:
 * that saves a read of the tables for nearly every line of an import.
 */

const CHUNK_BITS = 2 ** 23
/** At about ten bits each and five hashes, one look-up in a hundred reads the tables in vain. */
const CHUNK_ENTRIES = 800_000
const HASHES = 5
/** 64 MiB; beyond it every association may be there. */
const CHUNKS_MAX = 64

export class AssociationFilter {
  readonly #chunks: Uint32Array[] = []
  #entries = CHUNK_ENTRIES
  #first = 0
  #second = 0

  add(source: number, target: number, name: string, key: string): void {
    if (this.#entries >= CHUNK_ENTRIES) {
      if (this.#chunks.length > CHUNKS_MAX) return
      this.#chunks.push(new Uint32Array(CHUNK_BITS / 32))
      this.#entries = 0
    }
    this.#entries += 1
    const chunk = this.#chunks.at(-1)
    if (chunk === undefined) return
    this.#hash(source, target, name, key)
    for (let i = 0; i < HASHES; i++) {
      const bit = (this.#first + i * this.#second) & (CHUNK_BITS - 1)
      chunk[bit >>> 5] = (chunk[bit >>> 5] ?? 0) | (1 << (bit & 31))
    }
  }

  /** `false` is sure. */
  mayHave(source: number, target: number, name: string, key: string): boolean {
    if (this.#chunks.length > CHUNKS_MAX) return true
    this.#hash(source, target, name, key)
    return this.#chunks.some((chunk) => this.#isIn(chunk))
  }

  #isIn(chunk: Uint32Array): boolean {
    for (let i = 0; i < HASHES; i++) {
      const bit = (this.#first + i * this.#second) & (CHUNK_BITS - 1)
      if (((chunk[bit >>> 5] ?? 0) & (1 << (bit & 31))) === 0) return false
    }
    return true
  }

  /** Two hashes make all five (Kirsch and Mitzenmacher 2006). */
  #hash(source: number, target: number, name: string, key: string): void {
    let hash = Math.imul(source, 0x9e3779b1) ^ Math.imul(target ^ 0x5bd1e995, 0x85ebca77)
    for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
    for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
    hash ^= hash >>> 16
    hash = Math.imul(hash, 0x85ebca6b)
    hash ^= hash >>> 13
    this.#first = hash >>> 0
    // Odd, so that the five bits are five.
    this.#second = (Math.imul(hash ^ source, 0xc2b2ae35) ^ Math.imul(target, 0x27d4eb2f)) | 1
  }
}
