import { expect, test } from 'vitest'
import { LatencyRecorder } from '#sutra/telemetry/latency.js'
import { prometheusText } from '#sutra/telemetry/metrics.js'
import type { Stats } from '#sutra/telemetry/types.js'

function stats(): Stats {
  const latency = new LatencyRecorder()
  latency.record('get', 250)
  latency.record('get', 750)
  return {
    position: 1200,
    durableHead: 1190,
    poisoned: false,
    pipeline: {
      queueDepth: 10,
      queueUtilization: 0.0001,
      predictedQueueDepth: 12,
      intervalMs: 10,
      batchEvents: 1000,
      load: 0.2,
      pressure: 0,
      arrivalRatePerSec: 4000,
      healthScore: 1,
      recommendation: 'Nothing to do: the load is low',
      processingRatePerSec: 5000,
      estimatedLagMs: 11.5,
      timeToFullMs: Number.POSITIVE_INFINITY,
      batches: 7,
      backPressureMs: 1500,
      projections: {
        tables: { state: 'running', position: 1190, lagEvents: 10, lagMs: 4 },
        'a "b"\\\nc': { state: 'stopped', position: 0, lagEvents: 1200, lagMs: 9000, error: 'x' }
      }
    },
    latency: latency.summary(),
    vectors: {
      declared: true,
      dimensions: 384,
      indexed: 5,
      pending: 2,
      pendingMax: 1000,
      scanned: 3,
      segments: 1,
      position: 9,
      savedPosition: 8,
      readers: 2,
      workerRestarts: 0
    },
    indexes: { lang: { type: 'string', built: true, progress: 1 } },
    caches: { blocks: { entries: 3, bytes: 4096, hits: 100, misses: 4 } },
    scrub: { rounds: 0, files: 0, bytes: 0, finishedAt: 0, problems: [] },
    disk: {
      freeBytes: 1,
      reserveBytes: 1,
      low: false,
      logBytes: 1,
      tablesBytes: 2,
      vectorsBytes: 3,
      projectionsBytes: 4,
      telemetryBytes: 5
    },
    memory: { rssBytes: 1e8, overlayEvents: 10, idTableBytes: 2800, idTableComplete: true },
    commits: { commits: 100, events: 1200, frames: 90, waiting: 0 },
    views: 2,
    subscriptions: {
      mail: {
        state: 'paused',
        position: 1000,
        lagEvents: 200,
        lagMs: 3000,
        attempts: 0,
        quarantined: 1,
        delivered: 999,
        retries: 3
      }
    },
    alerts: [
      {
        name: 'slow-disk',
        severity: 'warning',
        metric: 'latency.fsync.p99Us',
        of: '',
        value: 200_000,
        threshold: 100_000,
        since: 1,
        message: 'the 99th percentile of fsync is over 100 ms'
      }
    ]
  }
}

