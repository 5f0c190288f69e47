import type { TelemetryHub } from '../../telemetry/hub.ts'

/** Tells whoever listens to the telemetry how a subscription fares. */
export class Teller {
  readonly #hub: TelemetryHub
  readonly #subscription: string

  constructor(hub: TelemetryHub, subscription: string) {
    this.#hub = hub
    this.#subscription = subscription
  }

  retrying(failed: { position: number; attempt: number; delayMs: number; error: string }): void {
    if (this.#hub.active) this.#hub.emit({ type: 'subscription-retrying', ...this.#who, ...failed })
  }

  quarantined(event: { position: number; attempts: number; error: string }): void {
    if (!this.#hub.active) return
    this.#hub.emit({ type: 'subscription-quarantined', ...this.#who, ...event })
  }

  stopped(at: { position: number; error: string }): void {
    if (this.#hub.active) this.#hub.emit({ type: 'subscription-stopped', ...this.#who, ...at })
  }

  caughtUp(at: { position: number }): void {
    if (this.#hub.active) this.#hub.emit({ type: 'subscription-caught-up', ...this.#who, ...at })
  }

  get #who(): { time: number; subscription: string } {
    return { time: Date.now(), subscription: this.#subscription }
  }
}
