/** Chance that a seed repeats: `SUTRA_TEST_SEED` where it is set, else another one each time. */
export class Random {
  readonly seed: number
  #state: number

  constructor(seed: number = Number(process.env['SUTRA_TEST_SEED'] ?? Date.now() % 1_000_000)) {
    this.seed = seed
    this.#state = seed | 0
  }

  /** From 0 up to, but not, 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number from 0 up to, but not, `end`. */
  below(end: number): number {
    return Math.floor(this.next() * end)
  }

  pick<T>(choices: readonly T[]): T {
    const chosen = choices[this.below(choices.length)]
    if (chosen === undefined) throw new Error('There is nothing to choose from')
    return chosen
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length)
    for (let at = 0; at < length; at++) bytes[at] = this.next() * 256
    return bytes
  }

  /** The same members in another order. */
  shuffle<T>(members: readonly T[]): T[] {
    const shuffled = [...members]
    for (let at = shuffled.length - 1; at > 0; at--) {
      const other = this.below(at + 1)
      const [a, b] = [shuffled[at], shuffled[other]]
      // Both indexes are within the array, whatever its members are.
      shuffled[at] = b as T
      shuffled[other] = a as T
    }
    return shuffled
  }
}
