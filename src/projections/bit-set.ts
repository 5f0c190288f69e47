const FIRST_WORDS = 1024

/** A growing set of small whole numbers, one bit each. */
export class BitSet {
  #words = new Uint32Array(FIRST_WORDS)

  has(number: number): boolean {
    const word = this.#words[number >>> 5] ?? 0
    return (word & (1 << (number & 31))) !== 0
  }

  add(number: number): void {
    const at = number >>> 5
    if (at >= this.#words.length) {
      const words = new Uint32Array(Math.max(at + 1, this.#words.length * 2))
      words.set(this.#words)
      this.#words = words
    }
    this.#words[at] = (this.#words[at] ?? 0) | (1 << (number & 31))
  }
}
