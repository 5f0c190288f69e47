/** Wakes the one who waits for something to happen, whatever it is: he looks for himself. */
export class Bell {
  #wake: (() => void) | undefined

  ring(): void {
    this.#wake?.()
  }

  /**
   * Resolves at the next ring, or after so many milliseconds. What is waited for must be looked at in
   * the turn of the call. The timer keeps the process alive, as a handler does that waits by itself: a
   * program that awaits a subscription must not end in the middle of a retry.
   */
  async wait(ms?: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      // Longer times overflow to none at all.
      if (ms !== undefined) timer = setTimeout(resolve, Math.min(ms, LONGEST_MS))
    })
    this.#wake = undefined
    clearTimeout(timer)
  }
}

const LONGEST_MS = 2 ** 31 - 1
