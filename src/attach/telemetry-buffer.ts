import type { TelemetryEvent } from '../telemetry/types.ts'

/** Events that wait for a slow reader; then the oldest give way. */
const EVENTS_MAX = 1024

/** The next event, and how many before it were left out. */
interface Told {
  dropped: number
  event: TelemetryEvent
}

/**
 * Stands between a stream that pushes and a reader that takes its time. Bounded: telemetry tells of
 * the present, so what is too old to wait any longer is counted and forgotten.
 */
export class TelemetryBuffer implements AsyncIterable<Told> {
  readonly #types: ReadonlySet<string> | undefined
  readonly #events: TelemetryEvent[] = []
  #dropped = 0
  #isComplete = false
  #error: Error | undefined
  #wake: () => void = () => undefined

  /** @param types Those wanted; `undefined`: all. */
  constructor(types: ReadonlySet<string> | undefined) {
    this.#types = types
  }

  next(event: TelemetryEvent): void {
    if (this.#types?.has(event.type) === false) return
    if (this.#events.length >= EVENTS_MAX) {
      this.#events.shift()
      this.#dropped += 1
    }
    this.#events.push(event)
    this.#wake()
  }

  error(error: unknown): void {
    // The stream is the store's own, which fails with errors alone.
    this.#error = error instanceof Error ? error : new Error(String(error))
    this.complete()
  }

  complete(): void {
    this.#isComplete = true
    this.#wake()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Told, void> {
    for (;;) {
      const event = this.#events.shift()
      if (event !== undefined) {
        const dropped = this.#dropped
        this.#dropped = 0
        yield { dropped, event }
      } else if (this.#isComplete) {
        if (this.#error !== undefined) throw this.#error
        return
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    }
  }
}
