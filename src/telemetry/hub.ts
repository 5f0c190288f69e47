import { type Observable, Subject } from 'rxjs'
import type { TelemetryEvent } from './types.ts'

/**
 * Hands telemetry to whoever subscribed. Callers write `if (hub.active) hub.emit({ … })`, so that
 * without a subscriber not even the event is made. What `stats()` needs is counted elsewhere.
 */
export class TelemetryHub {
  readonly #subject = new Subject<TelemetryEvent>()
  readonly events$: Observable<TelemetryEvent> = this.#subject.asObservable()

  /** Whether anybody has subscribed. */
  get active(): boolean {
    return this.#subject.observed
  }

  emit(event: TelemetryEvent): void {
    try {
      this.#subject.next(event)
    } catch (error) {
      throwLater(error)
    }
  }

  /** Ends the stream for all subscribers, and at once for later ones. */
  complete(): void {
    try {
      this.#subject.complete()
    } catch (error) {
      throwLater(error)
    }
  }
}

/**
 * A subscriber's bug is reported as an uncaught exception of its own, not as a failed commit.
 * RxJS does the same for plain observers; this covers subclasses of its Subscriber, and programs
 * that switched RxJS to its deprecated synchronous errors.
 */
function throwLater(error: unknown): void {
  setTimeout(() => {
    throw error
  })
}
