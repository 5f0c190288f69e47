import type { TelemetryEvent } from './events.ts'
import type { LatencySummary, Operation } from './types.ts'

/** What a rule can watch, by its place in the statistics. Latencies are those of the last minute. */
export type AlertMetric = `latency.${Operation}.${keyof LatencySummary}` | SingleMetric

/** docs/telemetry.md says what each of them is; `ALERT_METRICS` has its unit. */
export type SingleMetric =
  | 'pipeline.healthScore'
  | 'pipeline.queueDepth'
  | 'pipeline.queueUtilization'
  | 'pipeline.estimatedLagMs'
  | 'pipeline.timeToFullMs'
  | 'projection.lagEvents'
  | 'projection.lagMs'
  | 'projection.stopped'
  | 'subscription.lagEvents'
  | 'subscription.lagMs'
  | 'subscription.stopped'
  | 'commits.waiting'
  | 'disk.freeBytes'
  | 'disk.low'
  | 'memory.rssBytes'
  | 'memory.overlayEvents'
  | 'memory.idTableBytes'
  | 'vectors.pending'
  | 'vectors.fill'
  | 'vectors.workerRestarts'
  | 'scrub.problems'
  | 'eventLoop.lateMs'
  | 'eventLoop.utilization'
  | 'poisoned'

export type AlertSeverity = 'info' | 'warning' | 'critical'

interface RuleBase {
  /** Unique. A rule with the name of a built-in one takes its place. */
  name: string
  metric: AlertMetric
  /** Of several, such as projections, only the one of this name. Absent: each by itself. */
  of?: string
  /**
   * Where it is over again: on the other side of the threshold, so that a value which wavers about
   * it raises one alert. By default a fifth away from it.
   */
  clearAt?: number
  /** How long it must be beyond the threshold, or back, in milliseconds. By default 0. */
  forMs?: number
  /** Of a latency: samples in the last minute, below which it is not looked at. By default 20. */
  minCount?: number
  /** By default `warning`. */
  severity?: AlertSeverity
}

/** When to raise an alert: `metric` stays above, or below, a number. */
export type AlertRule = RuleBase &
  ({ above: number; below?: never } | { below: number; above?: never })

/** An alert that is raised now. */
export interface Alert {
  /** Name of the rule. */
  name: string
  severity: AlertSeverity
  metric: AlertMetric
  /** Which one of several; empty where there is one. */
  of: string
  /** What was measured last, in the metric's unit. */
  value: number
  /** The threshold that was passed. */
  threshold: number
  /** Since when the metric was beyond it, in milliseconds since 1970. */
  since: number
  message: string
}

/** Raised or cleared. */
export type AlertEvent = Extract<TelemetryEvent, { type: 'alert-raised' | 'alert-cleared' }>

export interface AlertOptions {
  /** Whether the built-in rules apply. By default they do. */
  defaults?: boolean
  /** Beside the built-in ones, or instead of those that have the same names. */
  rules?: readonly AlertRule[]
  /** Called for each alert that is raised or cleared. What it throws is an uncaught exception. */
  onAlert?(event: AlertEvent): void
}
