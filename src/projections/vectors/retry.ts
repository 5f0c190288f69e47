const FIRST_MS = 1_000
const MOST_MS = 60_000
const FACTOR = 2

/** What the statistics tell of work that failed and will be tried again. */
export interface Trouble {
  error: Error
  /** Attempts that failed since the last one that did not. */
  failures: number
  /** When it is tried again, in milliseconds since 1970. */
  retryAt: number
}

/**
 * Lets work that failed be tried again: after a second, then after twice as long each time, up to a
 * minute. Whatever it failed over may be gone by then, and if not, trying costs next to nothing.
 */
export class Retry {
  readonly #onDue: () => void
  readonly #firstMs: number
  #trouble: Trouble | undefined
  #timer: NodeJS.Timeout | undefined
  #attempt = 0
  #failedAttempt = -1

  /**
   * @param onDue Called when it may be tried again.
   * @param firstMs After the first failure; another one in tests.
   */
  constructor(onDue: () => void, firstMs: number = FIRST_MS) {
    this.#onDue = onDue
    this.#firstMs = firstMs
  }

  /** Since the last failure nothing has succeeded. */
  get trouble(): Trouble | undefined {
    return this.#trouble
  }

  /** It is not to be tried yet. */
  get isResting(): boolean {
    return this.#timer !== undefined
  }

  /** The number of the attempt under way, or of the one that failed last. */
  get attempt(): number {
    return this.#attempt
  }

  /** Whether an attempt failed that began after another one had. */
  hasFailedSince(attempt: number): boolean {
    return this.#trouble !== undefined && this.#failedAttempt > attempt
  }

  failed(error: Error): { failures: number; retryMs: number } {
    const failures = (this.#trouble?.failures ?? 0) + 1
    const retryMs = Math.min(MOST_MS, this.#firstMs * FACTOR ** (failures - 1))
    this.#trouble = { error, failures, retryAt: Date.now() + retryMs }
    this.#failedAttempt = this.#attempt
    this.stop()
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#attempt += 1
      this.#onDue()
    }, retryMs)
    // What waits for it is in the log: the process may end, unless writers wait for room.
    this.#timer.unref()
    return { failures, retryMs }
  }

  succeeded(): void {
    this.#trouble = undefined
  }

  /** It is tried no more. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
