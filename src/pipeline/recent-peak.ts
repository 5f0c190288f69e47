/** The highest of the values of the last while: of at least one span, of at most two. */
export class RecentPeak {
  readonly #spanMs: number
  #since = Number.NEGATIVE_INFINITY
  #now = 0
  #before = 0

  constructor(spanMs: number) {
    this.#spanMs = spanMs
  }

  /** Takes a value in and tells the peak. */
  add(value: number, now: number): number {
    const age = now - this.#since
    if (age >= this.#spanMs) {
      this.#before = age < 2 * this.#spanMs ? this.#now : 0
      this.#now = 0
      this.#since = now
    }
    this.#now = Math.max(this.#now, value)
    return Math.max(this.#now, this.#before)
  }
}
