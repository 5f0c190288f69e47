/** `store.metrics()` as a parser from outside reads it, against what `store.stats()` says. */
import parse, { type ParsedMetric } from 'parse-prometheus-text-format'
import type { Stats } from 'sutra-storage'
import { expect, test } from 'vitest'
import { prometheusText } from '#sutra/telemetry/metrics.js'
import { openTemporaryStore } from '../support/open-store.ts'

interface Place {
  metric: string
  /** Of the parts of the path that are `*`. */
  labels?: string[]
  scale?: number
}

const ms = 1e-3

/** Where each number and each truth of `stats()` is told. One that is new must be put here. */
const PLACES: Record<string, Place> = {
  position: { metric: 'position' },
  durableHead: { metric: 'durable_position' },
  poisoned: { metric: 'poisoned' },
  views: { metric: 'views_open' },
  'commits.commits': { metric: 'commits_total' },
  'commits.events': { metric: 'events_total' },
  'commits.frames': { metric: 'frames_total' },
  'commits.waiting': { metric: 'commits_waiting' },
  'pipeline.queueDepth': { metric: 'pipeline_queue_events' },
  'pipeline.queueUtilization': { metric: 'pipeline_queue_utilization_ratio' },
  'pipeline.predictedQueueDepth': { metric: 'pipeline_predicted_queue_events' },
  'pipeline.intervalMs': { metric: 'pipeline_interval_seconds', scale: ms },
  'pipeline.batchEvents': { metric: 'pipeline_batch_events' },
  'pipeline.load': { metric: 'pipeline_load_ratio' },
  'pipeline.pressure': { metric: 'pipeline_pressure_ratio' },
  'pipeline.arrivalRatePerSec': { metric: 'pipeline_arrived_events_per_second' },
  'pipeline.healthScore': { metric: 'pipeline_health_ratio' },
  'pipeline.processingRatePerSec': { metric: 'pipeline_processed_events_per_second' },
  'pipeline.estimatedLagMs': { metric: 'pipeline_estimated_lag_seconds', scale: ms },
  'pipeline.timeToFullMs': { metric: 'pipeline_time_to_full_seconds', scale: ms },
  'pipeline.batches': { metric: 'pipeline_batches_total' },
  'pipeline.backPressureMs': { metric: 'pipeline_back_pressure_seconds_total', scale: ms },
  'pipeline.projections.*.position': { metric: 'projection_position', labels: ['projection'] },
  'pipeline.projections.*.lagEvents': { metric: 'projection_lag_events', labels: ['projection'] },
  'pipeline.projections.*.lagMs': {
    metric: 'projection_lag_seconds',
    labels: ['projection'],
    scale: ms
  },
  'vectors.dimensions': { metric: 'vectors_dimensions' },
  'vectors.indexed': { metric: 'vectors_indexed' },
  'vectors.pending': { metric: 'vectors_pending' },
  'vectors.pendingMax': { metric: 'vectors_pending_limit' },
  'vectors.scanned': { metric: 'vectors_scanned' },
  'vectors.segments': { metric: 'vectors_segments' },
  'vectors.position': { metric: 'vectors_position' },
  'vectors.savedPosition': { metric: 'vectors_saved_position' },
  'vectors.readers': { metric: 'vectors_readers' },
  'vectors.workerRestarts': { metric: 'vectors_worker_restarts_total' },
  'vectors.recall.checkedAt': { metric: 'vectors_recall_checked_timestamp_seconds', scale: ms },
  'indexes.*.built': { metric: 'index_built', labels: ['field'] },
  'indexes.*.progress': { metric: 'index_progress_ratio', labels: ['field'] },
  'caches.*.entries': { metric: 'cache_entries', labels: ['cache'] },
  'caches.*.bytes': { metric: 'cache_bytes', labels: ['cache'] },
  'caches.*.hits': { metric: 'cache_hits_total', labels: ['cache'] },
  'caches.*.misses': { metric: 'cache_misses_total', labels: ['cache'] },
  'disk.freeBytes': { metric: 'disk_free_bytes' },
  'disk.reserveBytes': { metric: 'disk_reserve_bytes' },
  'disk.low': { metric: 'disk_low' },
  'scrub.rounds': { metric: 'scrub_rounds_total' },
  'scrub.files': { metric: 'scrub_files_total' },
  'scrub.bytes': { metric: 'scrub_bytes_total' },
  'memory.rssBytes': { metric: 'memory_rss_bytes' },
  'memory.overlayEvents': { metric: 'overlay_events' },
  'memory.idTableBytes': { metric: 'id_table_bytes' },
  'memory.idTableComplete': { metric: 'id_table_complete' },
  'subscriptions.*.position': { metric: 'subscription_position', labels: ['subscription'] },
  'subscriptions.*.lagEvents': { metric: 'subscription_lag_events', labels: ['subscription'] },
  'subscriptions.*.lagMs': {
    metric: 'subscription_lag_seconds',
    labels: ['subscription'],
    scale: ms
  },
  'subscriptions.*.attempts': { metric: 'subscription_attempts', labels: ['subscription'] },
  'subscriptions.*.quarantined': { metric: 'subscription_quarantined', labels: ['subscription'] },
  'subscriptions.*.delivered': { metric: 'subscription_delivered_total', labels: ['subscription'] },
  'subscriptions.*.retries': { metric: 'subscription_retries_total', labels: ['subscription'] },
  'latency.*.maxUs': {
    metric: 'operation_duration_max_seconds',
    labels: ['operation'],
    scale: 1e-6
  }
}

