/** Metrics of those who read the log at their own pace: projections and subscriptions. */
import { each, eachState, type Metric, type MetricKind, MS_PER_SECOND } from './metric.ts'
import type {
  ProjectionState,
  ProjectionStats,
  SubscriptionState,
  SubscriptionStats
} from './types.ts'

// Of both, every state is named, or this does not compile.
const PROJECTION_STATES: Readonly<Record<ProjectionState, true>> = {
  running: true,
  stopped: true,
  rebuilding: true
}
const SUBSCRIPTION_STATES: Readonly<Record<SubscriptionState, true>> = {
  running: true,
  paused: true,
  retrying: true,
  stopped: true
}

export function projectionMetrics(): Metric[] {
  const ofEach = each<ProjectionStats>('projection', (stats) => stats.pipeline.projections)
  const metric = metricOf('projection', ofEach)
  return [
    metric('position', 'gauge', '', 'Position up to which the projection is complete.', (one) => {
      return one.position
    }),
    metric(
      'lag_events',
      'gauge',
      '{event}',
      'Events that the projection does not hold yet.',
      (one) => {
        return one.lagEvents
      }
    ),
    metric(
      'lag',
      'gauge',
      's',
      'Age of the oldest event that the projection does not hold yet.',
      (one) => {
        return one.lagMs / MS_PER_SECOND
      }
    ),
    {
      name: 'projection.state',
      kind: 'gauge',
      unit: '',
      help: '1 for the state that the projection is in.',
      read: eachState('projection', PROJECTION_STATES, (stats) => stats.pipeline.projections)
    }
  ]
}

export function subscriptionMetrics(): Metric[] {
  const ofEach = each<SubscriptionStats>('subscription', (stats) => stats.subscriptions)
  const metric = metricOf('subscription', ofEach)
  return [
    metric('position', 'gauge', '', 'Position up to which all is handled.', (one) => one.position),
    metric('lag_events', 'gauge', '{event}', 'Events behind that position.', (one) => {
      return one.lagEvents
    }),
    metric('lag', 'gauge', 's', 'Age of the first event behind that position.', (one) => {
      return one.lagMs / MS_PER_SECOND
    }),
    metric(
      'attempts',
      'gauge',
      '{attempt}',
      'Times that its handler was given what it has.',
      (one) => {
        return one.attempts
      }
    ),
    metric('quarantined', 'sum', '{event}', 'Events in quarantine.', (one) => one.quarantined),
    metric('delivered', 'counter', '{event}', 'Events handled since it began.', (one) => {
      return one.delivered
    }),
    metric(
      'retries',
      'counter',
      '{retry}',
      'Times that the handler was given events again.',
      (one) => {
        return one.retries
      }
    ),
    {
      name: 'subscription.state',
      kind: 'gauge',
      unit: '',
      help: '1 for the state that the subscription is in.',
      read: eachState('subscription', SUBSCRIPTION_STATES, (stats) => stats.subscriptions)
    }
  ]
}

function metricOf<T>(
  part: string,
  ofEach: (value: (one: T) => number) => Metric['read']
): (
  name: string,
  kind: MetricKind,
  unit: string,
  help: string,
  value: (one: T) => number
) => Metric {
  return (name, kind, unit, help, value) => ({
    name: `${part}.${name}`,
    kind,
    unit,
    help,
    read: ofEach(value)
  })
}
