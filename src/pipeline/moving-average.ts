/**
 * An exponential moving average of samples that come at uneven times: `alpha` is the weight of a
 * sample after one period. One after ten periods weighs as much as ten equal ones would, so that
 * neither a gap nor a burst of samples distorts the average.
 */
export class MovingAverage {
  readonly #alpha: number
  readonly #periodMs: number
  #value = 0

  constructor(alpha: number, periodMs: number) {
    this.#alpha = alpha
    this.#periodMs = periodMs
  }

  get value(): number {
    return this.#value
  }

  /** @param elapsedMs Time since the sample before. */
  add(sample: number, elapsedMs: number): void {
    const weight = 1 - (1 - this.#alpha) ** (elapsedMs / this.#periodMs)
    this.#value += weight * (sample - this.#value)
  }
}
