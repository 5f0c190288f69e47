import type { EventLog } from '../log/log.ts'

/**
 * Keeps the promise of durability `interval`: what was acknowledged is on disk at most so many
 * milliseconds later, also when no commit follows.
 */
export class IntervalSync {
  readonly #log: EventLog
  readonly #intervalMs: number
  readonly #onFailed: (error: Error) => void
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> = Promise.resolve()

  constructor(log: EventLog, intervalMs: number, onFailed: (error: Error) => void) {
    this.#log = log
    this.#intervalMs = intervalMs
    this.#onFailed = onFailed
  }

  /** Told of an acknowledged frame that is not durable. The oldest such frame sets the time. */
  schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#running = this.#sync()
    }, this.#intervalMs)
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    await this.#running
  }

  async #sync(): Promise<void> {
    try {
      await this.#log.sync()
    } catch (error) {
      // The log is poisoned now: every later write tells its caller. Nobody waits for this one.
      this.#onFailed(error instanceof Error ? error : new Error(String(error)))
    }
  }
}
