import { AlertEvaluator } from '../telemetry/alert-evaluator.ts'
import { type AlertInput, readMetric } from '../telemetry/alert-metrics.ts'
import type { ResolvedRule } from '../telemetry/alert-rules.ts'
import type { Alert, AlertEvent, AlertOptions } from '../telemetry/alert-types.ts'
import { throwLater, withVersion } from '../telemetry/hub.ts'
import type { TelemetryEvent } from '../telemetry/types.ts'
import type { Engine } from './engine.ts'

/** How the thread fared between two looks. */
export type LoopReading = ReturnType<AlertInput['eventLoop']>

/** Compares the store with the rules whenever it is asked to, and tells what changed. */
export class Alerts {
  readonly #engine: Engine
  readonly #evaluator: AlertEvaluator
  readonly #onAlert: AlertOptions['onAlert']
  /** The events of those that are raised, for whoever subscribes later. */
  readonly #told = new Map<string, AlertEvent>()
  #loop: LoopReading

  constructor(engine: Engine, rules: readonly ResolvedRule[], onAlert: AlertOptions['onAlert']) {
    this.#engine = engine
    this.#evaluator = new AlertEvaluator(rules)
    this.#onAlert = onAlert
  }

  /** Whether somebody wants to be called. */
  get isAwaited(): boolean {
    return this.#onAlert !== undefined
  }

  get raised(): Alert[] {
    return this.#evaluator.raised
  }

  get told(): TelemetryEvent[] {
    return [...this.#told.values()]
  }

  /** @param loop Absent when this was not asked for by the clock. */
  check(loop?: LoopReading): void {
    this.#loop = loop ?? this.#loop
    const input = inputOf(this.#engine, this.#loop)
    const clock = { monotonicMs: performance.now(), wallMs: Date.now() }
    const changes = this.#evaluator.evaluate(clock, ({ metric, minCount }) =>
      readMetric(metric, minCount, input)
    )
    for (const { raised, alert, ms } of changes) {
      const time = clock.wallMs
      this.#tell(
        raised
          ? withVersion({ type: 'alert-raised', time, ...alert })
          : withVersion({ type: 'alert-cleared', time, ...alert, ms })
      )
    }
  }

  #tell(event: TelemetryEvent): void {
    if (event.type !== 'alert-raised' && event.type !== 'alert-cleared') return
    const key = `${event.name}\0${event.of}`
    if (event.type === 'alert-raised') this.#told.set(key, event)
    else this.#told.delete(key)
    const { hub } = this.#engine.parts
    if (hub.active) hub.emit(event)
    try {
      this.#onAlert?.(event)
    } catch (error) {
      throwLater(error)
    }
  }
}

/** The pipeline is asked once for all rules. */
function inputOf(
  { parts, pipeline, subscriptions, writer, diskGuard, scrub }: Engine,
  loop: LoopReading
): AlertInput {
  const { log, latency, overlay, ids, vectors } = parts
  let stats: ReturnType<typeof pipeline.stats> | undefined
  return {
    latency: (operation) => latency.recent(operation),
    pipeline: () => {
      stats ??= pipeline.stats()
      return stats
    },
    subscriptions: () => subscriptions.stats(),
    poisoned: () => log.poison !== undefined,
    waiting: () => writer.waiting,
    disk: () => diskGuard.reading,
    memory: () => ({
      rssBytes: process.memoryUsage.rss(),
      overlayEvents: overlay.events,
      idTableBytes: ids.bytes
    }),
    vectors: () => vectors?.stats() ?? { pending: 0, pendingMax: 0, workerRestarts: 0 },
    scrubProblems: () => scrub.stats.problems.length,
    eventLoop: () => loop
  }
}
