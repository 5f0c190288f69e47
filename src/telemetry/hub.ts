import type { Subscriber, Subscription } from 'rxjs'
import { Observable } from '../rxjs.ts'
import { TELEMETRY_CHANNEL, type TelemetryMessage } from './channels.ts'
import { type SlowLimits, slowLimits } from './operations.ts'
import type { NewTelemetryEvent, Operation, TelemetryEvent } from './types.ts'

/** Of the events of today. */
const VERSION = 1

/**
 * Hands telemetry to whoever subscribed. Callers write `if (hub.active) hub.emit({ … })`, so that
 * without a subscriber not even the event is made. What `stats()` needs is counted elsewhere.
 */
export class TelemetryHub {
  readonly events$: Observable<TelemetryEvent>
  readonly #slow: SlowLimits
  /** Never changed, only replaced: an event goes to those who were there when it was emitted. */
  #subscribers: readonly Subscriber<TelemetryEvent>[] = []
  #isComplete = false
  #isPrivate = false
  readonly #directory: string
  /** There while the channel of all stores has subscribers. */
  #channel: Subscription | undefined
  #onActive: (active: boolean) => void = () => {}

  /**
   * @param slowMs What an operation may take before it is told of; 0: any time.
   * @param directory Of the store, for subscribers of the channel `sutra:telemetry`.
   */
  constructor(slowMs = 0, directory = '') {
    this.#directory = directory
    this.#slow = slowLimits(slowMs)
    this.events$ = new Observable((subscriber) => this.#add(subscriber))
  }

  /** Whether anybody has subscribed. */
  get active(): boolean {
    return this.#subscribers.length > 0 || this.#hasChannel
  }

  /** Says nothing on the channel of all stores: for a store that holds telemetry of another one. */
  keepToItself(): void {
    this.#isPrivate = true
  }

  get #hasChannel(): boolean {
    return !this.#isPrivate && TELEMETRY_CHANNEL.hasSubscribers
  }

  /** Called when the first subscriber comes and when the last one goes. */
  whenActive(onActive: (active: boolean) => void): void {
    this.#onActive = onActive
  }

  emit(event: NewTelemetryEvent): void {
    if (this.#hasChannel !== (this.#channel !== undefined)) this.followChannel()
    const versioned = withVersion(event)
    for (const subscriber of this.#subscribers) {
      try {
        subscriber.next(versioned)
      } catch (error) {
        throwLater(error)
      }
    }
  }

  /**
   * Begins or ends to publish on the channel, as it has subscribers or not. It says nothing when they come,
   * so this is asked with each event; a store at rest begins with its next one.
   *
   * @param findings What was met while opening.
   */
  followChannel(findings: readonly NewTelemetryEvent[] = []): void {
    this.#channel?.unsubscribe()
    this.#channel = undefined
    if (!this.#hasChannel || this.#isComplete) return
    const publish = (event: TelemetryEvent): void => {
      const message: TelemetryMessage = { directory: this.#directory, event }
      TELEMETRY_CHANNEL.publish(message)
    }
    for (const finding of findings) publish(withVersion(finding))
    this.#channel = this.events$.subscribe(publish)
  }

  /** Tells of an operation that took longer than it may. `what` is asked only then. */
  timed(operation: Operation, us: number, what: () => string): void {
    const thresholdUs = this.#slow[operation]
    if (us < thresholdUs) return
    const time = Date.now()
    this.emit({ type: 'slow-operation', time, operation, us, thresholdUs, what: what() })
  }

  /** Ends the stream for all subscribers, and at once for later ones. */
  complete(): void {
    const subscribers = this.#subscribers
    this.#isComplete = true
    this.#subscribers = []
    for (const subscriber of subscribers) {
      try {
        subscriber.complete()
      } catch (error) {
        throwLater(error)
      }
    }
  }

  #add(subscriber: Subscriber<TelemetryEvent>): (() => void) | undefined {
    if (this.#isComplete) {
      subscriber.complete()
      return undefined
    }
    this.#subscribers = [...this.#subscribers, subscriber]
    if (this.#subscribers.length === 1) this.#onActive(true)
    return () => {
      const wasActive = this.#subscribers.length > 0
      this.#subscribers = this.#subscribers.filter((one) => one !== subscriber)
      if (wasActive && this.#subscribers.length === 0) this.#onActive(false)
    }
  }
}

/** The event itself: it was made to be told. */
export function withVersion(event: NewTelemetryEvent): TelemetryEvent {
  const versioned = event as TelemetryEvent
  versioned.v = VERSION
  return versioned
}

/**
 * A subscriber's bug is reported as an uncaught exception of its own, not as a failed commit.
 * RxJS does the same for plain observers; this covers subclasses of its Subscriber, and programs
 * that switched RxJS to its deprecated synchronous errors.
 */
export function throwLater(error: unknown): void {
  setTimeout(() => {
    throw error
  })
}
