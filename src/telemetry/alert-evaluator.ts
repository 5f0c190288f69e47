import { type AlertReading, unitOf } from './alert-metrics.ts'
import type { ResolvedRule } from './alert-rules.ts'
import type { Alert } from './alert-types.ts'

/** Now: on the clock that never goes back, and as people tell it. Both in milliseconds. */
export interface AlertClock {
  monotonicMs: number
  wallMs: number
}

export interface AlertChange {
  raised: boolean
  alert: Alert
  /** How long it was raised; 0 when it just was. */
  ms: number
}

/** What is known of one rule and one of the things that it watches. */
interface Watched {
  readonly rule: ResolvedRule
  readonly of: string
  /** Since when it is beyond the threshold, or back from it, without a break. */
  turnedAt: AlertClock | undefined
  alert: Alert | undefined
  raisedAtMs: number
}

/**
 * Decides when an alert is raised and cleared. Knows neither clocks nor where values come from.
 *
 * An alert is raised when every value for `forMs` was beyond the threshold, and cleared when every value
 * for `forMs` was back behind `clearAt`. Between the two nothing changes, so that a value which
 * wavers there, however long, raises one alert. Nothing to measure is not beyond any threshold.
 */
export class AlertEvaluator {
  readonly #rules: readonly ResolvedRule[]
  /** By rule and by what it watches, in the order in which they were first seen. */
  readonly #watched = new Map<string, Watched>()

  constructor(rules: readonly ResolvedRule[]) {
    this.#rules = rules
  }

  /** In the order in which they were first seen; those told of last time may have changed. */
  get raised(): Alert[] {
    const alerts = Array.from(this.#watched.values(), ({ alert }) => alert)
    return alerts.filter((alert) => alert !== undefined).map((alert) => ({ ...alert }))
  }

  evaluate(
    clock: AlertClock,
    read: (rule: ResolvedRule) => readonly AlertReading[]
  ): AlertChange[] {
    const changes: AlertChange[] = []
    const seen = new Set<string>()
    for (const rule of this.#rules) {
      for (const { of, value } of read(rule)) {
        if (rule.of !== undefined && rule.of !== of) continue
        const key = `${rule.name}\0${of}`
        seen.add(key)
        const watched = this.#watched.get(key) ?? newWatched(rule, of)
        this.#watched.set(key, watched)
        addChange(changes, look(watched, value, clock))
      }
    }
    this.#forget(seen, clock, changes)
    return changes
  }

  /** What is not there any more, such as a projection that was removed, cannot be beyond a threshold. */
  #forget(seen: ReadonlySet<string>, clock: AlertClock, changes: AlertChange[]): void {
    for (const [key, watched] of this.#watched) {
      if (seen.has(key)) continue
      addChange(changes, look(watched, undefined, clock))
      if (watched.alert === undefined) this.#watched.delete(key)
    }
  }
}

function addChange(changes: AlertChange[], change: AlertChange | undefined): void {
  if (change !== undefined) changes.push(change)
}

function newWatched(rule: ResolvedRule, of: string): Watched {
  return { rule, of, turnedAt: undefined, alert: undefined, raisedAtMs: 0 }
}

function look(
  watched: Watched,
  value: number | undefined,
  clock: AlertClock
): AlertChange | undefined {
  const { rule, alert } = watched
  if (alert !== undefined && value !== undefined) alert.value = value
  const isTurned = alert === undefined ? isBeyond(rule, value) : isBack(rule, value)
  if (!isTurned) {
    watched.turnedAt = undefined
    return undefined
  }
  watched.turnedAt ??= clock
  const since = watched.turnedAt
  if (clock.monotonicMs - since.monotonicMs < rule.forMs) return undefined
  watched.turnedAt = undefined
  return alert === undefined
    ? raise(watched, value ?? rule.threshold, since, clock)
    : clear(watched, alert, clock)
}

function raise(watched: Watched, value: number, since: AlertClock, clock: AlertClock): AlertChange {
  const { rule, of } = watched
  const { name, severity, metric, threshold } = rule
  const message = describe(rule, of, value)
  const alert = { name, severity, metric, of, value, threshold, since: since.wallMs, message }
  watched.alert = alert
  watched.raisedAtMs = clock.monotonicMs
  return { raised: true, alert: { ...alert }, ms: 0 }
}

function clear(watched: Watched, alert: Alert, clock: AlertClock): AlertChange {
  watched.alert = undefined
  return { raised: false, alert, ms: clock.monotonicMs - watched.raisedAtMs }
}

function isBeyond({ isAbove, threshold }: ResolvedRule, value: number | undefined): boolean {
  if (value === undefined) return false
  return isAbove ? value > threshold : value < threshold
}

function isBack({ isAbove, clearAt }: ResolvedRule, value: number | undefined): boolean {
  if (value === undefined) return true
  return isAbove ? value <= clearAt : value >= clearAt
}

/** Numbers as they are compared, so that nobody has to guess at rounding. */
function describe(
  { metric, isAbove, threshold, forMs }: ResolvedRule,
  of: string,
  value: number
): string {
  const what = of === '' ? metric : `${metric} of '${of}'`
  const time = forMs === 0 ? '' : ` for ${forMs / 1000} s`
  return `${what} is ${value}, ${isAbove ? 'above' : 'below'} ${threshold} (${unitOf(metric)})${time}`
}
