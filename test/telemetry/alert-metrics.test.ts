/** Each metric is read from where it is, and each built-in rule is met by what it is for. */
import { describe, expect, test } from 'vitest'
import { AlertEvaluator } from '#sutra/telemetry/alert-evaluator.js'
import { ALERT_METRICS, type AlertInput, readMetric } from '#sutra/telemetry/alert-metrics.js'
import { defaultRules, resolveRules } from '#sutra/telemetry/alert-rules.js'
import type { SingleMetric } from '#sutra/telemetry/alert-types.js'
import { LatencyRecorder } from '#sutra/telemetry/latency.js'
import type { PipelineStats, SubscriptionStats } from '#sutra/telemetry/types.js'

const WARN_AT = 0.7

/** Of these, rules see only some; whatever else there is may be anything. */
function pipelineStats(changes: Partial<PipelineStats> = {}): PipelineStats {
  const seen = {
    queueDepth: 0,
    queueUtilization: 0,
    predictedQueueDepth: 0,
    intervalMs: 10,
    healthScore: 1,
    recommendation: '',
    processingRatePerSec: 0,
    estimatedLagMs: 0,
    timeToFullMs: Number.POSITIVE_INFINITY,
    batches: 0,
    backPressureMs: 0,
    projections: { tables: { state: 'running', position: 9, lagEvents: 0, lagMs: 0 } },
    ...changes
  }
  return seen as PipelineStats
}

const handled: SubscriptionStats = {
  state: 'running',
  position: 9,
  lagEvents: 0,
  lagMs: 0,
  attempts: 0,
  quarantined: 0,
  delivered: 9,
  retries: 0
}

/** A store that is well. */
function input(changes: Partial<AlertInput> = {}): AlertInput {
  const latency = new LatencyRecorder()
  return {
    latency: (operation) => latency.recent(operation),
    pipeline: () => pipelineStats(),
    subscriptions: () => ({ mail: handled }),
    poisoned: () => false,
    waiting: () => 0,
    disk: () => ({ freeBytes: 2 ** 36, reserveBytes: 2 ** 26, low: false }),
    memory: () => ({ rssBytes: 1e8, overlayEvents: 0, idTableBytes: 1e6 }),
    vectors: () => ({ pending: 0, pendingMax: 1000, workerRestarts: 0 }),
    scrubProblems: () => 0,
    eventLoop: () => ({ lateMs: 1, utilization: 0.1 }),
    ...changes
  }
}

/** Rules that are met when the store is so for a minute. */
function raisedBy(given: AlertInput): string[] {
  const evaluator = new AlertEvaluator(resolveRules({}, WARN_AT))
  for (let at = 0; at <= 60_000; at += 1000) {
    const clock = { monotonicMs: at, wallMs: at }
    evaluator.evaluate(clock, ({ metric, minCount }) => readMetric(metric, minCount, given))
  }
  return evaluator.raised.map(({ name }) => name)
}

describe('The built-in rules', () => {
  test('are silent while all is well, or nothing is known', () => {
    expect(raisedBy(input())).toEqual([])
    const unknown = input({
      disk: () => ({ freeBytes: 0, reserveBytes: 0, low: false }),
      eventLoop: () => undefined,
      vectors: () => ({ pending: 0, pendingMax: 0, workerRestarts: 0 })
    })
    expect(raisedBy(unknown)).toEqual([])
  })

  const slowSyncs = new LatencyRecorder()
  for (let i = 0; i < 50; i++) slowSyncs.record('fsync', i === 7 ? 150_000 : 3000)
  const behind = { state: 'running', position: 1, lagEvents: 5, lagMs: 11_000 } as const
  const late = { ...handled, lagEvents: 5, lagMs: 61_000 }
  const CASES: Record<string, Partial<AlertInput>> = {
    poisoned: { poisoned: () => true },
    'disk-low': { disk: () => ({ freeBytes: 2 ** 36, reserveBytes: 2 ** 36, low: true }) },
    'disk-filling': { disk: () => ({ freeBytes: 2 ** 28, reserveBytes: 2 ** 26, low: false }) },
    'projection-stopped': {
      pipeline: () =>
        pipelineStats({ projections: { tables: { ...behind, state: 'stopped', lagMs: 0 } } })
    },
    'projection-lag': { pipeline: () => pipelineStats({ projections: { mine: behind } }) },
    'subscription-stopped': {
      subscriptions: () => ({ mail: { ...late, state: 'stopped', error: 'the handler failed' } })
    },
    'subscription-lag': { subscriptions: () => ({ mail: { ...late, state: 'retrying' } }) },
    'files-damaged': { scrubProblems: () => 1 },
    'health-low': { pipeline: () => pipelineStats({ healthScore: 0.49 }) },
    'queue-filling': { pipeline: () => pipelineStats({ queueUtilization: 0.71 }) },
    'vectors-waiting': { vectors: () => ({ pending: 950, pendingMax: 1000, workerRestarts: 0 }) },
    'fsync-slow': { latency: (operation) => slowSyncs.recent(operation) },
    'event-loop-blocked': { eventLoop: () => ({ lateMs: 1500, utilization: 1 }) }
  }

  test('are silent about what is behind because it was asked to', () => {
    const anew = { ...behind, state: 'rebuilding' } as const
    const pipeline = (): PipelineStats => pipelineStats({ projections: { anew } })
    expect(raisedBy(input({ pipeline }))).toEqual([])
    const held = { ...late, state: 'paused' } as const
    const over = { ...late, state: 'stopped' } as const
    expect(raisedBy(input({ subscriptions: () => ({ held, over }) }))).toEqual([])
  })

  test('are all among these cases', () => {
    const names = defaultRules(WARN_AT).map(({ name }) => name)
    expect(Object.keys(CASES).sort()).toEqual(names.sort())
  })

  test.each(Object.entries(CASES))('%s is raised by what it is for, alone', (name, changes) => {
    expect(raisedBy(input(changes))).toEqual([name])
  })
})

test('each metric is a number, or one for each projection or subscription, of a store that has everything', () => {
  const given = input({ disk: () => ({ freeBytes: 5, reserveBytes: 1, low: true }) })
  for (const metric of Object.keys(ALERT_METRICS) as SingleMetric[]) {
    const readings = readMetric(metric, 0, given)
    const [part = ''] = metric.split('.')
    const of = { projection: 'tables', subscription: 'mail' }[part] ?? ''
    expect(readings, metric).toEqual([{ of, value: expect.any(Number) }])
  }
})

test('a latency is that of the window, once there are enough samples', () => {
  const latency = new LatencyRecorder()
  for (let i = 1; i <= 10; i++) latency.record('commit', i * 1000)
  const given = input({ latency: (operation) => latency.recent(operation) })
  const value = (metric: Parameters<typeof readMetric>[0], minCount: number): number | undefined =>
    readMetric(metric, minCount, given)[0]?.value
  expect(value('latency.commit.maxUs', 10)).toBe(10_000)
  expect(value('latency.commit.maxUs', 11)).toBeUndefined()
  expect(value('latency.commit.count', 11)).toBe(10)
  expect(value('latency.get.count', 11)).toBe(0)
  latency.stop()
})
