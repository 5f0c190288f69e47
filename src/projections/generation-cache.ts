export interface CacheStats {
  entries: number
  bytes: number
  hits: number
  misses: number
}

/**
 * A cache with a budget of bytes. What is asked for stays: entries live in a young and an old
 * generation, a hit makes an old one young, and when the young ones fill half of the budget the
 * old ones are dropped together. That costs a look-up or two, where a list in the order of use
 * would change with every hit.
 */
export class GenerationCache<V> {
  readonly #bytesMax: () => number
  readonly #sizeOf: (value: V) => number
  #young = new Map<number, V>()
  #old = new Map<number, V>()
  #youngBytes = 0
  #oldBytes = 0
  #hits = 0
  #misses = 0

  /** @param sizeOf Bytes of a value, about; the same whenever it is asked. */
  constructor(bytesMax: () => number, sizeOf: (value: V) => number) {
    this.#bytesMax = bytesMax
    this.#sizeOf = sizeOf
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }

  get stats(): CacheStats {
    return {
      entries: this.size,
      bytes: this.#youngBytes + this.#oldBytes,
      hits: this.#hits,
      misses: this.#misses
    }
  }

  /** Whether an entry is there; it is no hit and no miss. */
  has(key: number): boolean {
    return this.#young.has(key) || this.#old.has(key)
  }

  get(key: number): V | undefined {
    const young = this.#young.get(key)
    if (young !== undefined) {
      this.#hits += 1
      return young
    }
    const old = this.#old.get(key)
    if (old === undefined) {
      this.#misses += 1
      return undefined
    }
    this.#hits += 1
    this.#old.delete(key)
    const bytes = this.#sizeOf(old)
    this.#oldBytes -= bytes
    this.#add(key, old, bytes)
    return old
  }

  /** Whatever is larger than half of the budget is not kept. */
  set(key: number, value: V): void {
    this.delete(key)
    const bytes = this.#sizeOf(value)
    if (bytes <= this.#bytesMax() / 2) this.#add(key, value, bytes)
  }

  delete(key: number): void {
    const young = this.#young.get(key)
    if (young !== undefined) {
      this.#young.delete(key)
      this.#youngBytes -= this.#sizeOf(young)
      return
    }
    const old = this.#old.get(key)
    if (old === undefined) return
    this.#old.delete(key)
    this.#oldBytes -= this.#sizeOf(old)
  }

  clear(): void {
    this.#young.clear()
    this.#old.clear()
    this.#youngBytes = 0
    this.#oldBytes = 0
  }

  #add(key: number, value: V, bytes: number): void {
    if (this.#youngBytes + bytes > this.#bytesMax() / 2) {
      this.#old = this.#young
      this.#oldBytes = this.#youngBytes
      this.#young = new Map()
      this.#youngBytes = 0
    }
    this.#young.set(key, value)
    this.#youngBytes += bytes
  }
}
