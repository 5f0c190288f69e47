import { StoreError, show } from '../errors.ts'
import { isSingle, LATENCY_FIELDS } from './alert-metrics.ts'
import type { AlertMetric, AlertOptions, AlertRule, AlertSeverity } from './alert-types.ts'
import { OPERATION_NAMES } from './operations.ts'

/** A rule with every default filled in. */
export interface ResolvedRule {
  readonly name: string
  readonly metric: AlertMetric
  readonly of: string | undefined
  readonly isAbove: boolean
  readonly threshold: number
  readonly clearAt: number
  readonly forMs: number
  readonly minCount: number
  readonly severity: AlertSeverity
}

const MiB = 1024 * 1024
const MIN_COUNT = 20
/** How far a value must come back, of the threshold. */
const HYSTERESIS = 0.2
/** Each is looked at every second. */
const RULES_MAX = 1000
const DAY_MS = 24 * 60 * 60 * 1000
const SEVERITIES: readonly AlertSeverity[] = ['info', 'warning', 'critical']
const NAMES = ['name', 'metric', 'of', 'above', 'below', 'clearAt', 'forMs', 'minCount', 'severity']

/** A projection that lacks an event older than this is behind. */
export const PROJECTION_LAG_MS = 10_000
/** What a crash left behind may be of days ago: it is caught up with in the first moments. */
export const PROJECTION_LAG_FOR_MS = 5000

/** The built-in rules. docs/telemetry.md lists them. @param warnAt Of the pipeline's options. */
export function defaultRules(warnAt: number): AlertRule[] {
  return [
    { name: 'poisoned', metric: 'poisoned', above: 0, severity: 'critical' },
    { name: 'disk-low', metric: 'disk.low', above: 0, severity: 'critical' },
    // A rebuild may be about to begin: then it is not stopped, but rebuilding.
    {
      name: 'projection-stopped',
      metric: 'projection.stopped',
      above: 0,
      forMs: 1000,
      severity: 'critical'
    },
    { name: 'files-damaged', metric: 'scrub.problems', above: 0, severity: 'critical' },
    { name: 'disk-filling', metric: 'disk.freeBytes', below: 512 * MiB },
    { name: 'health-low', metric: 'pipeline.healthScore', below: 0.5, clearAt: 0.7, forMs: 5000 },
    {
      name: 'queue-filling',
      metric: 'pipeline.queueUtilization',
      above: warnAt,
      clearAt: warnAt * 0.7,
      forMs: 5000
    },
    {
      name: 'projection-lag',
      metric: 'projection.lagMs',
      above: PROJECTION_LAG_MS,
      clearAt: PROJECTION_LAG_MS / 2,
      forMs: PROJECTION_LAG_FOR_MS
    },
    {
      name: 'subscription-stopped',
      metric: 'subscription.stopped',
      above: 0,
      severity: 'critical'
    },
    // A new one may begin with events of years ago: what it needs a while for is no alarm.
    {
      name: 'subscription-lag',
      metric: 'subscription.lagMs',
      above: 60_000,
      clearAt: 30_000,
      forMs: 30_000
    },
    { name: 'vectors-waiting', metric: 'vectors.fill', above: 0.9, clearAt: 0.7, forMs: 5000 },
    { name: 'fsync-slow', metric: 'latency.fsync.p99Us', above: 100_000, forMs: 5000 },
    { name: 'event-loop-blocked', metric: 'eventLoop.lateMs', above: 1000, clearAt: 100 }
  ]
}

/** @throws StoreError `OPTION_INVALID`. */
export function resolveRules(options: AlertOptions, warnAt: number): ResolvedRule[] {
  const { rules = [], defaults = true } = options
  if (!Array.isArray(rules)) throw invalid('alerts.rules', rules, 'an array of rules')
  if (rules.length > RULES_MAX) {
    throw invalid('alerts.rules', rules.length, `at most ${RULES_MAX} rules`)
  }
  const own = rules.map((rule: AlertRule, i) => resolveRule(rule, `alerts.rules[${i}]`))
  const names = new Set<string>()
  for (const { name } of own) {
    if (names.has(name)) throw invalid('alerts.rules', name, 'names that differ')
    names.add(name)
  }
  const builtIn = defaults ? defaultRules(warnAt) : []
  const others = builtIn.filter(({ name }) => !names.has(name))
  return [...others.map((rule) => resolveRule(rule, rule.name)), ...own]
}

function resolveRule(rule: AlertRule, path: string): ResolvedRule {
  if (typeof rule !== 'object' || rule === null) throw invalid(path, rule, 'an object')
  for (const name of Object.keys(rule)) {
    if (!NAMES.includes(name)) throw invalid(`${path}.${name}`, 'present', 'absent: no such option')
  }
  const { name, metric, of, severity = 'warning' } = rule
  if (typeof name !== 'string' || name === '') {
    throw invalid(`${path}.name`, name, 'a non-empty string')
  }
  if (typeof metric !== 'string' || !isMetric(metric)) {
    throw invalid(`${path}.metric`, metric, 'one of those in docs/telemetry.md')
  }
  if (of !== undefined && typeof of !== 'string') throw invalid(`${path}.of`, of, 'a string')
  if (!SEVERITIES.includes(severity)) {
    throw invalid(`${path}.severity`, severity, `one of ${SEVERITIES.join(', ')}`)
  }
  const isAbove = rule.above !== undefined
  if (isAbove === (rule.below !== undefined)) {
    throw invalid(path, 'both or neither', "either 'above' or 'below'")
  }
  const threshold = number(`${path}.${isAbove ? 'above' : 'below'}`, rule.above ?? rule.below)
  const clearAt = number(`${path}.clearAt`, rule.clearAt ?? defaultClear(isAbove, threshold))
  if (isAbove ? clearAt > threshold : clearAt < threshold) {
    throw invalid(`${path}.clearAt`, clearAt, `at ${isAbove ? 'most' : 'least'} ${threshold}`)
  }
  const forMs = number(`${path}.forMs`, rule.forMs ?? 0, DAY_MS)
  const minCount = number(`${path}.minCount`, rule.minCount ?? MIN_COUNT)
  return Object.freeze({
    name,
    metric,
    of,
    isAbove,
    threshold,
    clearAt,
    forMs,
    minCount,
    severity
  })
}

function defaultClear(isAbove: boolean, threshold: number): number {
  return threshold * (isAbove ? 1 - HYSTERESIS : 1 + HYSTERESIS)
}

function isMetric(metric: string): metric is AlertMetric {
  if (isSingle(metric)) return true
  const [latency, operation, field, ...more] = metric.split('.')
  return (
    latency === 'latency' &&
    more.length === 0 &&
    OPERATION_NAMES.some((one) => one === operation) &&
    LATENCY_FIELDS.some((one) => one === field)
  )
}

/** No metric is ever negative. */
function number(option: string, value: unknown, max: number = Number.MAX_SAFE_INTEGER): number {
  if (typeof value === 'number' && value >= 0 && value <= max) return value
  throw invalid(option, value, `a number from 0 to ${max}`)
}

function invalid(
  option: string,
  received: unknown,
  expected: string
): StoreError<'OPTION_INVALID'> {
  const message = `Option '${option}' must be ${expected}, received ${show(received)}`
  return new StoreError('OPTION_INVALID', message, { option, received, expected })
}
