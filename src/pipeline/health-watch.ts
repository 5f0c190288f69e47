import type { Subscription } from 'rxjs'
import type { TelemetryHub } from '../telemetry/hub.ts'
import type { LoadReading } from './controller.ts'
import {
  type HealthInputs,
  type HealthLevel,
  healthLevel,
  healthScore,
  recommend
} from './health.ts'
import { quietTimer } from './timers.ts'

/** What the watch looks at. */
interface HealthSource {
  /** The newest reading; the same object until there is a newer one. */
  reading(): LoadReading
  inputs(): HealthInputs
  /** Has a reading taken now. */
  sample(): void
}

/** An improvement is believed only if it lasts this long, lest health flutter. */
const CALM_MS = 500
const SEVERITY: Readonly<Record<HealthLevel, number>> = {
  healthy: 0,
  behind: 1,
  filling: 2,
  full: 3,
  stopped: 4
}

/** Reports when health changes: at once when it gets worse, after a while when it gets better. */
export class HealthWatch {
  readonly #hub: TelemetryHub
  readonly #source: HealthSource
  #level: HealthLevel = 'healthy'
  /** The worst one since the last look back. */
  #worst: HealthLevel = 'healthy'
  #seen: LoadReading | undefined
  #timer: Subscription | undefined
  #over = false

  constructor(hub: TelemetryHub, source: HealthSource) {
    this.#hub = hub
    this.#source = source
  }

  /** Cheap while there is no new reading. */
  check(): void {
    const reading = this.#source.reading()
    if (reading === this.#seen) return
    this.#seen = reading
    this.checkNow()
  }

  /** For what no reading shows, such as a writer that begins to wait. */
  checkNow(): void {
    const inputs = this.#source.inputs()
    const level = healthLevel(inputs)
    if (SEVERITY[level] > SEVERITY[this.#worst]) this.#worst = level
    if (SEVERITY[level] > SEVERITY[this.#level]) this.#report(level, inputs)
    this.#lookAgain(level)
  }

  stop(): void {
    this.#over = true
    this.#timer?.unsubscribe()
  }

  /** When the load is over nothing calls any more, so the way back to health needs a timer. */
  #lookAgain(level: HealthLevel): void {
    const settled = level === this.#level && (level === 'healthy' || level === 'stopped')
    if (settled || this.#over || this.#timer !== undefined) return
    this.#worst = 'healthy'
    this.#timer = quietTimer(CALM_MS).subscribe(() => {
      this.#timer = undefined
      this.#source.sample()
      const inputs = this.#source.inputs()
      const now = healthLevel(inputs)
      // A batch that has just ended makes it look better for a moment.
      const hasLasted = SEVERITY[this.#worst] <= SEVERITY[now]
      if (now !== this.#level && hasLasted) this.#report(now, inputs)
      this.#lookAgain(now)
    })
  }

  #report(level: HealthLevel, inputs: HealthInputs): void {
    this.#level = level
    if (!this.#hub.active) return
    this.#hub.emit({
      type: 'health-changed',
      time: Date.now(),
      healthScore: healthScore(inputs),
      recommendation: recommend(inputs)
    })
  }
}
