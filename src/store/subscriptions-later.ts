import type { Subscriptions } from '../pipeline/subscriptions/subscriptions.ts'
import type { SubscriptionStats } from '../telemetry/types.ts'
import type { Engine } from './engine.ts'

/**
 * The subscriptions of an open store. Their code is loaded when they are first asked for: most
 * programs have none, and a fresh process waits for code the longest.
 */
export class SubscriptionsLater {
  readonly #engine: Engine
  #loading: Promise<Subscriptions> | undefined
  #loaded: Subscriptions | undefined

  constructor(engine: Engine) {
    this.#engine = engine
  }

  async get(): Promise<Subscriptions> {
    this.#loading ??= this.#load()
    return this.#loading
  }

  stats(): Record<string, SubscriptionStats> {
    return this.#loaded?.stats() ?? {}
  }

  /** Sync and cheap. To be called after every acknowledged frame. */
  appended(): void {
    this.#loaded?.appended()
  }

  /** Those that are being loaded are closed too: whoever asked for them is told. */
  async close(): Promise<void> {
    const loaded = await this.#loading
    await loaded?.close()
  }

  async #load(): Promise<Subscriptions> {
    const { subscriptionsOf } = await import('./subscription-host.ts')
    this.#loaded = subscriptionsOf(this.#engine)
    return this.#loaded
  }
}
