/** Subscriptions, as the public API has them. */
import type { ReadOptions, StoredEvent } from './event-types.ts'
import type { IdInput } from './ids.ts'
import type { SubscriptionState, SubscriptionStats } from './telemetry/types.ts'

export interface SubscribeOptions {
  /**
   * Where a subscription of this name begins the first time: with the first event, with what comes
   * from now on, or with a position. Later it goes on where it was. Default `'start'`.
   */
  from?: 'start' | 'now' | number
  /**
   * Types of events to deliver, at least one. Default: all but `event-quarantined` and `event-released`. Like
   * `concept`, it may differ at every call: what was passed over before does not come back.
   */
  types?: readonly string[]
  /** Events about this concept alone: it, and its associations. */
  concept?: IdInput
  /** Absent: the handler gets one event. Else a list of so many at most, 1 to 1000. */
  batch?: number | undefined
  /**
   * The last position that the handler's own storage holds; `undefined` where it holds none yet. It
   * counts for more than the checkpoint of the store: with it, a handler that writes its effect and
   * the position in one transaction has each event exactly once.
   */
  resumeAfter?: () => number | undefined | Promise<number | undefined>
  /**
   * After how many events handled the checkpoint is written, so that it survives the process (default
   * 1), and after how many milliseconds it survives a power cut (default 1000).
   */
  checkpointEvery?: { events?: number; ms?: number }
  /**
   * How often (default 10, or `Infinity`) and how long after a failure the handler gets the event
   * again: `firstMs` (100), then twice as long each time up to `maxMs` (30 000), less a share by chance
   * of up to `jitter` (0.2). Without jitter, ten retries take 81 seconds.
   */
  retry?: { times?: number; firstMs?: number; maxMs?: number; jitter?: number }
  /**
   * Events that may be in quarantine, 0 to 1000, default 100. One more stops the subscription in front
   * of it. 0: it stops at the first event that its handler cannot do.
   */
  quarantineMax?: number
  /** Ends the subscription, as `close` does. */
  signal?: AbortSignal
}

/** What a handler is told beside the event. */
export interface Delivery {
  subscription: string
  /** 1 for the first time that this process delivers it. */
  attempt: number
  /**
   * Whether it may have been delivered before: it is tried again, was reset or taken from quarantine, or
   * the process died before and it was there then.
   */
  redelivered: boolean
  /** Fires when the subscription or the store closes. */
  signal: AbortSignal
  /** Ends the subscription behind this event. `close` must not be awaited in a handler. */
  stop(): void
}

/**
 * What it resolves with is ignored. Once it does, the event is done; if it rejects or throws, the event
 * is delivered again. One at a time, in the order of the log.
 */
export type EventHandler = (event: StoredEvent, delivery: Delivery) => unknown
export type BatchHandler = (events: StoredEvent[], delivery: Delivery) => unknown

export interface Subscription extends AsyncDisposable {
  readonly name: string
  readonly state: SubscriptionState
  /** Everything up to here is handled, passed over or in quarantine. */
  readonly position: number
  stats(): SubscriptionStats
  /**
   * Resolves when it was closed; rejects with `SUBSCRIPTION_STOPPED` when it stopped by itself. Need not
   * be looked at: the same is in `store.stats().subscriptions` and on `store.telemetry$`.
   */
  readonly done: Promise<void>
  /** No event is delivered until `resume`; a running handler goes on to its end. Not kept on disk. */
  pause(): void
  resume(): void
  /**
   * Resolves once everything up to `position` (default: the head) is handled.
   *
   * @throws StoreError `SUBSCRIPTION_STOPPED`, `OPTION_INVALID`, `ABORTED`.
   */
  caughtUp(position?: number, options?: ReadOptions): Promise<void>
  /**
   * Delivers again from a position on, from the start, or behind what `resumeAfter` says (the default; from
   * the start without it). Resolves when that is on the disk. What is in quarantine from there on
   * leaves it. Must not be awaited in a handler.
   *
   * @throws StoreError `SUBSCRIPTION_STOPPED`, `OPTION_INVALID`.
   */
  reset(to?: 'start' | 'now' | number): Promise<void>
  /** What is in quarantine, by position. */
  quarantined(): AsyncIterable<QuarantinedEvent>
  /**
   * Gives an event in quarantine to the handler once more, between two others, paused or not. Resolves
   * when it is handled and out of quarantine; rejects with what the handler rejects with.
   *
   * @throws StoreError `SUBSCRIPTION_STOPPED`, `OPTION_INVALID` where it is not in quarantine.
   */
  retry(position: number): Promise<void>
  /**
   * Takes an event out of quarantine for good, unhandled.
   *
   * @throws StoreError `SUBSCRIPTION_STOPPED`, `OPTION_INVALID` where it is not in quarantine.
   */
  discard(position: number): Promise<void>
  /** Resolves when the running handler has ended and the checkpoint is on the disk. */
  close(): Promise<void>
}

export interface QuarantinedEvent {
  position: number
  /** Position of the `event-quarantined` that says so. */
  noted: number
  /** The rest is absent where a repair of the log has lost it. In milliseconds since 1970. */
  time?: number
  attempts?: number
  error?: string
  event?: StoredEvent
}

/** What the store keeps about a subscription, whether or not it has a handler now. */
export interface SubscriptionInfo {
  /** Where its file is damaged, the name of that. */
  name: string
  /** `stopped`: it has no handler in this process. */
  state: SubscriptionState
  position: number
  lagEvents: number
  quarantined: number
  /** Why it cannot go on, if so. */
  error?: string
}
