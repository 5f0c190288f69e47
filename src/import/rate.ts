/** Seconds over which a rate is smoothed: long enough to be calm, short enough to follow. */
const SMOOTHED_SECONDS = 5

/** Records and bytes a second, lately. */
export class Rate {
  #records: number
  #bytes: number
  #at: number
  #recordsPerSecond = 0
  #bytesPerSecond = 0
  #weight = 0

  /** @param at In milliseconds, as the other times. What was done before counts for nothing. */
  constructor(at: number, records: number, bytes: number) {
    this.#at = at
    this.#records = records
    this.#bytes = bytes
  }

  get recordsPerSecond(): number {
    return this.#weight === 0 ? 0 : this.#recordsPerSecond / this.#weight
  }

  /** `undefined` before anything was read. */
  secondsFor(bytes: number): number | undefined {
    return this.#bytesPerSecond > 0 ? (bytes * this.#weight) / this.#bytesPerSecond : undefined
  }

  update(at: number, records: number, bytes: number): void {
    const seconds = (at - this.#at) / 1000
    if (seconds <= 0) return
    const share = 1 - Math.exp(-seconds / SMOOTHED_SECONDS)
    // The average begins with nothing, so it is divided by how much of it there is yet.
    this.#recordsPerSecond += share * ((records - this.#records) / seconds - this.#recordsPerSecond)
    this.#bytesPerSecond += share * ((bytes - this.#bytes) / seconds - this.#bytesPerSecond)
    this.#weight += share * (1 - this.#weight)
    this.#at = at
    this.#records = records
    this.#bytes = bytes
  }
}
