import { basename } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { DataPointType, type HistogramMetricData } from '@opentelemetry/sdk-metrics'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-node'
import { type Command, open, type Store, type StoreOptions } from 'sutra-storage'
import { expect, test } from 'vitest'
import { prometheusText } from '#sutra/telemetry/metrics.js'
import { tally } from '../projections/tally.ts'
import { run } from '../support/child.ts'
import { openTemporaryStore } from '../support/open-store.ts'
import { temporaryPath } from '../support/temp.ts'
import { Collector } from './collector.ts'

const vectors = { dimensions: 2 }
const A = { key: 'a' }
const B = { key: 'b' }

const pair: Command[] = [
  { do: 'learn', id: A, content: 'a', embedding: [1, 0] },
  { do: 'learn', id: B, content: 'b', embedding: [0, 1] },
  { do: 'associate', source: A, target: B, type: 'next' }
]

function observed(collector: Collector, options: StoreOptions = {}): StoreOptions {
  const { tracerProvider, meterProvider } = collector
  return { vectors, openTelemetry: { tracerProvider, meterProvider }, ...options }
}

function expectChild(span: ReadableSpan, parent: Span): void {
  expect(span.parentSpanContext?.spanId, span.name).toBe(parent.spanContext().spanId)
  expect(span.spanContext().traceId).toBe(parent.spanContext().traceId)
}

