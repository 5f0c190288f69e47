/** Does a program notice that its vectors are being indexed? */
import { setTimeout as sleep } from 'node:timers/promises'
import { ConceptId, open, type Store } from 'sutra-storage'
import { BareUsearch } from './bare-usearch.ts'
import { type BenchContext, eventLoopDelay, type Lane } from './harness.ts'
import { conceptRecords, keyOf, scratch } from './support.ts'
import { clusteredVectors } from './vector-data.ts'
import {
  median,
  rowsIn,
  THREADS,
  titleOf,
  untilIndexed,
  us,
  vectorOptions,
  vectorRecords
} from './vectors-support.ts'

/** Concepts without vectors, there before the others and got meanwhile. */
const READ = 1000

export async function besideIndexing(bench: BenchContext): Promise<void> {
  const data = clusteredVectors(bench.size(600, 100_000), bench.size(24, 384), bench.seed)
  const rows = rowsIn(data)
  bench.title(titleOf('The event loop and get while vectors are indexed, f16, fsync: no', data))
  await using folder = await scratch()
  await using bare = new BareUsearch(data)
  const usearch = bench.lane(`build: usearch, ${THREADS} threads, vectors`)
  const imported = bench.lane('store.import, all in a graph', usearch)
  const rebuilt = bench.lane('build: rebuild of the index', usearch)
  const idle = bench.lane('get while idle')
  const duringImport = bench.lane('get during the import', idle)
  const duringRebuild = bench.lane('get during the rebuild', idle)
  await usearch.run(async () => bare.build('f16', THREADS), rows)

  await using store = await open(folder.path('store'), vectorOptions(data, 'f16'))
  await store.import(conceptRecords(0, READ))
  const importDelay = await beside(store, duringImport, async () => {
    await untilIndexed(bench, store, imported, async () => store.import(vectorRecords(data)))
  })
  const rebuildDelay = await beside(store, duringRebuild, async () => {
    await untilIndexed(bench, store, rebuilt, async () => {
      await store.rebuild({ projections: ['vectors'] })
    })
  })
  const idleDelay = await beside(store, idle, async () => sleep(bench.size(100, 10_000)))
  const delays = [
    `${importDelay.delay.toFixed(1)} ms during the import`,
    `${rebuildDelay.delay.toFixed(1)} ms during the rebuild`,
    `${idleDelay.delay.toFixed(1)} ms idle`
  ]
  bench.note(`event-loop delay at p99: ${delays.join(', ')}`)
  const gets = [
    `${us(importDelay.p50)} during the import`,
    `${us(rebuildDelay.p50)} during the rebuild`,
    `${us(idleDelay.p50)} idle`
  ]
  const times = (rebuildDelay.p50 / idleDelay.p50).toFixed(2)
  bench.note(`get at p50: ${gets.join(', ')}: ${times} times as long`)
  bench.fingerprint((await store.counts()).vectors)
}

/** Gets a concept every few milliseconds, as long as the work takes. */
async function beside(
  store: Store,
  lane: Lane,
  work: () => Promise<unknown>
): Promise<{ delay: number; p50: number }> {
  const ms: number[] = []
  let ended = false
  const getting = (async () => {
    for (let n = 0; !ended; n++) {
      const id = ConceptId.fromKey(keyOf(n % READ))
      const started = performance.now()
      await store.get(id)
      const took = performance.now() - started
      lane.timed(took)
      ms.push(took)
      await sleep(2)
    }
  })()
  try {
    const delay = await eventLoopDelay(async () => {
      await work()
    })
    return { delay, p50: median(ms) }
  } finally {
    ended = true
    await getting
  }
}
