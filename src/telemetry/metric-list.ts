/**
 * What is measured, once for all who tell it: as Prometheus text (`metrics.ts`) and to
 * OpenTelemetry (`open-telemetry.ts`).
 */
import {
  counter,
  gauge,
  type Metric,
  type MetricKind,
  type MetricSample,
  MS_PER_SECOND,
  sum,
  timestamp,
  US_PER_SECOND
} from './metric.ts'
import { projectionMetrics, subscriptionMetrics } from './metric-readers.ts'
import { indexMetrics, vectorMetrics } from './metric-vectors.ts'
import type { LatencySummary, Stats } from './types.ts'

/** Each name once, in the order in which they are told. */
export const METRICS: readonly Metric[] = [
  ...logMetrics(),
  ...pipelineMetrics(),
  ...projectionMetrics(),
  ...subscriptionMetrics(),
  ...vectorMetrics(),
  ...indexMetrics(),
  ...cacheMetrics(),
  ...diskMetrics(),
  ...scrubMetrics(),
  ...memoryMetrics(),
  ...recentMetrics(),
  ...alertMetrics(),
  ...keptMetrics()
]

function logMetrics(): Metric[] {
  return [
    gauge('position', '', 'Position of the last acknowledged event.', (s) => s.position),
    gauge('durable_position', '', 'Highest position that survives a power cut.', (s) => {
      return s.durableHead
    }),
    gauge('poisoned', '', '1 after a failed write, until the store is reopened.', (s) => {
      return +s.poisoned
    }),
    counter('commits', '{commit}', 'Commits acknowledged since open.', (s) => s.commits.commits),
    counter('events', '{event}', 'Events acknowledged since open.', (s) => s.commits.events),
    counter('frames', '{frame}', 'Frames written to the log since open.', (s) => s.commits.frames),
    sum('commits_waiting', '{commit}', 'Commits that wait to be written.', (s) => {
      return s.commits.waiting
    }),
    sum('views_open', '{view}', 'Views that are not closed.', (s) => s.views)
  ]
}

function pipelineMetrics(): Metric[] {
  const seconds = (ms: number): number => ms / MS_PER_SECOND
  return [
    sum('pipeline.queue.events', '{event}', 'Events that the tables do not hold yet.', (s) => {
      return s.pipeline.queueDepth
    }),
    gauge('pipeline.queue.utilization', '1', 'How full the queue is, 0 to 1.', (s) => {
      return s.pipeline.queueUtilization
    }),
    gauge('pipeline.predicted_queue.events', '{event}', 'Queue depth expected soon.', (s) => {
      return s.pipeline.predictedQueueDepth
    }),
    gauge('pipeline.interval', 's', 'Current batch interval.', (s) => {
      return seconds(s.pipeline.intervalMs)
    }),
    gauge('pipeline.batch_events', '{event}', 'Events that end the wait for a batch.', (s) => {
      return s.pipeline.batchEvents
    }),
    gauge(
      'pipeline.load',
      '1',
      'Load of the pipeline; 1 is all that it can take, more is overload.',
      (s) => {
        return s.pipeline.load
      }
    ),
    gauge('pipeline.pressure', '1', '0 while writers are welcome, 1 where they wait.', (s) => {
      return s.pipeline.pressure
    }),
    gauge('pipeline.arrived_events', '{event}/s', 'Rate at which events arrive.', (s) => {
      return s.pipeline.arrivalRatePerSec
    }),
    gauge('pipeline.health', '1', 'Health score, 0 to 1.', (s) => s.pipeline.healthScore),
    gauge('pipeline.processed_events', '{event}/s', 'Projection rate.', (s) => {
      return s.pipeline.processingRatePerSec
    }),
    gauge('pipeline.estimated_lag', 's', 'Time to empty the queue.', (s) => {
      return seconds(s.pipeline.estimatedLagMs)
    }),
    gauge('pipeline.time_to_full', 's', 'Time until the queue is full.', (s) => {
      return seconds(s.pipeline.timeToFullMs)
    }),
    counter('pipeline.batches', '{batch}', 'Batches projected since open.', (s) => {
      return s.pipeline.batches
    }),
    counter('pipeline.back_pressure', 's', 'Time that writers waited for room.', (s) => {
      return seconds(s.pipeline.backPressureMs)
    })
  ]
}

function cacheMetrics(): Metric[] {
  const metric = (
    name: string,
    kind: MetricKind,
    unit: string,
    help: string,
    value: (one: Stats['caches'][string]) => number
  ): Metric => ({
    name,
    kind,
    unit,
    help,
    read: (stats) =>
      Object.entries(stats.caches).map(([cache, one]) => ({ labels: { cache }, value: value(one) }))
  })
  return [
    metric('cache.entries', 'sum', '{entry}', 'Entries in the cache.', (one) => one.entries),
    metric('cache.bytes', 'sum', 'By', 'Bytes that the cache holds.', (one) => one.bytes),
    metric('cache.hits', 'counter', '{hit}', 'Look-ups answered.', (one) => one.hits),
    metric('cache.misses', 'counter', '{miss}', 'Look-ups not answered.', (one) => one.misses)
  ]
}

