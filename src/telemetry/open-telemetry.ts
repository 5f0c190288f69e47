/** The only loader of `@opentelemetry/api`, which a program brings along if it wants to be observed. */
import type { Attributes, Meter, Observable } from '@opentelemetry/api'
import { loadOptional } from '../optional-package.ts'
import type { Metric, MetricLabels } from './metric.ts'
import { METRICS } from './metric-list.ts'
import type { OpenTelemetryOptions } from './open-telemetry-options.ts'
import { type OpenTelemetryApi, Spans } from './spans.ts'
import type { Stats } from './types.ts'

/** Name of the library, by which a program tells its spans and metrics from others. */
const SCOPE = 'sutra-storage'

/** By the conventions, so that durations of all databases can be compared. */
const DURATION_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]

/** OpenTelemetry, as one store uses it. */
export class OpenTelemetry {
  readonly spans: Spans
  readonly #meter: Meter
  readonly #common: Attributes
  #stopObserving: () => void = () => {}

  constructor(api: OpenTelemetryApi, options: OpenTelemetryOptions, namespace: string) {
    const tracers = options.tracerProvider ?? api.trace
    const meters = options.meterProvider ?? api.metrics
    // The options check that they are there; what they return is told by the package's own types.
    const tracer = tracers.getTracer(SCOPE) as ReturnType<typeof api.trace.getTracer>
    const meter = meters.getMeter(SCOPE) as Meter
    const common = { 'db.system.name': SCOPE, 'db.namespace': namespace }
    const duration = meter.createHistogram('db.client.operation.duration', {
      description: 'Duration of database client operations.',
      unit: 's',
      advice: { explicitBucketBoundaries: DURATION_BUCKETS }
    })
    this.spans = new Spans({ api, tracer, duration, common, namespace })
    this.#meter = meter
    this.#common = common
  }

  /**
   * Whenever metrics are collected, the statistics are read once and told.
   *
   * @param storeId Tells stores of the same name apart.
   */
  observe(storeId: string, stats: () => Stats): void {
    const common = { ...this.#common, 'sutra.store.id': storeId }
    const instruments = METRICS.map((metric) => ({ metric, instrument: this.#make(metric) }))
    const observed = instruments.map(({ instrument }) => instrument)
    const report: Parameters<Meter['addBatchObservableCallback']>[0] = (result) => {
      const now = stats()
      for (const { metric, instrument } of instruments) {
        for (const { value, labels } of metric.read(now)) {
          // A queue that does not fill has no time to full: other formats have no Infinity.
          if (!Number.isFinite(value)) continue
          result.observe(instrument, value, { ...common, ...attributesOf(labels) })
        }
      }
    }
    this.#meter.addBatchObservableCallback(report, observed)
    this.#stopObserving = () => this.#meter.removeBatchObservableCallback(report, observed)
  }

  /** A store that closes has no statistics any more. */
  stopObserving(): void {
    this.#stopObserving()
    this.#stopObserving = () => {}
  }

  #make({ name, kind, unit, help }: Metric): Observable {
    const full = `sutra.${name}`
    const options = unit === '' ? { description: help } : { description: help, unit }
    if (kind === 'counter') return this.#meter.createObservableCounter(full, options)
    if (kind === 'sum') return this.#meter.createObservableUpDownCounter(full, options)
    return this.#meter.createObservableGauge(full, options)
  }
}

/** @throws StoreError `UNSUPPORTED` where `@opentelemetry/api` is not installed. */
export async function loadOpenTelemetry(
  options: OpenTelemetryOptions,
  namespace: string
): Promise<OpenTelemetry> {
  const load = async () => import('@opentelemetry/api')
  const api = await loadOptional('@opentelemetry/api', "option 'openTelemetry'", load)
  return new OpenTelemetry(api, options, namespace)
}

function attributesOf(labels: MetricLabels = {}): Attributes {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [`sutra.${name}`, value]))
}
