/**
 * Spans of OpenTelemetry. What a caller asks for is a child of the caller's span; what the store does by
 * itself (frames, batches, indexes) is a span of its own, because many callers share it.
 */
import type { Attributes, Context, Histogram, Link, Span, Tracer } from '@opentelemetry/api'
import { isStoreError } from '../errors.ts'
import type { ConsumedEvents, OperationCall, OperationTracer } from './operation-watch.ts'
import { consumedAttributes, eventAttributes, resultAttributes } from './span-attributes.ts'
import type { TelemetryEvent } from './types.ts'

export type OpenTelemetryApi = typeof import('@opentelemetry/api')

export interface SpansOptions {
  readonly api: OpenTelemetryApi
  readonly tracer: Tracer
  /** `db.client.operation.duration`, in seconds. */
  readonly duration: Histogram
  /** What every span and measurement says: which store it is about. */
  readonly common: Attributes
  /** Name of the store, as spans end in it. */
  readonly namespace: string
}

/** The span of the frame that was written last, for the commits in it, which are told next. */
interface FrameLink {
  readonly first: number
  readonly last: number
  readonly link: Link
}

const MS_PER_SECOND = 1000
const US_PER_MS = 1000

export class Spans implements OperationTracer {
  readonly #options: SpansOptions
  /** Spans that are open: what a query tells of itself belongs to the one that is active. */
  readonly #open = new WeakSet<Span>()
  readonly #attributes = new Map<string, Attributes>()
  #frame: FrameLink | undefined
  #hasRecorded = false
  #onRecording: () => void = () => {}

  constructor(options: SpansOptions) {
    this.#options = options
  }

  async run<T>(call: OperationCall, work: () => Promise<T>): Promise<T> {
    const { api } = this.#options
    const started = performance.now()
    const { span, context } = this.#start(call)
    const within = call.isDetached === true ? api.context.active() : context
    try {
      // Also what the work calls, such as `embed`, finds this span to be its parent.
      const result = await api.context.with(within, work)
      if (span.isRecording()) this.#describe(span, call, result)
      this.#measure(call, started, context)
      return result
    } catch (error) {
      this.#measure(call, started, context, this.#fail(span, error))
      throw error
    } finally {
      span.end()
    }
  }

  /** The time of the consumer is in it too, so it is a span and not a measured duration. */
  async *iterate<T>(call: OperationCall, items: AsyncIterable<T>): AsyncGenerator<T, void> {
    const { api } = this.#options
    const { span, context } = this.#start(call)
    const iterator = items[Symbol.asyncIterator]()
    let rows = 0
    try {
      while (true) {
        const { done, value } = await api.context.with(context, async () => iterator.next())
        if (done === true) return
        rows += 1
        yield value
      }
    } catch (error) {
      this.#fail(span, error)
      throw error
    } finally {
      span.setAttribute('db.response.returned_rows', rows)
      span.end()
      // Whoever stops early lets go of what the reading holds.
      await iterator.return?.()
    }
  }

  /**
   * A trace of its own: the subscription goes on long after the request in which it began. What the
   * handler asks of the store is below it.
   */
  async consume(events: ConsumedEvents, work: () => Promise<void>): Promise<void> {
    const { api, tracer, namespace } = this.#options
    const attributes = consumedAttributes(events, namespace)
    const options = { kind: api.SpanKind.CONSUMER, attributes, root: true }
    const span = tracer.startSpan(`process ${namespace}`, options, api.ROOT_CONTEXT)
    if (span.isRecording()) this.#noteRecording()
    try {
      await api.context.with(api.trace.setSpan(api.ROOT_CONTEXT, span), work)
    } catch (error) {
      this.#fail(span, error, false)
      throw error
    } finally {
      span.end()
    }
  }

  /** Called once a span is recorded: without an SDK, or a sampler that wants any, there is none. */
  whenRecording(onRecording: () => void): void {
    if (this.#hasRecorded) onRecording()
    else this.#onRecording = onRecording
  }

  /** What the store tells of itself, in the turn in which it happens. */
  onTelemetry(event: TelemetryEvent): void {
    if (event.type === 'query' || event.type === 'path') this.#addDetails(event)
    else if (isBackground(event)) this.#addBackground(event)
  }

  #start(call: OperationCall): { span: Span; context: Context } {
    const { api, tracer, namespace } = this.#options
    const { operation, batchSize = 1, collection } = call
    const name = `${operation} ${collection ?? namespace}`
    const known = this.#attributesOf(call)
    // By the conventions a batch has at least two parts.
    const attributes = batchSize > 1 ? { ...known, 'db.operation.batch.size': batchSize } : known
    const parent = api.context.active()
    const span = tracer.startSpan(name, { kind: api.SpanKind.CLIENT, attributes }, parent)
    if (span.isRecording()) this.#recorded(span)
    return { span, context: api.trace.setSpan(parent, span) }
  }