const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\[\\\\"n])*"'
const VALUE = '(?:NaN|[+-]Inf|-?\\d+(?:\\.\\d+)?(?:e[+-]?\\d+)?)'
const SAMPLE = new RegExp(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\\{${LABEL}(?:,${LABEL})*\\})? ${VALUE}$`)

test('The metrics are in the Prometheus text format, each named once with its type', () => {
  const text = prometheusText(stats())
  expect(text.endsWith('\n')).toBe(true)
  const types = new Map<string, string>()
  const series = new Set<string>()
  let current = ''
  for (const line of text.trimEnd().split('\n')) {
    const help = /^# HELP (\S+) \S/.exec(line)
    const type = /^# TYPE (\S+) (gauge|counter|summary)$/.exec(line)
    if (help !== null) {
      current = help[1] ?? ''
      expect(types.has(current)).toBe(false)
    } else if (type !== null) {
      expect(type[1]).toBe(current)
      types.set(current, type[2] ?? '')
    } else {
      const sample = SAMPLE.exec(line)
      expect(sample, line).not.toBeNull()
      const base = sample?.[1]?.replace(types.get(current) === 'summary' ? /_(sum|count)$/ : '', '')
      expect(base).toBe(current)
      const key = line.slice(0, line.lastIndexOf(' '))
      expect(series.has(key), key).toBe(false)
      series.add(key)
    }
  }
  for (const [name, type] of types) {
    expect(name).toMatch(/^sutra_/)
    expect(name.endsWith('_total')).toBe(type === 'counter')
  }
})

test('Times are in seconds and sizes in bytes', () => {
  const lines = prometheusText(stats()).split('\n')
  expect(lines).toContain('sutra_pipeline_interval_seconds 0.01')
  expect(lines).toContain('sutra_pipeline_back_pressure_seconds_total 1.5')
  expect(lines).toContain('sutra_pipeline_time_to_full_seconds +Inf')
  expect(lines).toContain('sutra_projection_lag_seconds{projection="tables"} 0.004')
  expect(lines).toContain('sutra_disk_bytes{part="tables"} 2')
  expect(lines).toContain('sutra_disk_bytes{part="projections"} 4')
  expect(lines).toContain('sutra_disk_bytes{part="telemetry"} 5')
  expect(lines).toContain('sutra_subscription_lag_seconds{subscription="mail"} 3')
  expect(lines).toContain('sutra_operation_duration_max_seconds{operation="get"} 0.00075')
})

test('An operation has quantiles, a sum and a count; one never done has no quantiles', () => {
  const text = prometheusText(stats())
  expect(text).toMatch(
    /sutra_operation_duration_seconds\{operation="get",quantile="0.99"\} 0.0007\d*\n/
  )
  expect(text).toContain('sutra_operation_duration_seconds_sum{operation="get"} 0.001\n')
  expect(text).toContain('sutra_operation_duration_seconds_count{operation="get"} 2\n')
  expect(text).toContain('{operation="path",quantile="0.99"} NaN\n')
  expect(text).toContain('sutra_operation_duration_seconds_count{operation="path"} 0\n')
})

test('A projection is in exactly one state, and its name is escaped', () => {
  const text = prometheusText(stats())
  expect(text).toContain('sutra_projection_state{projection="tables",state="running"} 1\n')
  expect(text).toContain('sutra_projection_state{projection="tables",state="stopped"} 0\n')
  expect(text).toContain('{projection="a \\"b\\"\\\\\\nc",state="stopped"} 1\n')
})

test('A subscription tells how far it is, and its state', () => {
  const lines = prometheusText(stats()).split('\n')
  expect(lines).toContain('sutra_subscription_position{subscription="mail"} 1000')
  expect(lines).toContain('sutra_subscription_lag_seconds{subscription="mail"} 3')
  expect(lines).toContain('sutra_subscription_quarantined{subscription="mail"} 1')
  expect(lines).toContain('sutra_subscription_retries_total{subscription="mail"} 3')
  expect(lines).toContain('sutra_subscription_state{subscription="mail",state="paused"} 1')
  expect(lines).toContain('sutra_subscription_state{subscription="mail",state="running"} 0')
})

test('Alerts that are raised are counted and named', () => {
  const lines = prometheusText(stats()).split('\n')
  expect(lines).toContain('sutra_alerts 1')
  expect(lines).toContain('sutra_alert_raised{alert="slow-disk",severity="warning",of=""} 1')
  const calm = prometheusText({ ...stats(), alerts: [] }).split('\n')
  expect(calm).toContain('sutra_alerts 0')
  expect(calm.some((line) => line.startsWith('sutra_alert_raised'))).toBe(false)
})

test('What never happened has no time, and a disk that nobody asked about no size', () => {
  const { disk, scrub } = stats()
  const before = prometheusText({ ...stats(), disk: { ...disk, freeBytes: 0, reserveBytes: 0 } })
  expect(before).not.toMatch(/sutra_disk_(free|reserve)_bytes/)
  expect(before).not.toContain('sutra_scrub_finished_timestamp_seconds')
  const full = { ...disk, freeBytes: 0, low: true }
  const after = prometheusText({ ...stats(), disk: full, scrub: { ...scrub, finishedAt: 5000 } })
  expect(after).toContain('sutra_disk_free_bytes 0\n')
  expect(after).toContain('sutra_scrub_finished_timestamp_seconds 5\n')
})

test('A store without caches names no metric of theirs', () => {
  expect(prometheusText({ ...stats(), caches: {} })).not.toContain('sutra_cache_')
})
