import type { LatencySummary, PipelineStats, ProjectionState, Stats } from './types.ts'

type Labels = Readonly<Record<string, string>>
type Kind = 'gauge' | 'counter' | 'summary'

/** One value of a metric: what its labels are, and what is added to its name, such as `_sum`. */
interface Sample {
  value: number
  labels?: Labels
  suffix?: string
}

const US_PER_SECOND = 1e6
const MS_PER_SECOND = 1000

/**
 * The statistics in the Prometheus text exposition format, version 0.0.4. Names begin with
 * `sutra_`; times are in seconds, sizes in bytes.
 */
export function prometheusText(stats: Stats): string {
  const text = new Exposition()
  writeLog(text, stats)
  writeLatency(text, stats.latency)
  writePipeline(text, stats.pipeline)
  writeProjections(text, stats.pipeline)
  writeVectors(text, stats.vectors)
  writeCaches(text, stats.caches)
  writeResources(text, stats)
  return text.toString()
}

function writeLog(text: Exposition, stats: Stats): void {
  const { commits } = stats
  text.gauge('position', 'Position of the last acknowledged event.', stats.position)
  text.gauge('durable_position', 'Highest position that survives a power cut.', stats.durableHead)
  text.gauge('poisoned', '1 after a failed write, until the store is reopened.', +stats.poisoned)
  text.counter('commits_total', 'Commits acknowledged since open.', commits.commits)
  text.counter('events_total', 'Events acknowledged since open.', commits.events)
  text.counter('frames_total', 'Frames written to the log since open.', commits.frames)
  text.gauge('commits_waiting', 'Commits that wait to be written.', commits.waiting)
  text.gauge('views_open', 'Views that are not closed.', stats.views)
}

function writeLatency(text: Exposition, latency: Stats['latency']): void {
  const operations = Object.entries(latency)
  const name = 'operation_duration_seconds'
  text.metric(
    name,
    'summary',
    'How long operations took since open.',
    operations.flatMap(quantiles)
  )
  text.metric(
    'operation_duration_max_seconds',
    'gauge',
    'The longest operation since open.',
    operations.map(([operation, one]) => ({
      labels: { operation },
      value: one.maxUs / US_PER_SECOND
    }))
  )
}

function quantiles([operation, one]: [string, LatencySummary]): Sample[] {
  // An empty summary has no quantiles; Prometheus writes that as NaN.
  const seconds = (us: number): number => (one.count === 0 ? Number.NaN : us / US_PER_SECOND)
  const quantile = (of: string, us: number): Sample => ({
    labels: { operation, quantile: of },
    value: seconds(us)
  })
  const sum = (one.meanUs * one.count) / US_PER_SECOND
  return [
    quantile('0.5', one.p50Us),
    quantile('0.95', one.p95Us),
    quantile('0.99', one.p99Us),
    quantile('0.999', one.p999Us),
    { suffix: '_sum', labels: { operation }, value: sum },
    { suffix: '_count', labels: { operation }, value: one.count }
  ]
}

function writePipeline(text: Exposition, pipeline: PipelineStats): void {
  const gauge = (name: string, help: string, value: number): void =>
    text.gauge(`pipeline_${name}`, help, value)
  const counter = (name: string, help: string, value: number): void =>
    text.counter(`pipeline_${name}`, help, value)

  gauge('queue_events', 'Events that the tables do not hold yet.', pipeline.queueDepth)
  gauge('queue_utilization_ratio', 'How full the queue is, 0 to 1.', pipeline.queueUtilization)
  gauge('predicted_queue_events', 'Queue depth expected soon.', pipeline.predictedQueueDepth)
  gauge('interval_seconds', 'Current batch interval.', pipeline.intervalMs / MS_PER_SECOND)
  gauge('health_ratio', 'Health score, 0 to 1.', pipeline.healthScore)
  gauge('processed_events_per_second', 'Projection rate.', pipeline.processingRatePerSec)
  gauge(
    'estimated_lag_seconds',
    'Time to empty the queue.',
    pipeline.estimatedLagMs / MS_PER_SECOND
  )
  gauge(
    'time_to_full_seconds',
    'Time until the queue is full.',
    pipeline.timeToFullMs / MS_PER_SECOND
  )
  counter('batches_total', 'Batches projected since open.', pipeline.batches)
  const waitedSeconds = pipeline.backPressureMs / MS_PER_SECOND
  counter('back_pressure_seconds_total', 'Time that writers waited for room.', waitedSeconds)
}