/** Told in other shapes, which tests of their own look at, or not numbers to draw. */
const ELSEWHERE = [
  /^latency\.[^.]+\.(count|meanUs|p\d+Us)$/,
  /^latency\.[^.]+\.recent\./,
  /^disk\.(log|tables|vectors|projections|telemetry)Bytes$/,
  /^alerts\./,
  /^scrub\.(problems|finishedAt)/,
  // Whether vectors are declared is told by their dimensions, what a check did by its recall.
  /^vectors\.declared$/,
  /^vectors\.recall\./
]

interface Leaf {
  path: string
  value: number
}

function leavesOf(value: unknown, path = ''): Leaf[] {
  if (typeof value === 'number' || typeof value === 'boolean') return [{ path, value: +value }]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, part]) =>
    leavesOf(part, path === '' ? name : `${path}.${name}`)
  )
}

/** The place of a path, and the labels that its `*` stand for. */
function placeOf(path: string): (Place & { found: string[] }) | undefined {
  for (const [pattern, place] of Object.entries(PLACES)) {
    const source = pattern.replaceAll('.', '\\.').replaceAll('*', '(.+)')
    const found = new RegExp(`^${source}$`).exec(path)
    if (found !== null) return { ...place, found: found.slice(1) }
  }
  return undefined
}

function numberIn(
  parsed: readonly ParsedMetric[],
  { metric, labels = [], found }: Place & { found: string[] }
): number {
  const samples = parsed.find(({ name }) => name === `sutra_${metric}`)?.metrics ?? []
  const sample = samples.find((one) => labels.every((label, i) => one.labels?.[label] === found[i]))
  return Number(sample?.value?.replace('Inf', 'Infinity'))
}

test('A parser from outside reads every number of stats(), of a store that uses everything', async () => {
  await using temporary = await openTemporaryStore({
    vectors: { dimensions: 2 },
    indexes: { 'odd "name"\\': 'string', size: 'number' },
    alerts: { rules: [{ name: 'always', metric: 'pipeline.healthScore', below: 2 }], onAlert() {} }
  })
  const { store } = temporary
  for (let i = 0; i < 20; i++) {
    const metadata = { size: i, 'odd "name"\\': 'x' }
    await store.learn({ id: { key: `${i}` }, content: `${i}`, embedding: [i, 1], metadata })
  }
  await store.associate({ source: { key: '0' }, target: { key: '1' }, type: 'next' })
  await store.caughtUp()
  await store.checkVectors({ sample: 5, k: 2 })
  await store.findPath({ key: '0' }, { key: '1' })
  await store.neighbors({ key: '0' })
  await new Promise<void>((resolve, reject) => {
    store.subscribe('mail', { from: 1 }, async () => resolve()).catch(reject)
  })
  await using view = await store.view()
  expect(view.position).toBe(store.head)

  const stats = store.stats()
  const parsed = parse(prometheusText(stats))
  const untold: string[] = []
  for (const { path, value } of leavesOf(stats)) {
    if (ELSEWHERE.some((pattern) => pattern.test(path))) continue
    const place = placeOf(path)
    if (place === undefined) {
      untold.push(path)
      continue
    }
    const { metric, scale = 1 } = place
    const told = numberIn(parsed, place)
    if (Number.isFinite(value)) expect(told, `${path} as ${metric}`).toBeCloseTo(value * scale, 9)
    else expect(told, path).toBe(value)
  }
  expect(untold, 'values of stats() that metrics() does not tell').toEqual([])
  expect(numberIn(parsed, { metric: 'disk_bytes', labels: ['part'], found: ['log'] })).toBe(
    stats.disk.logBytes
  )
  const summary = parsed.find(({ name }) => name === 'sutra_operation_duration_seconds')
  expect(summary?.type).toBe('SUMMARY')
  // The parser makes one of summaries that differ in a label, so it is given the bare samples.
  const bare = prometheusText(stats).replaceAll(/^#.*\n/gm, '')
  expectLatencies(parse(bare), stats)
  // The same comes from the store itself.
  expect(parse(store.metrics()).map(({ name }) => name)).toEqual(parsed.map(({ name }) => name))
})

function expectLatencies(parsed: readonly ParsedMetric[], { latency, vectors }: Stats): void {
  const duration = 'operation_duration_seconds'
  const commits = { labels: ['operation'], found: ['commit'] }
  const { count, meanUs, p99Us } = latency.commit
  expect(numberIn(parsed, { metric: `${duration}_count`, ...commits })).toBe(count)
  const sum = numberIn(parsed, { metric: `${duration}_sum`, ...commits })
  expect(sum).toBeCloseTo((meanUs * count) / 1e6, 9)
  const labels = ['operation', 'quantile']
  const p99 = numberIn(parsed, { metric: duration, labels, found: ['commit', '0.99'] })
  expect(p99).toBeCloseTo(p99Us / 1e6, 9)
  const recent = {
    metric: 'operation_recent_duration_seconds',
    labels: ['operation', 'percentile']
  }
  expect(numberIn(parsed, { ...recent, found: ['commit', '99'] })).toBeCloseTo(
    latency.commit.recent.p99Us / 1e6,
    9
  )
  const [recall] = vectors.recall?.recalls ?? []
  const place = { metric: 'vectors_recall_ratio', labels: ['ef'], found: [String(recall?.ef)] }
  expect(numberIn(parsed, place)).toBe(recall?.recall)
}
