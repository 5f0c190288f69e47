/** How fast is everything read from the log, made again from it, and written out? */
import { isStoreError, open, type Store } from 'sutra-storage'
import type { BenchContext } from './harness.ts'
import { fillBare, fillStore } from './reads.ts'
import { count, graphRecords, openBare, scratch } from './support.ts'

const EACH = 3
const ROWS_AT_ONCE = 1000

/** All events from the first one; of the bare engine all rows, which are not decoded. */
export async function replay(bench: BenchContext): Promise<void> {
  const concepts = bench.size(1_000, 500_000)
  const rounds = bench.size(1, 5)
  bench.title(`Replay of ${count(concepts)} concepts with ${EACH} associations each from the log`)
  await using folder = await scratch()
  await fillStore(folder.path('store'), concepts, EACH, bench.seed)
  await fillBare(folder.path('bare'), concepts, EACH, bench.seed)
  await using store = await open(folder.path('store'), { readOnly: true })
  await using bare = await openBare(folder.path('bare'))
  const bareLane = bench.lane('classic-level iterator, rows')
  const storeLane = bench.lane('store.events, events', bareLane)
  await bench.alternate(rounds, [
    async () => {
      const began = performance.now()
      const iterator = bare.iterator({ fillCache: false })
      let rows = 0
      try {
        for (;;) {
          const read = await iterator.nextv(ROWS_AT_ONCE)
          if (read.length === 0) break
          rows += read.length
        }
      } finally {
        await iterator.close()
      }
      bareLane.took(performance.now() - began, rows)
      bench.fingerprint(rows)
    },
    async () => {
      let last = 0
      await storeLane.run(async () => {
        for await (const { position } of store.events()) last = position
      }, store.head)
      bench.fingerprint(last)
    }
  ])
}

/** Every round fills a store of its own, then makes all its tables again. */
export async function rebuildTables(bench: BenchContext): Promise<void> {
  const concepts = bench.size(1_000, 250_000)
  bench.title(`Rebuild of all tables, ${count(concepts)} concepts with ${EACH} associations each`)
  const ingest = bench.lane('first ingest until tables are up to date, events')
  const rebuild = bench.lane('rebuild of the tables, events', ingest)
  for (let round = bench.size(1, 4); round > 0; round--) {
    await using folder = await scratch()
    await using store = await open(folder.path('store'), { durability: 'os' })
    const events = concepts * (1 + EACH)
    await ingest.run(async () => {
      await store.import(graphRecords(concepts, EACH, bench.seed))
      await store.caughtUp()
    }, events)
    await rebuild.run(async () => store.rebuild({ projections: ['tables'] }), events)
    bench.fingerprint((await store.counts()).associations)
  }
}

/** The bytes are counted and dropped: no disk but the one that is read from. */
export async function exportAll(bench: BenchContext): Promise<void> {
  const concepts = bench.size(1_000, 250_000)
  const records = concepts * (1 + EACH)
  bench.title(`Export of ${count(concepts)} concepts with ${EACH} associations each, in memory`)
  await using folder = await scratch()
  await fillStore(folder.path('store'), concepts, EACH, bench.seed)
  await using store = await open(folder.path('store'), { readOnly: true })
  const stringify = bench.lane('JSON.stringify of the records alone')
  const works = [
    async () =>
      stringify.run(async () => {
        let bytes = 0
        for (const record of graphRecords(concepts, EACH, bench.seed)) {
          bytes += Buffer.byteLength(JSON.stringify(record))
        }
        bench.fingerprint(bytes)
      }, records)
  ]
  for (const format of ['jsonl', 'csv', 'ntriples', 'parquet', 'arrow'] as const) {
    if (!(await writes(store, format))) {
      bench.note(`${format}: left out, a package or this version cannot write it`)
      continue
    }
    const lane = bench.lane(`store.export, ${format}, records`, stringify)
    works.push(async () =>
      lane.run(async () => {
        let bytes = 0
        for await (const chunk of store.export({ format })) bytes += chunk.length
        if (bytes === 0) throw new Error(`An export as ${format} holds nothing`)
      }, records)
    )
  }
  await bench.alternate(bench.size(1, 3), works)
}

/** Some formats need a package that may be left out. */
async function writes(store: Store, format: 'jsonl' | 'csv' | 'ntriples' | 'parquet' | 'arrow') {
  try {
    for await (const _ of store.export({ format })) break
    return true
  } catch (error) {
    if (isStoreError(error, 'UNSUPPORTED')) return false
    throw error
  }
}
