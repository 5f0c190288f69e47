import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import type { Embed, ImportRecord, Store } from 'sutra-storage'
import { milliseconds, number, type Screen } from './screen.ts'
import {
  associationRecords,
  conceptRecord,
  POINTERS,
  readSynsets,
  SYNSETS,
  type Synset,
  synsetText
} from './wordnet.ts'

// A third of a millisecond of embedding at a time: the event loop belongs to everybody.
const EMBED_BATCH = 16
const DELAY_RESOLUTION_MS = 1
const BAR_MS = 100

/** Imports all of WordNet through the public `store.import`, and checks that nothing is missing. */
export async function importWordnet(
  screen: Screen,
  store: Store,
  folder: string,
  embed: Embed
): Promise<void> {
  screen.heading('Importing WordNet 3.1: every meaning a concept, every pointer an association')
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS })
  delay.enable()
  const bar = screen.bar('importing', SYNSETS + POINTERS)
  const started = performance.now()
  const report = await store
    .import(wordnetRecords(folder, embed), { onProgress: ({ records }) => bar.update(records) })
    .finally(() => bar.stop())
  const imported = performance.now() - started
  const whileImporting = p99Of(delay)
  delay.reset()
  await indexAll(screen, store)
  const indexed = performance.now() - started
  const whileIndexing = p99Of(delay)
  delay.disable()

  const seconds = imported / 1000
  screen.fact(
    'acknowledged, on disk',
    `${number(report.records)} records in ${milliseconds(imported)}`
  )
  screen.fact('every vector indexed', `after ${milliseconds(indexed)}`)
  screen.fact(
    'rate',
    `${number(report.records / seconds)} records/s, ${number(store.head / seconds)} events/s`
  )
  screen.fact(
    'event-loop delay, p99',
    `${number(whileImporting, 1)} ms beside parsing, embedding and importing, ` +
      `${number(whileIndexing, 1)} ms beside indexing`
  )
  await checkCounts(screen, store, report.rejectedCount)
}

/** The timer behind the measurement fires once a resolution, so an idle loop shows that much. */
function p99Of(delay: IntervalHistogram): number {
  return Math.max(0, delay.percentile(99) / 1e6 - DELAY_RESOLUTION_MS)
}

/** What was acknowledged is found from then on; the graph of the vectors is built behind it. */
async function indexAll(screen: Screen, store: Store): Promise<void> {
  const bar = screen.bar('indexing', store.head)
  const timer = setInterval(() => {
    const positions = Object.values(store.stats().pipeline.projections)
    bar.update(Math.min(...positions.map(({ position }) => position)))
  }, BAR_MS)
  try {
    await store.caughtUp()
  } finally {
    clearInterval(timer)
    bar.stop()
  }
}

async function checkCounts(screen: Screen, store: Store, rejected: number): Promise<void> {
  const counts = await store.counts()
  const types = Object.entries(counts.types).sort(([, a], [, b]) => b - a)
  screen.fact(
    'concepts by type',
    types.map(([type, count]) => `${number(count)} ${type}`).join(', ')
  )
  screen.check(
    `${number(counts.concepts)} concepts, ${number(counts.vectors)} vectors and ` +
      `${number(counts.associations)} associations, ${number(rejected)} rejected`,
    counts.concepts === SYNSETS &&
      counts.vectors === SYNSETS &&
      counts.associations === POINTERS &&
      rejected === 0
  )
}

/** All concepts first, because an association needs both its ends. */
async function* wordnetRecords(folder: string, embed: Embed): AsyncGenerator<ImportRecord> {
  let batch: Synset[] = []
  for await (const synset of readSynsets(folder)) {
    batch.push(synset)
    if (batch.length < EMBED_BATCH) continue
    yield* await embedBatch(batch, embed)
    batch = []
  }
  yield* await embedBatch(batch, embed)
  for await (const synset of readSynsets(folder)) yield* associationRecords(synset)
}

async function embedBatch(batch: readonly Synset[], embed: Embed): Promise<ImportRecord[]> {
  const signal = new AbortController().signal
  const embeddings = await embed(batch.map(synsetText), { signal })
  return batch.flatMap((synset, i) => {
    const embedding = embeddings[i]
    return embedding === undefined ? [] : [conceptRecord(synset, embedding)]
  })
}