async function drain(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

test('What a caller asks for is a child of the span that the caller is in', async () => {
  await using collector = new Collector()
  await using temporary = await openTemporaryStore(observed(collector))
  const { store } = temporary
  const request = await collector.within('request', async () => {
    await store.commit(pair)
    await store.learn({ content: 'c' })
    await store.get(A)
    await store.getMany([A, B])
    await store.search([1, 0], { k: 1 })
    await store.findPath(A, B)
    await store.findPaths(A, B, { limit: 2 })
    await store.neighbors(A)
    await drain(store.associations(A))
    await drain(store.concepts())
    await using view = await store.view()
    await view.counts()
  })
  const operations = 'commit learn get getMany search findPath findPaths neighbors'.split(' ')
  for (const operation of [...operations, 'associations', 'concepts', 'counts']) {
    const span = collector.span(operation)
    expectChild(span, request)
    expect(span.name).toBe(`${operation} ${basename(temporary.directory)}`)
    expect(span.kind).toBe(SpanKind.CLIENT)
    expect(span.status.code).toBe(SpanStatusCode.UNSET)
    expect(span.attributes).toMatchObject({
      'db.system.name': 'sutra-storage',
      'db.namespace': basename(temporary.directory)
    })
  }
})

test('A span says what came of the call, and never what is in a concept', async () => {
  await using collector = new Collector()
  await using temporary = await openTemporaryStore(observed(collector))
  const { store } = temporary
  const { first, last } = await store.commit(pair)
  await store.getMany([A, B, { key: 'none' }])
  await store.search([1, 0], { k: 1 })
  await store.findPath(A, B, { maxDepth: 3 })
  expect(collector.span('commit').attributes).toMatchObject({
    'db.operation.batch.size': 3,
    'sutra.commit.outcome': 'appended',
    'sutra.commit.durability': 'fsync',
    'sutra.commit.first': first,
    'sutra.commit.last': last
  })
  expect(collector.span('getMany').attributes).toMatchObject({
    'db.operation.batch.size': 3,
    'db.response.returned_rows': 2
  })
  const search = collector.span('search')
  expect(search.attributes).toMatchObject({ 'db.response.returned_rows': 1, 'sutra.search.k': 1 })
  expect(search.attributes).not.toHaveProperty('db.operation.batch.size')
  expect(collector.span('findPath').attributes).toMatchObject({
    'db.response.returned_rows': 1,
    'sutra.path.length': 1,
    'sutra.path.max_depth': 3
  })
  const told = collector.spans.flatMap(({ attributes }) => Object.values(attributes))
  expect(told).not.toContain('a')
})

test('What a call calls is a child of its span: the model of the program, its own source', async () => {
  await using collector = new Collector()
  const tracer = collector.tracerProvider.getTracer('model')
  const embed = async (texts: string[]): Promise<Float32Array[]> =>
    tracer.startActiveSpan('embed', async (span) => {
      await new Promise((resolve) => setTimeout(resolve, 1))
      span.end()
      return texts.map(() => Float32Array.of(1, 0))
    })
  await using temporary = await openTemporaryStore(observed(collector, { embed }))
  const { store } = temporary
  await store.learn({ content: 'text' })
  await store.search('text')
  const read: (string | undefined)[] = []
  await store.import(
    (async function* () {
      read.push(trace.getActiveSpan()?.spanContext().spanId)
      yield { kind: 'concept' as const, key: 'x', content: 'x', embedding: [1, 0] }
    })()
  )
  const parents = collector.spans
    .filter(({ name }) => name === 'embed')
    .map(({ parentSpanContext }) => parentSpanContext?.spanId)
  expect(parents).toEqual([
    collector.span('learn').spanContext().spanId,
    collector.span('search').spanContext().spanId
  ])
  expect(read).toEqual([collector.span('import').spanContext().spanId])
})

test('Commits of one frame keep their own parents and link to the span of the frame', async () => {
  await using collector = new Collector()
  await using temporary = await openTemporaryStore(observed(collector))
  const { store } = temporary
  const parents = await Promise.all(
    Array.from({ length: 20 }, async (_, i) =>
      collector.within(`request ${i}`, async () => store.learn({ content: `concept ${i}` }))
    )
  )
  const frames = collector.spans.filter(({ name }) => name.startsWith('group-commit'))
  const commits = collector.spans.filter(
    ({ attributes }) => attributes['db.operation.name'] === 'learn'
  )
  const parentIds = parents.map((one) => one.spanContext().spanId)
  expect(commits.map((one) => one.parentSpanContext?.spanId).sort()).toEqual(parentIds.sort())
  for (const { attributes, links } of commits) {
    const position = Number(attributes['sutra.commit.first'])
    const frame = frames.find(
      (one) =>
        Number(one.attributes['sutra.first']) <= position &&
        position <= Number(one.attributes['sutra.last'])
    )
    expect(links.map(({ context }) => context.spanId)).toEqual([frame?.spanContext().spanId])
  }
})

test('What the store does by itself is in no trace of a caller', async () => {
  await using collector = new Collector()
  await using temporary = await openTemporaryStore(observed(collector))
  await collector.within('request', async () => {
    await temporary.store.commit(pair)
    await temporary.store.caughtUp()
  })
  const own = collector.spans.filter(({ name }) => /^(group-commit|batch-applied)/.test(name))
  expect(new Set(own.map(({ name }) => name.split(' ')[0]))).toEqual(
    new Set(['group-commit', 'batch-applied'])
  )
  for (const span of own) {
    expect(span.parentSpanContext).toBeUndefined()
    expect(span.kind).toBe(SpanKind.INTERNAL)
  }
  const batch = own.find(({ attributes }) => attributes['sutra.projection'] === 'tables')
  expect(batch?.attributes['sutra.events']).toBeGreaterThan(0)
})

test('A call that fails has the code of its error, in its span and in its duration', async () => {
  await using collector = new Collector()
  await using temporary = await openTemporaryStore(observed(collector))
  const { store } = temporary
  await expect(store.forget({ key: 'none' })).rejects.toThrow()
  await expect(store.search([1, 2, 3])).rejects.toThrow()
  // A caller's mistake has no code: its class says what it is.
  await expect(store.getMany('a' as unknown as [])).rejects.toThrow()
  const codes = {
    forget: 'CONCEPT_NOT_FOUND',
    search: 'VECTOR_DIMENSION_MISMATCH',
    getMany: 'TypeError'
  }
  const durations = (await collector.collect()).get('db.client.operation.duration')
  for (const [operation, code] of Object.entries(codes)) {
    const span = collector.span(operation)
    expect(span.status.code, operation).toBe(SpanStatusCode.ERROR)
    expect(span.attributes['error.type']).toBe(code)
    expect(span.events.map(({ name }) => name)).toEqual(['exception'])
    expect(span.status.message).toBe(span.events[0]?.attributes?.['exception.message'])
    const point = durations?.dataPoints.find(
      ({ attributes }) => attributes['db.operation.name'] === operation
    )
    expect(point?.attributes['error.type']).toBe(code)
  }
  expect(collector.span('forget').attributes['db.response.status_code']).toBe('CONCEPT_NOT_FOUND')
})

test('Durations are a histogram in seconds with the buckets of the conventions', async () => {
  await using collector = new Collector()
  await using temporary = await openTemporaryStore(observed(collector))
  const { store } = temporary
  await store.commit(pair)
  for (let i = 0; i < 5; i++) await store.get(A)
  const found = (await collector.collect()).get('db.client.operation.duration')
  // The instrument is a histogram, as its descriptor says.
  const { dataPoints, descriptor, dataPointType } = found as HistogramMetricData
  expect(dataPointType).toBe(DataPointType.HISTOGRAM)
  expect(descriptor.unit).toBe('s')
  const gets = dataPoints.find(({ attributes }) => attributes['db.operation.name'] === 'get')
  expect(gets?.attributes).toEqual({
    'db.system.name': 'sutra-storage',
    'db.namespace': basename(temporary.directory),
    'db.operation.name': 'get'
  })
  expect(gets?.value.count).toBe(5)
  expect(gets?.value.buckets.boundaries).toEqual([0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10])
  expect(gets?.value.max).toBeGreaterThan(0)
})

test('Every metric of the Prometheus text is told under the name that it translates to', async () => {
  await using collector = new Collector()
  await using temporary = await openTemporaryStore(observed(collector))
  const { store } = temporary
  await store.commit(pair)
  await store.caughtUp()
  const collected = await collector.collect()
  const stats = store.stats()
  expect(collected.get('sutra.position')?.dataPoints[0]?.value).toBe(stats.position)
  expect(collected.get('sutra.events')?.dataPoints[0]?.value).toBe(stats.commits.events)
  const lag = collected.get('sutra.projection.lag_events')?.dataPoints ?? []
  expect(lag.map(({ attributes }) => attributes['sutra.projection'])).toEqual(
    Object.keys(stats.pipeline.projections)
  )
  const suffixes: Record<string, string> = { s: '_seconds', By: '_bytes', '1': '_ratio' }
  const told = [...collected.values()]
    .filter(({ descriptor }) => descriptor.name.startsWith('sutra.'))
    .map((metric) => {
      const { name, unit } = metric.descriptor
      const rate = unit === '{event}/s' ? '_per_second' : ''
      const plain = name.replaceAll('.', '_').replace(/_bytes$/, '')
      const isCounter = metric.dataPointType === DataPointType.SUM && metric.isMonotonic
      const total = isCounter ? '_total' : ''
      return `${plain}${suffixes[unit] ?? ''}${rate}${total}`
    })
  const text = prometheusText(stats)
  const named = Array.from(text.matchAll(/^# TYPE (\S+)/gm), ([, name]) => name ?? '')
  // A summary has no counterpart; what is not finite is left out.
  const left = /^sutra_(operation_duration_|pipeline_time_to_full_)/
  expect(told.sort()).toEqual(named.filter((name) => !left.test(name)).sort())
})

test('Stores that share a provider are told apart, and a closed one is asked no more', async () => {
  await using collector = new Collector()
  await using first = await openTemporaryStore(observed(collector))
  await using second = await openTemporaryStore(observed(collector))
  await first.store.commit(pair)
  await second.store.learn({ content: 'alone', embedding: [1, 0] })
  const positions = async (): Promise<Map<unknown, unknown>> => {
    const points = (await collector.collect()).get('sutra.position')?.dataPoints ?? []
    return new Map(points.map(({ attributes, value }) => [attributes['db.namespace'], value]))
  }
  const names = [basename(first.directory), basename(second.directory)]
  expect(await positions()).toEqual(
    new Map([
      [names[0], 4],
      [names[1], 2]
    ])
  )
  await first.store.close()
  await second.store.learn({ content: 'more' })
  // What a closed store throws would fail the collection. The SDK repeats its last values.
  expect((await positions()).get(names[1])).toBe(3)
  await first.reopen()
  await first.store.learn({ content: 'more' })
  expect(await positions()).toEqual(
    new Map([
      [names[0], 5],
      [names[1], 3]
    ])
  )
  expect(collector.errors).toEqual([])
})

test('Long work has spans with what came of it', async () => {
  await using collector = new Collector()
  await using temporary = await openTemporaryStore(observed(collector))
  const { store } = temporary
  const backup = await temporaryPath('backup')
  const request = await collector.within('night', async () => {
    await store.import(
      Array.from({ length: 50 }, (_, i) => ({
        kind: 'concept' as const,
        key: `imported ${i}`,
        content: `${i}`
      }))
    )
    await store.rebuild()
    await store.verify()
    await store.backup(backup)
    await store.checkpoint()
    await drain(store.export({ format: 'jsonl' }))
  })
  for (const task of ['import', 'rebuild', 'verify', 'backup', 'checkpoint', 'export']) {
    expectChild(collector.span(task), request)
  }
  expect(collector.span('import').attributes).toMatchObject({
    'sutra.import.records': 50,
    'sutra.import.concepts': 50
  })
  expect(collector.span('verify').attributes['sutra.verify.ok']).toBe(true)
  expect(collector.spans.some(({ name }) => name.startsWith('rebuilt'))).toBe(true)
})

test('A reading that its caller leaves has ended, and one that fails says so', async () => {
  await using collector = new Collector()
  await using temporary = await openTemporaryStore(observed(collector))
  const { store } = temporary
  await store.commit(pair)
  for await (const _ of store.concepts()) break
  expect(collector.span('concepts').attributes['db.response.returned_rows']).toBe(1)
  await expect(drain(store.associations(A, { limit: -1 }))).rejects.toThrow()
  expect(collector.span('associations').attributes['error.type']).toBe('QUERY_INVALID')
})

test('Events are read in a span that ends with the reading, however that ends', async () => {
  await using collector = new Collector()
  await using temporary = await openTemporaryStore(
    observed(collector, { telemetry: { store: true } })
  )
  const { store } = temporary
  await store.commit(pair)
  const spansOf = (operation: string): ReadableSpan[] =>
    collector.spans.filter(({ attributes }) => attributes['db.operation.name'] === operation)
  const endsOf = (operation: string): unknown[] =>
    spansOf(operation).map(({ attributes }) => [
      attributes['db.response.returned_rows'],
      attributes['error.type']
    ])
  const rows = store.head

  const request = await collector.within('request', async () => drain(store.events()))
  expectChild(collector.span('events'), request)
  expect(collector.span('events').attributes).toMatchObject({ 'db.system.name': 'sutra-storage' })
  for await (const _ of store.events({ live: true })) break
  const left = drain(store.events({ from: -1 }))
  await expect(left).rejects.toMatchObject({ code: 'QUERY_INVALID' })
  const mine = new Error('mine')
  const thrown = async (): Promise<void> => {
    for await (const _ of store.events({ types: ['concept-learned'] })) throw mine
  }
  await expect(thrown()).rejects.toBe(mine)
  const leaving = new AbortController()
  const live = drain(store.events({ live: true, signal: leaving.signal }))
  setTimeout(() => leaving.abort(), 20)
  await expect(live).rejects.toMatchObject({ code: 'ABORTED' })
  // Asked for nothing, it has not begun.
  store.events()
  expect(endsOf('events')).toEqual([
    [rows, undefined],
    [1, undefined],
    [0, 'QUERY_INVALID'],
    [1, undefined],
    [rows, 'ABORTED']
  ])

  const subscription = store.events$({ from: 1 }).subscribe()
  await store.learn({ content: 'c' })
  await expect.poll(() => store.stats().position).toBe(rows + 1)
  subscription.unsubscribe()
  await expect.poll(() => spansOf('events$')).toHaveLength(1)
  await drain(store.storedTelemetry())
  expect(spansOf('storedTelemetry')).toHaveLength(1)
  const ending = store.events({ live: true, from: rows + 1 })[Symbol.asyncIterator]()
  await ending.next()
  const ended = ending.next()
  await store.close()
  expect(await ended).toMatchObject({ done: true })
  expect(endsOf('events').at(-1)).toEqual([1, undefined])
})

test('A reading of events that is forgotten is forgotten with all that it held', async () => {
  await using collector = new Collector()
  await using temporary = await openTemporaryStore(observed(collector))
  const { store } = temporary
  await store.commit(pair)
  const abandon = async (): Promise<WeakRef<object>> => {
    const events = store.events({ live: true })[Symbol.asyncIterator]()
    await events.next()
    return new WeakRef(events)
  }
  const forgotten = await abandon()
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  await expect
    .poll(() => {
      collectGarbage()
      return forgotten.deref() === undefined
    })
    .toBe(true)
})

test('Opening is a span of the caller, and what an open store does later is not in it', async () => {
  await using collector = new Collector()
  const directory = await temporaryPath()
  let store: Store | undefined
  let embedding: Span | undefined
  const embed = async (texts: string[]): Promise<Float32Array[]> => {
    embedding = trace.getActiveSpan()
    return texts.map(() => Float32Array.of(1, 0))
  }
  const start = await collector.within('start', async () => {
    store = await open(directory, observed(collector, { embed }))
  })
  await store?.learn({ content: 'text' })
  await store?.close()
  expectChild(collector.span('open'), start)
  expect(collector.span('learn').parentSpanContext).toBeUndefined()
  expect(embedding?.spanContext().spanId).toBe(collector.span('learn').spanContext().spanId)
  const readOnly = observed(collector, { readOnly: true })
  await expect(open(await temporaryPath(), readOnly)).rejects.toThrow()
  const failed = collector.spans.findLast(
    ({ attributes }) => attributes['db.operation.name'] === 'open'
  )
  expect(failed?.attributes['error.type']).toBe('STORE_NOT_FOUND')
})

test('With `true` the global providers are used; without the option nothing is', async () => {
  await using collector = new Collector(true)
  await using silent = await openTemporaryStore({ vectors })
  await silent.store.commit(pair)
  expect(collector.spans).toEqual([])
  await using temporary = await openTemporaryStore({ vectors, openTelemetry: true })
  await temporary.store.commit(pair)
  expect(collector.span('commit').name).toContain('commit')
  expect((await collector.collect()).has('sutra.position')).toBe(true)
})

test('Where no SDK is registered the store works as ever', async () => {
  await using temporary = await openTemporaryStore({ vectors, openTelemetry: true })
  const { store } = temporary
  await store.commit(pair)
  expect(await store.search([1, 0], { k: 1 })).toHaveLength(1)
  expect((await store.get(A))?.content).toBe('a')
  await expect(store.forget({ key: 'none' })).rejects.toThrow()
  await store.verify()
})

test('Without the package the option is refused before anything is done, and nothing else', async () => {
  const { lines, stderr } = await run('telemetry/without-package.mjs', [await temporaryPath()])
  expect(lines, stderr).toEqual([
    {
      code: 'UNSUPPORTED',
      message: expect.stringContaining('npm install @opentelemetry/api'),
      exists: false
    },
    { without: 'works' }
  ])
})

test('Options that name no provider are refused before anything is done', async () => {
  const directory = await temporaryPath()
  const wrong: unknown[] = ['yes', 1, null, { tracer: {} }, { tracerProvider: {} }]
  for (const openTelemetry of [...wrong, { meterProvider: { getMeter: 1 } }]) {
    const options = { openTelemetry } as unknown as StoreOptions
    await expect(open(directory, options)).rejects.toMatchObject({ code: 'OPTION_INVALID' })
  }
})

test('Views, subscriptions, waiting to be ready and closing are spans as well', async () => {
  await using collector = new Collector()
  await using temporary = await openTemporaryStore(observed(collector))
  const { store } = temporary
  const request = await collector.within('request', async () => {
    await store.ready()
    const view = await store.view()
    await view.close()
    await store.subscribe('watcher', {}, async () => {})
    await store.subscriptions()
    await store.unsubscribe('watcher')
    await drain(store.export({ format: 'jsonl' }))
    await Promise.all([store.close(), store.close()])
  })

  const subscribing = ['subscribe', 'subscriptions', 'unsubscribe']
  for (const operation of ['ready', 'view', ...subscribing, 'close']) {
    const span = collector.span(operation)
    expectChild(span, request)
    expect(span.kind).toBe(SpanKind.CLIENT)
    expect(span.status.code).toBe(SpanStatusCode.UNSET)
  }
  await expect(store.ready()).rejects.toMatchObject({ code: 'STORE_CLOSED' })
  await expect(store.view()).rejects.toMatchObject({ code: 'STORE_CLOSED' })
  const failed = collector.spans.filter(({ status }) => status.code === SpanStatusCode.ERROR)
  expect(failed.map(({ attributes }) => attributes['error.type'])).toEqual(
    failed.map(() => 'STORE_CLOSED')
  )
  expect(failed).toHaveLength(2)
})

test('A query of a projection names the projection it is asked of, also in a view', async () => {
  await using collector = new Collector()
  const definition = tally(1)
  const broken = { ...tally(1, { name: 'broken' }), queries: { fail: () => fail() } }
  const projections = [definition, broken]
  await using temporary = await openTemporaryStore(observed(collector, { projections }))
  const { store } = temporary
  await store.commit(pair)
  const request = await collector.within('request', async () => {
    await store.projection(definition).total()
    await using view = await store.view()
    await view.projection(definition).all()
    await expect(store.projection(broken).fail()).rejects.toThrow('no answer')
  })

  const asked = { total: 'tally', all: 'tally', fail: 'broken' }
  for (const [operation, collection] of Object.entries(asked)) {
    const span = collector.span(operation)
    expectChild(span, request)
    expect(span.name).toBe(`${operation} ${collection}`)
    expect(span.attributes).toMatchObject({
      'db.collection.name': collection,
      'db.namespace': basename(temporary.directory)
    })
  }
  expect(collector.span('total').attributes['db.response.returned_rows']).toBe(1)
  expect(collector.span('fail').status).toMatchObject({ code: SpanStatusCode.ERROR })
  const metrics = await collector.collect()
  const duration = metrics.get('db.client.operation.duration') as HistogramMetricData | undefined
  const of = duration?.dataPoints.map(({ attributes }) => attributes['db.collection.name'])
  expect(new Set(of)).toEqual(new Set([undefined, 'tally', 'broken']))
})

test('A handler of a subscription runs in a span of a consumer, which is a trace of its own', async () => {
  await using collector = new Collector()
  await using temporary = await openTemporaryStore(observed(collector))
  const { store } = temporary
  await store.commit(pair)
  const retry = { times: 1, firstMs: 1, maxMs: 1 }
  await collector.within('request', async () => {
    let hasFailed = false
    const one = await store.subscribe('mailer', { types: ['concept-learned'], retry }, async () => {
      await store.get(A)
      if (hasFailed) return
      hasFailed = true
      throw new RangeError('not yet')
    })
    await one.caughtUp()
    const many = await store.subscribe('batches', { batch: 10 }, async () => {})
    await many.caughtUp()
  })

  const spans = collector.spans.filter(({ kind }) => kind === SpanKind.CONSUMER)
  const namespace = basename(temporary.directory)
  for (const span of spans) {
    expect(span.name).toBe(`process ${namespace}`)
    expect(span.parentSpanContext).toBeUndefined()
    expect(span.attributes).toMatchObject({
      'messaging.system': 'sutra-storage',
      'messaging.operation.type': 'process',
      'messaging.operation.name': 'process',
      'messaging.destination.name': namespace
    })
  }
  const told = spans.map(({ attributes, status }) => [
    attributes['messaging.destination.subscription.name'],
    attributes['messaging.message.id'],
    attributes['messaging.batch.message_count'],
    attributes['sutra.event.type'],
    attributes['sutra.delivery.attempt'],
    attributes['error.type'],
    status.code
  ])
  const [learned, ok, bad] = ['concept-learned', SpanStatusCode.UNSET, SpanStatusCode.ERROR]
  const [first, second] = [...new Set(told.map(([, id]) => id))]
  // How much is at hand when a batch is given is a matter of time: a busy machine makes two of it.
  const batch = ['batches', undefined, expect.any(Number), undefined, 1, undefined, ok]
  const batches = told.slice(3)
  expect(batches.length).toBeGreaterThan(0)
  expect(told).toEqual([
    ['mailer', first, undefined, learned, 1, 'RangeError', bad],
    ['mailer', first, undefined, learned, 2, undefined, ok],
    ['mailer', second, undefined, learned, 1, undefined, ok],
    ...batches.map(() => batch)
  ])
  // What the handler asks of the store is below what it handles.
  const gets = collector.spans.filter(({ attributes }) => attributes['db.operation.name'] === 'get')
  const parents = gets.map(({ parentSpanContext }) => parentSpanContext?.spanId)
  expect(parents).toEqual(spans.slice(0, 3).map((span) => span.spanContext().spanId))
})

function fail(): never {
  throw new Error('no answer')
}