function diskMetrics(): Metric[] {
  return [
    {
      name: 'disk.bytes',
      kind: 'sum',
      unit: 'By',
      help: 'Bytes on disk.',
      read: ({ disk }) => [
        { labels: { part: 'log' }, value: disk.logBytes },
        { labels: { part: 'tables' }, value: disk.tablesBytes },
        { labels: { part: 'vectors' }, value: disk.vectorsBytes },
        { labels: { part: 'projections' }, value: disk.projectionsBytes },
        { labels: { part: 'telemetry' }, value: disk.telemetryBytes }
      ]
    },
    {
      name: 'disk.free',
      kind: 'gauge',
      unit: 'By',
      help: 'Free bytes of the file system, when a write last asked.',
      // Before the first write nobody asked: telling 0 would raise an alarm.
      read: ({ disk }) => (disk.freeBytes > 0 || disk.low ? [{ value: disk.freeBytes }] : [])
    },
    {
      name: 'disk.reserve',
      kind: 'gauge',
      unit: 'By',
      help: 'Free bytes below which writes are refused.',
      read: ({ disk }) => (disk.freeBytes > 0 || disk.low ? [{ value: disk.reserveBytes }] : [])
    },
    gauge('disk.low', '', '1 while writes are refused for want of disk space.', (s) => +s.disk.low)
  ]
}

function scrubMetrics(): Metric[] {
  return [
    counter('scrub.rounds', '{round}', 'Rounds of the background check of files.', (s) => {
      return s.scrub.rounds
    }),
    counter('scrub.files', '{file}', 'Files checked since open.', (s) => s.scrub.files),
    counter('scrub.bytes', 'By', 'Bytes checked since open.', (s) => s.scrub.bytes),
    counter('scrub.problems', '{problem}', 'Damage that the background check found.', (s) => {
      return s.scrub.problems.length
    }),
    {
      name: 'scrub.finished.timestamp',
      kind: 'gauge',
      unit: 's',
      help: 'End of the last round, since 1970.',
      read: ({ scrub }) => timestamp(scrub.finishedAt)
    }
  ]
}

function memoryMetrics(): Metric[] {
  return [
    gauge('memory.rss', 'By', 'Resident memory of the process.', (s) => s.memory.rssBytes),
    sum('overlay.events', '{event}', 'Events in the overlay.', (s) => s.memory.overlayEvents),
    sum('id_table.bytes', 'By', 'Bytes of the table of ids.', (s) => s.memory.idTableBytes),
    gauge('id_table.complete', '', '1 once it holds every id.', (s) => +s.memory.idTableComplete)
  ]
}

/** Of the last minute, as alerts see it. Since open they are a summary, which has no window. */
function recentMetrics(): Metric[] {
  return [
    {
      name: 'operation.recent_duration',
      kind: 'gauge',
      unit: 's',
      help: 'Percentiles of how long operations took lately.',
      read: ({ latency }) =>
        Object.entries(latency).flatMap(([operation, { recent }]) =>
          recent.count === 0 ? [] : percentilesOf(operation, recent)
        )
    }
  ]
}

function percentilesOf(operation: string, recent: LatencySummary): MetricSample[] {
  const percentiles = [
    ['50', recent.p50Us],
    ['95', recent.p95Us],
    ['99', recent.p99Us],
    ['99.9', recent.p999Us],
    ['100', recent.maxUs]
  ] as const
  return percentiles.map(([percentile, us]) => ({
    labels: { operation, percentile },
    value: us / US_PER_SECOND
  }))
}

function alertMetrics(): Metric[] {
  return [
    sum('alerts', '{alert}', 'Alerts that are raised now.', (s) => s.alerts.length),
    {
      name: 'alert.raised',
      kind: 'gauge',
      unit: '',
      help: '1 for each alert that is raised now.',
      read: ({ alerts }) =>
        alerts.map(({ name, severity, of }) => ({
          labels: { alert: name, severity, of },
          value: 1
        }))
    }
  ]
}

/** Of telemetry that is kept, where it is. */
function keptMetrics(): Metric[] {
  const metric = (
    name: string,
    kind: MetricKind,
    unit: string,
    help: string,
    value: (kept: NonNullable<Stats['telemetry']>) => number
  ): Metric => ({
    name,
    kind,
    unit,
    help,
    read: ({ telemetry }) => (telemetry === undefined ? [] : [{ value: value(telemetry) }])
  })
  return [
    metric('telemetry.stored', 'counter', '{event}', 'Telemetry kept since open.', (kept) => {
      return kept.stored
    }),
    metric('telemetry.dropped', 'counter', '{event}', 'Telemetry events that are lost.', (kept) => {
      return kept.dropped
    }),
    metric('telemetry.bytes', 'sum', 'By', 'Kept telemetry on disk.', (kept) => kept.bytes),
    metric('telemetry.failed', 'gauge', '', '1 while telemetry cannot be kept.', (kept) => {
      return +(kept.error !== undefined)
    })
  ]
}
