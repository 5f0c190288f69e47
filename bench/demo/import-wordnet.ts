import { monitorEventLoopDelay } from 'node:perf_hooks'
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

const EMBED_BATCH = 64
const DELAY_RESOLUTION_MS = 1

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
  screen.fact(
    'acknowledged, on disk',
    `${number(report.records)} records in ${milliseconds(imported)}`
  )
  await store.caughtUp()
  delay.disable()

  // The timer behind the measurement fires once a resolution, so an idle loop shows that much.
  const p99 = Math.max(0, delay.percentile(99) / 1e6 - DELAY_RESOLUTION_MS)
  const seconds = imported / 1000
  screen.fact('and searchable', `after ${milliseconds(performance.now() - started)}`)
  screen.fact(
    'rate',
    `${number(report.records / seconds)} records/s, ${number(store.head / seconds)} events/s`
  )
  screen.fact('event-loop delay', `${number(p99, 1)} ms at p99, beside import and embedding`)
  await checkCounts(screen, store, report.rejectedCount)
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