  #recorded(span: Span): void {
    this.#open.add(span)
    this.#noteRecording()
  }

  #noteRecording(): void {
    if (this.#hasRecorded) return
    this.#hasRecorded = true
    this.#onRecording()
  }

  #describe(span: Span, call: OperationCall, result: unknown): void {
    const attributes = resultAttributes(call, result)
    span.setAttributes(attributes)
    const first = attributes['sutra.commit.first']
    const frame = this.#frame
    // A commit hears of its frame in the turn in which the frame was told.
    const isOfFrame = typeof first === 'number' && frame !== undefined
    if (isOfFrame && first >= frame.first && first <= frame.last) span.addLink(frame.link)
  }

  #measure(call: OperationCall, started: number, context: Context, failure?: Attributes): void {
    const known = this.#attributesOf(call)
    const attributes = failure === undefined ? known : { ...known, ...failure }
    const seconds = (performance.now() - started) / MS_PER_SECOND
    this.#options.duration.record(seconds, attributes, context)
  }

  /** The same object for every call of a method: reads are many. */
  #attributesOf({ operation, collection }: OperationCall): Attributes {
    const key = collection === undefined ? operation : `${operation}\0${collection}`
    const known = this.#attributes.get(key)
    if (known !== undefined) return known
    const made = {
      ...this.#options.common,
      'db.operation.name': operation,
      ...(collection === undefined ? {} : { 'db.collection.name': collection })
    }
    this.#attributes.set(key, made)
    return made
  }

  /**
   * @param isOurs Whether it is the answer of the store, and not of the program's own code.
   * @returns What a measurement says of it as well.
   */
  #fail(span: Span, error: unknown, isOurs = true): Attributes {
    const { api } = this.#options
    const cause = error instanceof Error ? error : new Error(String(error))
    const attributes: Attributes = isStoreError(error)
      ? { 'error.type': error.code, ...(isOurs ? { 'db.response.status_code': error.code } : {}) }
      : { 'error.type': cause.name }
    span.recordException(cause)
    span.setAttributes(attributes)
    span.setStatus({ code: api.SpanStatusCode.ERROR, message: cause.message })
    return attributes
  }

  /** A read tells how it went in its own turn: the span that is active then is its own. */
  #addDetails(event: TelemetryEvent): void {
    const span = this.#options.api.trace.getActiveSpan()
    if (span === undefined || !this.#open.has(span)) return
    const kind = event.type === 'query' ? event.kind : event.type
    span.setAttributes(eventAttributes(`sutra.${kind}`, event))
  }

  #addBackground(event: BackgroundEvent): void {
    const { api, tracer, common, namespace } = this.#options
    const ms = 'us' in event ? event.us / US_PER_MS : event.ms
    const name = `${event.type} ${namespace}`
    const attributes = { ...common, ...eventAttributes('sutra', event) }
    const startTime = event.time - ms
    const kind = api.SpanKind.INTERNAL
    // Whose turn it happens to be in has nothing to do with it.
    const span = tracer.startSpan(name, { kind, attributes, startTime }, api.ROOT_CONTEXT)
    span.end(event.time)
    if (event.type !== 'group-commit') return
    const { first, last } = event
    this.#frame = { first, last, link: { context: span.spanContext() } }
  }
}

const BACKGROUND = [
  'group-commit',
  'batch-applied',
  'index-loaded',
  'index-built',
  'index-saved',
  'index-merged',
  'fields-indexed',
  'rebuilt',
  'compaction'
] as const satisfies TelemetryEvent['type'][]

type BackgroundEvent = Extract<TelemetryEvent, { type: (typeof BACKGROUND)[number] }>

function isBackground(event: TelemetryEvent): event is BackgroundEvent {
  return BACKGROUND.some((type) => type === event.type)
}
