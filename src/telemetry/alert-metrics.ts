import type { AlertMetric, SingleMetric } from './alert-types.ts'
import type {
  LatencySummary,
  Operation,
  PipelineStats,
  ProjectionStats,
  RecentLatency,
  Stats,
  SubscriptionStats
} from './types.ts'

/** Where rules read what they watch. Each is asked only by a rule that needs it. */
export interface AlertInput {
  latency(operation: Operation): RecentLatency
  pipeline(): PipelineStats
  poisoned(): boolean
  /** By name: those that somebody gave a handler. */
  subscriptions(): Stats['subscriptions']
  waiting(): number
  disk(): Pick<Stats['disk'], 'freeBytes' | 'reserveBytes' | 'low'>
  memory(): Pick<Stats['memory'], 'rssBytes' | 'overlayEvents' | 'idTableBytes'>
  vectors(): Pick<Stats['vectors'], 'pending' | 'pendingMax' | 'workerRestarts'>
  scrubProblems(): number
  /** `undefined` until two looks at it can be compared. */
  eventLoop(): { lateMs: number; utilization: number } | undefined
}

/** `undefined` where there is nothing to measure: then no rule is met. */
export interface AlertReading {
  /** Which one of several; empty where there is one. */
  of: string
  value: number | undefined
}

interface MetricSource {
  unit: string
  /** What it is, for docs/telemetry.md. */
  about: string
  read(input: AlertInput): number | undefined | AlertReading[]
}

export const ALERT_METRICS: Readonly<Record<SingleMetric, MetricSource>> = {
  'pipeline.healthScore': {
    unit: '0 to 1',
    about: 'health of the pipeline',
    read: (input) => input.pipeline().healthScore
  },
  'pipeline.queueDepth': {
    unit: 'events',
    about: 'events that the tables do not hold yet',
    read: (input) => input.pipeline().queueDepth
  },
  'pipeline.queueUtilization': {
    unit: '0 to 1',
    about: 'how full the queue is; writers wait at 1',
    read: (input) => input.pipeline().queueUtilization
  },
  'pipeline.estimatedLagMs': {
    unit: 'ms',
    about: 'time to empty the queue at the present rate',
    read: (input) => input.pipeline().estimatedLagMs
  },
  'pipeline.timeToFullMs': {
    unit: 'ms',
    about: 'time until the queue is full; infinite while it does not grow',
    read: (input) => input.pipeline().timeToFullMs
  },
  'projection.lagEvents': {
    unit: 'events',
    about: 'events that the projection does not hold yet; nothing while it is made anew',
    read: (input) => lagOfProjections(input, 'lagEvents')
  },
  'projection.lagMs': {
    unit: 'ms',
    about: 'age of the oldest event that it does not hold yet; nothing while it is made anew',
    read: (input) => lagOfProjections(input, 'lagMs')
  },
  'projection.stopped': {
    unit: '0 or 1',
    about: 'whether the projection met an error and stopped',
    read: (input) => eachProjection(input, ({ state }) => Number(state === 'stopped'))
  },
  'subscription.lagEvents': {
    unit: 'events',
    about: 'events that are not handled yet; nothing while it is paused or stopped',
    read: (input) => lagOfSubscriptions(input, 'lagEvents')
  },
  'subscription.lagMs': {
    unit: 'ms',
    about: 'age of the first of them; nothing while it is paused or stopped',
    read: (input) => lagOfSubscriptions(input, 'lagMs')
  },
  'subscription.stopped': {
    unit: '0 or 1',
    about: 'whether the subscription stopped by itself; one that its program closed did not',
    read: (input) => eachSubscription(input, ({ error }) => Number(error !== undefined))
  },
  'commits.waiting': {
    unit: 'commits',
    about: 'commits in line to be written',
    read: (input) => input.waiting()
  },
  'disk.freeBytes': {
    unit: 'bytes',
    about: 'free bytes of the file system',
    // Before the system was asked, nothing is known.
    read: (input) => input.disk().freeBytes || undefined
  },
  'disk.low': {
    unit: '0 or 1',
    about: 'whether writes are refused because the disk is nearly full',
    read: (input) => Number(input.disk().low)
  },
  'memory.rssBytes': {
    unit: 'bytes',
    about: 'resident memory of the process',
    read: (input) => input.memory().rssBytes
  },
  'memory.overlayEvents': {
    unit: 'events',
    about: 'events kept in memory until the tables hold them',
    read: (input) => input.memory().overlayEvents
  },
  'memory.idTableBytes': {
    unit: 'bytes',
    about: 'memory of the table of ids',
    read: (input) => input.memory().idTableBytes
  },
  'vectors.pending': {
    unit: 'vectors',
    about: 'vectors that are in no graph yet',
    read: (input) => input.vectors().pending
  },
  'vectors.fill': {
    unit: '0 to 1',
    about: 'the same as a share of what may wait; writers of vectors wait at 1',
    read: (input) => fillOf(input.vectors())
  },
  'vectors.workerRestarts': {
    unit: 'restarts',
    about: 'threads for vectors that died and were replaced since the process began',
    read: (input) => input.vectors().workerRestarts
  },
  'scrub.problems': {
    unit: 'problems',
    about: 'damage that the background check of the files found since open',
    read: (input) => input.scrubProblems()
  },
  'eventLoop.lateMs': {
    unit: 'ms',
    about: 'how late the last look at the rules was, because other work kept the thread',
    read: (input) => input.eventLoop()?.lateMs
  },
  'eventLoop.utilization': {
    unit: '0 to 1',
    about: 'share of the time since the last look in which the thread was busy',
    read: (input) => input.eventLoop()?.utilization
  },
  poisoned: {
    unit: '0 or 1',
    about: 'whether a write to the log failed, so that nothing is written any more',
    read: (input) => Number(input.poisoned())
  }
}

