/** What a screen is drawn from: statistics of a store under load, made up but consistent. */
import type { LatencyStats, Operation, ProcessStats, Stats } from 'sutra-storage'
import type { Look } from '#sutra/cli/watch/history.js'

const OPERATIONS: readonly Operation[] = [
  ...(['commit', 'get', 'getMany', 'neighbors', 'path', 'search', 'projection'] as const),
  ...(['concepts', 'view', 'fsync', 'lag', 'import', 'embed'] as const)
]
const START = Date.UTC(2026, 0, 2, 3, 4, 5)

/** The look of one second after another, while the load rises and falls. */
export function lookAt(second: number, change: (stats: Stats) => void = () => {}): Look {
  const events = Math.round(1000 * second + 4000 * (1 + Math.sin(second / 5)))
  const stats: Stats = {
    position: events,
    durableHead: events,
    poisoned: false,
    pipeline: {
      queueDepth: 300,
      queueUtilization: 0.003,
      predictedQueueDepth: 350.25,
      intervalMs: 10,
      batchEvents: 1000,
      load: 0.5,
      pressure: 0,
      arrivalRatePerSec: 1000,
      healthScore: 1,
      recommendation: 'Nothing to do: the load is moderate',
      processingRatePerSec: 1200,
      estimatedLagMs: 12.5,
      timeToFullMs: Number.POSITIVE_INFINITY,
      batches: 10 * second,
      backPressureMs: 0,
      projections: {
        tables: { state: 'running', position: events - 300, lagEvents: 300, lagMs: 12.5 },
        vectors: { state: 'running', position: events - 900, lagEvents: 900, lagMs: 80 }
      }
    },
    latency: latencies(second),
    vectors: {
      ...{ declared: true, dimensions: 100, indexed: 12_345, pending: 678, pendingMax: 100_000 },
      ...{ scanned: 678, segments: 2, position: events, savedPosition: events },
      ...{ readers: 2, workerRestarts: 0 }
    },
    indexes: {},
    caches: {
      concepts: { entries: 10, bytes: 12_345_678, hits: 90 * second, misses: 10 * second },
      associations: { entries: 0, bytes: 0, hits: 0, misses: 0 }
    },
    disk: {
      ...{ logBytes: 123_456_789, tablesBytes: 45_678_901, vectorsBytes: 5_000_000 },
      ...{ projectionsBytes: 1_000_000, telemetryBytes: 0 },
      ...{ freeBytes: 64 * 2 ** 30, reserveBytes: 2 ** 26, low: false }
    },
    scrub: { rounds: 0, files: 0, bytes: 0, finishedAt: 0, problems: [] },
    memory: {
      ...{ rssBytes: 210_000_000, overlayEvents: 300 },
      ...{ idTableBytes: 1_000_000, idTableComplete: true }
    },
    commits: { commits: 100 * second, events, frames: 50 * second, waiting: 0 },
    views: 1,
    subscriptions: {},
    alerts: []
  }
  change(stats)
  return { time: START + 1000 * second, stats, process: processAt(second) }
}

function processAt(second: number): ProcessStats {
  return {
    pid: 4242,
    uptimeMs: 60_000 + 1000 * second,
    cpuMs: 400 * second,
    rssBytes: 210_000_000,
    heapUsedBytes: 30_000_000,
    heapTotalBytes: 50_000_000,
    externalBytes: 4_000_000,
    eventLoop: { utilization: 0.4, p50Ms: 0.5, p99Ms: 3.25, maxMs: 12 }
  }
}

function latencies(second: number): Record<Operation, LatencyStats> {
  const used = new Set<Operation>(['commit', 'get', 'search', 'projection'])
  // Each name of an operation is given its entry.
  return Object.fromEntries(
    OPERATIONS.map((name) => [name, latency(used.has(name) ? 100 * second : 0)])
  ) as Record<Operation, LatencyStats>
}

function latency(count: number): LatencyStats {
  const times =
    count === 0
      ? { meanUs: 0, p50Us: 0, p95Us: 0, p99Us: 0, p999Us: 0, maxUs: 0 }
      : { meanUs: 300, p50Us: 250, p95Us: 1200, p99Us: 12_345, p999Us: 99_960, maxUs: 1_234_567 }
  return { count, ...times, recent: { count, ...times, windowMs: 60_000 } }
}
