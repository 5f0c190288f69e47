/**
 * How long a store that closes waits for code of the program's own that may never end. Until it
 * closes, that has all the time in the world.
 */

/** Long enough for a request to another machine, short enough for who stops a service. */
export const CLOSE_WAIT_MS = 5000

export class Patience {
  readonly #arming = new Set<() => void>()
  #isShort = false
  #isSpent = false

  /** Whether something was not waited for: whatever was done to get there would be again. */
  get isSpent(): boolean {
    return this.#isSpent
  }

  /** From now on, everything that is under way or begins has `CLOSE_WAIT_MS`. */
  begin(): void {
    this.#isShort = true
    for (const arm of this.#arming) arm()
    this.#arming.clear()
  }

  /**
   * Settles as the work does, or with what `gaveUp` throws. What the work does later is its own
   * affair: whoever gives up takes from it what it could still change.
   */
  async outlast<T>(work: Promise<T>, gaveUp: () => Error): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    let arm: (() => void) | undefined
    const late = new Promise<never>((_, reject) => {
      arm = () => {
        timer = setTimeout(() => {
          this.#isSpent = true
          reject(gaveUp())
        }, CLOSE_WAIT_MS)
      }
      if (this.#isShort) arm()
      else this.#arming.add(arm)
    })
    try {
      return await Promise.race([work, late])
    } finally {
      if (arm !== undefined) this.#arming.delete(arm)
      clearTimeout(timer)
    }
  }
}
