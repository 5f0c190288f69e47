import { setImmediate } from 'node:timers/promises'

const SLICE_MS = 8

/**
 * Cuts long work of the worker into slices, so that messages are answered in between, and stops
 * it once nobody wants it any more.
 */
export class Pace {
  readonly #check: () => void
  #sliceEnds: number = performance.now() + SLICE_MS

  /** @param check Throws once the work is to be stopped. Called between slices. */
  constructor(check: () => void) {
    this.#check = check
  }

  /** Whether the slice is used up: then `await breathe()`. Costs a tenth of a microsecond. */
  get due(): boolean {
    return performance.now() >= this.#sliceEnds
  }

  /** Throws once the work is to be stopped. */
  check(): void {
    this.#check()
  }

  async breathe(): Promise<void> {
    await setImmediate()
    this.#check()
    this.#sliceEnds = performance.now() + SLICE_MS
  }
}
