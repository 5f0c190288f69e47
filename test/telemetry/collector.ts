/** OpenTelemetry's own SDK with exporters that keep everything in memory. */
import {
  context,
  DiagLogLevel,
  diag,
  metrics,
  propagation,
  type Span,
  trace
} from '@opentelemetry/api'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  type MetricData,
  PeriodicExportingMetricReader
} from '@opentelemetry/sdk-metrics'
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  type ReadableSpan,
  SimpleSpanProcessor
} from '@opentelemetry/sdk-trace-node'

const NEVER_MS = 60 * 60 * 1000

export class Collector implements AsyncDisposable {
  readonly tracerProvider: NodeTracerProvider
  readonly meterProvider: MeterProvider
  /** What the SDK complained of. */
  readonly errors: string[] = []
  readonly #spans = new InMemorySpanExporter()
  readonly #metrics = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)

  /** @param isGlobal Whether programs that name no provider get these. */
  constructor(isGlobal = false) {
    const note = (message: string): void => void this.errors.push(message)
    const logger = { error: note, warn: note, info: note, debug: note, verbose: note }
    diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true })
    const spanProcessors = [new SimpleSpanProcessor(this.#spans)]
    this.tracerProvider = new NodeTracerProvider({ spanProcessors })
    const exporter = this.#metrics
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: NEVER_MS })
    this.meterProvider = new MeterProvider({ readers: [reader] })
    // The context manager is global in any case: it tells which span is the caller's.
    this.tracerProvider.register()
    if (isGlobal) metrics.setGlobalMeterProvider(this.meterProvider)
    else trace.disable()
  }

  get spans(): ReadableSpan[] {
    return this.#spans.getFinishedSpans()
  }

  /** The only span of this operation. */
  span(operation: string): ReadableSpan {
    const found = this.spans.filter(
      ({ attributes }) => attributes['db.operation.name'] === operation
    )
    const [span] = found
    if (span === undefined || found.length > 1) {
      const names = this.spans.map(({ name }) => name).join(', ')
      throw new Error(`There are ${found.length} spans of '${operation}' among: ${names}`)
    }
    return span
  }

  /** Runs a part of the program in a span of its own and returns that. */
  async within(name: string, work: () => Promise<unknown>): Promise<Span> {
    return this.tracerProvider.getTracer('program').startActiveSpan(name, async (span) => {
      try {
        await work()
        return span
      } finally {
        span.end()
      }
    })
  }

  /** What an export tells now, by the names of the metrics. */
  async collect(): Promise<Map<string, MetricData>> {
    this.#metrics.reset()
    await this.meterProvider.forceFlush()
    const scopes = this.#metrics.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics)
    return new Map(
      scopes.flatMap((scope) => scope.metrics.map((one) => [one.descriptor.name, one] as const))
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.tracerProvider.shutdown()
    await this.meterProvider.shutdown()
    trace.disable()
    metrics.disable()
    context.disable()
    propagation.disable()
    diag.disable()
  }
}