const STATES: readonly ProjectionState[] = ['running', 'stopped', 'rebuilding']

function writeProjections(text: Exposition, { projections }: PipelineStats): void {
  const entries = Object.entries(projections)
  const each = (value: (one: PipelineStats['projections'][string]) => number): Sample[] =>
    entries.map(([projection, one]) => ({ labels: { projection }, value: value(one) }))

  text.metric(
    'projection_position',
    'gauge',
    'Position up to which the projection is complete.',
    each((one) => one.position)
  )
  text.metric(
    'projection_lag_events',
    'gauge',
    'Events that the projection does not hold yet.',
    each((one) => one.lagEvents)
  )
  text.metric(
    'projection_lag_seconds',
    'gauge',
    'Age of the oldest event that the projection does not hold yet.',
    each((one) => one.lagMs / MS_PER_SECOND)
  )
  text.metric(
    'projection_state',
    'gauge',
    '1 for the state that the projection is in.',
    entries.flatMap(([projection, one]) =>
      STATES.map((state) => ({ labels: { projection, state }, value: +(one.state === state) }))
    )
  )
}

function writeVectors(text: Exposition, vectors: Stats['vectors']): void {
  text.gauge('vectors_dimensions', 'Numbers in a vector; 0 without any.', vectors.dimensions)
  text.gauge('vectors_indexed', 'Vectors in the graph.', vectors.indexed)
  text.gauge('vectors_pending', 'Vectors found by exact scan until indexed.', vectors.pending)
  text.gauge('vectors_segments', 'Segments of the vector index.', vectors.segments)
}

function writeCaches(text: Exposition, caches: Stats['caches']): void {
  const entries = Object.entries(caches)
  const each = (value: (one: Stats['caches'][string]) => number): Sample[] =>
    entries.map(([cache, one]) => ({ labels: { cache }, value: value(one) }))

  text.metric(
    'cache_entries',
    'gauge',
    'Entries in the cache.',
    each((one) => one.entries)
  )
  text.metric(
    'cache_bytes',
    'gauge',
    'Bytes that the cache holds.',
    each((one) => one.bytes)
  )
  text.metric(
    'cache_hits_total',
    'counter',
    'Look-ups answered.',
    each((one) => one.hits)
  )
  text.metric(
    'cache_misses_total',
    'counter',
    'Look-ups not answered.',
    each((one) => one.misses)
  )
}

function writeResources(text: Exposition, { disk, memory }: Stats): void {
  text.metric('disk_bytes', 'gauge', 'Bytes on disk.', [
    { labels: { part: 'log' }, value: disk.logBytes },
    { labels: { part: 'tables' }, value: disk.tablesBytes },
    { labels: { part: 'vectors' }, value: disk.vectorsBytes }
  ])
  text.gauge('memory_rss_bytes', 'Resident memory of the process.', memory.rssBytes)
  text.gauge('overlay_events', 'Events in the overlay.', memory.overlayEvents)
  text.gauge('id_table_bytes', 'Bytes of the table of ids.', memory.idTableBytes)
  text.gauge('id_table_complete', '1 once it holds every id.', +memory.idTableComplete)
}

/** Writes the format itself: each metric once, with HELP and TYPE before its samples. */
class Exposition {
  readonly #lines: string[] = []

  gauge(name: string, help: string, value: number): void {
    this.metric(name, 'gauge', help, [{ value }])
  }

  counter(name: string, help: string, value: number): void {
    this.metric(name, 'counter', help, [{ value }])
  }

  metric(name: string, kind: Kind, help: string, samples: readonly Sample[]): void {
    if (samples.length === 0) return
    const full = `sutra_${name}`
    this.#lines.push(`# HELP ${full} ${help}`, `# TYPE ${full} ${kind}`)
    for (const { suffix = '', labels = {}, value } of samples) {
      this.#lines.push(`${full}${suffix}${labelText(labels)} ${numberText(value)}`)
    }
  }

  toString(): string {
    return `${this.#lines.join('\n')}\n`
  }
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  if (value === Number.NEGATIVE_INFINITY) return '-Inf'
  return String(value)
}