/** Names of what a latency is made of. */
export const LATENCY_FIELDS: readonly (keyof LatencySummary)[] = Object.keys({
  count: true,
  meanUs: true,
  p50Us: true,
  p95Us: true,
  p99Us: true,
  p999Us: true,
  maxUs: true
} satisfies Record<keyof LatencySummary, true>) as (keyof LatencySummary)[]

const LATENCY = 'latency.'

/** @param minCount Samples of a latency, below which there is nothing to measure. */
export function readMetric(
  metric: AlertMetric,
  minCount: number,
  input: AlertInput
): AlertReading[] {
  if (isSingle(metric)) {
    const found = ALERT_METRICS[metric].read(input)
    return typeof found === 'object' ? found : [{ of: '', value: found }]
  }
  const { operation, field } = latencyOf(metric)
  const latency = input.latency(operation)
  const isEnough = field === 'count' || latency.count >= minCount
  return [{ of: '', value: isEnough ? latency[field] : undefined }]
}

export function isSingle(metric: string): metric is SingleMetric {
  return Object.hasOwn(ALERT_METRICS, metric)
}

export function unitOf(metric: AlertMetric): string {
  if (isSingle(metric)) return ALERT_METRICS[metric].unit
  return latencyOf(metric).field === 'count' ? 'samples' : 'µs'
}

function latencyOf(metric: AlertMetric): { operation: Operation; field: keyof LatencySummary } {
  const [operation, field] = metric.slice(LATENCY.length).split('.')
  // Names were checked when the rule was given.
  return { operation: operation as Operation, field: field as keyof LatencySummary }
}

type Read<T> = (one: T) => number | undefined

function eachProjection(input: AlertInput, value: Read<ProjectionStats>): AlertReading[] {
  const projections = Object.entries(input.pipeline().projections)
  return projections.map(([of, one]) => ({ of, value: value(one) }))
}

function eachSubscription(input: AlertInput, value: Read<SubscriptionStats>): AlertReading[] {
  const subscriptions = Object.entries(input.subscriptions())
  return subscriptions.map(([of, one]) => ({ of, value: value(one) }))
}

/** One that is made anew begins at the first event: that it is behind is no news. */
function lagOfProjections(input: AlertInput, field: 'lagEvents' | 'lagMs'): AlertReading[] {
  return eachProjection(input, (one) => (one.state === 'rebuilding' ? undefined : one[field]))
}

/** Paused, it does what the program asked for; that it stopped is told by `subscription.stopped`. */
function lagOfSubscriptions(input: AlertInput, field: 'lagEvents' | 'lagMs'): AlertReading[] {
  const isAtWork = ({ state }: SubscriptionStats): boolean =>
    state === 'running' || state === 'retrying'
  return eachSubscription(input, (one) => (isAtWork(one) ? one[field] : undefined))
}

function fillOf({ pending, pendingMax }: Pick<Stats['vectors'], 'pending' | 'pendingMax'>): number {
  return pendingMax === 0 ? 0 : pending / pendingMax
}
