import { STRETCH_MS, turn } from '../turn.ts'

/** Looking at the clock costs as much as a short line, so that is done once in so many steps … */
const STEPS = 8
/** … or bytes. */
const BYTES = 64 * 1024

/** Gives the event loop back to its owner every few milliseconds. */
export class Turns {
  #began = performance.now()
  #steps = 0
  #bytes = 0

  /** Counts a step of work and tells whether it is time for `next`. */
  step(bytes: number): boolean {
    this.#steps += 1
    this.#bytes += bytes
    if (this.#steps < STEPS && this.#bytes < BYTES) return false
    this.#steps = 0
    this.#bytes = 0
    return performance.now() - this.#began >= STRETCH_MS
  }

  async next(): Promise<void> {
    await turn()
    this.#began = performance.now()
  }
}
