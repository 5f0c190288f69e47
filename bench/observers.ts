/** What do spans, metrics and channels cost whoever asks for them, and those who do not? */
import { tracingChannel } from 'node:diagnostics_channel'
import { context, propagation, trace } from '@opentelemetry/api'
import { MeterProvider } from '@opentelemetry/sdk-metrics'
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  SimpleSpanProcessor
} from '@opentelemetry/sdk-trace-node'
import { type Concept, open, type Store } from 'sutra-storage'
import { PinnedReader } from '#sutra/query/reader.js'
import type { BenchContext, Lane } from './harness.ts'
import { conceptRecords, contentOf, count, keyOf, scratch } from './support.ts'

type Work = () => Promise<void>

/** The same reads and commits by four stores in turns, which differ in who watches them. */
export async function observersCost(bench: BenchContext): Promise<void> {
  const concepts = bench.size(200, 100_000)
  const rounds = bench.size(2, 20)
  const size = { gets: bench.size(200, 50_000), learns: bench.size(20, 2_000), concepts }
  bench.title(
    `${count(size.gets)} gets among ${count(concepts)} concepts and ${count(size.learns)} commits ` +
      `a round, fsync: no`
  )
  await using folder = await scratch()
  await using plain = await open(folder.path('plain'), { durability: 'os' })
  await using idle = await open(folder.path('idle'), { durability: 'os', openTelemetry: true })
  const providers = newProviders()
  const { tracerProvider, meterProvider } = providers
  const openTelemetry = { tracerProvider, meterProvider }
  await using traced = await open(folder.path('traced'), { durability: 'os', openTelemetry })
  for (const store of [plain, idle, traced]) {
    await store.import(conceptRecords(0, concepts))
    await store.caughtUp()
  }
  // Which span a caller is in is known to all three, as it is in a program that traces.
  tracerProvider.register()
  trace.disable()
  try {
    const works = [
      ...worksOf(bench, size, { plain, idle, traced }),
      async () => providers.spans.reset()
    ]
    await bench.alternate(rounds, works)
  } finally {
    context.disable()
    propagation.disable()
    await providers.shutdown()
  }
}

interface Sizes {
  gets: number
  learns: number
  concepts: number
}

interface Stores {
  plain: Store
  idle: Store
  traced: Store
}

function worksOf(bench: BenchContext, size: Sizes, { plain, idle, traced }: Stores): Work[] {
  const read = async (lane: Lane, get: (at: number) => Promise<Concept | undefined>) => {
    await lane.run(async () => {
      for (let i = 0; i < size.gets; i++) {
        const found = await get(Math.floor(bench.random() * size.concepts))
        if (found === undefined) throw new Error('A concept is missing')
      }
    }, size.gets)
  }
  let learned = size.concepts
  const write = async (lane: Lane, store: Store) => {
    const from = learned
    learned += size.learns
    await lane.run(async () => {
      for (let i = from; i < from + size.learns; i++) await store.learn({ content: contentOf(i) })
    }, size.learns)
    await store.caughtUp()
  }
  // What `get` of a store does once it found that nobody watches. It is a method of its class.
  const bare = PinnedReader.prototype.get.bind(plain as unknown as PinnedReader)
  const below = bench.lane('get, without asking who watches')
  const gets = bench.lane('get, option off', below)
  const channelGets = bench.lane('get, channel subscribed', gets)
  const idleGets = bench.lane('get, openTelemetry without SDK', gets)
  const tracedGets = bench.lane('get, openTelemetry with SDK', gets)
  const learns = bench.lane('learn, option off')
  const channelLearns = bench.lane('learn, channel subscribed', learns)
  const idleLearns = bench.lane('learn, openTelemetry without SDK', learns)
  const tracedLearns = bench.lane('learn, openTelemetry with SDK', learns)
  return [
    async () => read(below, async (at) => bare({ key: keyOf(at) })),
    async () => read(gets, async (at) => plain.get({ key: keyOf(at) })),
    async () =>
      whileSubscribed(async () => {
        await read(channelGets, async (at) => plain.get({ key: keyOf(at) }))
        await write(channelLearns, plain)
      }),
    async () => read(idleGets, async (at) => idle.get({ key: keyOf(at) })),
    async () => read(tracedGets, async (at) => traced.get({ key: keyOf(at) })),
    async () => write(learns, plain),
    async () => write(idleLearns, idle),
    async () => write(tracedLearns, traced)
  ]
}

/** A subscriber that does nothing: what is measured is the telling. */
async function whileSubscribed(work: Work): Promise<void> {
  const ignore = (): void => {}
  const handlers = {
    start: ignore,
    end: ignore,
    asyncStart: ignore,
    asyncEnd: ignore,
    error: ignore
  }
  const channels = ['sutra:commit', 'sutra:query'].map((name) => tracingChannel(name))
  for (const channel of channels) channel.subscribe(handlers)
  try {
    await work()
  } finally {
    for (const channel of channels) channel.unsubscribe(handlers)
  }
}

/** Every span is kept in memory until the round is over: sending them is not ours. */
function newProviders(): {
  tracerProvider: NodeTracerProvider
  meterProvider: MeterProvider
  spans: InMemorySpanExporter
  shutdown(): Promise<void>
} {
  const spans = new InMemorySpanExporter()
  const spanProcessors = [new SimpleSpanProcessor(spans)]
  const tracerProvider = new NodeTracerProvider({ spanProcessors })
  const meterProvider = new MeterProvider()
  return {
    tracerProvider,
    meterProvider,
    spans,
    async shutdown() {
      await tracerProvider.shutdown()
      await meterProvider.shutdown()
    }
  }
}
