/** How fast does a large dataset get in? Without fsync, as one would import for the first time. */
import { type ImportRecord, open } from 'sutra-storage'
import { type BenchContext, eventLoopDelay } from './harness.ts'
import {
  associationRecords,
  associationsOf,
  type Bare,
  bareKey,
  bareKeyOfAssociation,
  conceptRecords,
  contentOf,
  count,
  openBare,
  scratch
} from './support.ts'

const BATCH_ROWS = 1000

export async function ingestConcepts(bench: BenchContext): Promise<void> {
  await ingest(bench, bench.size(2_000, 1_000_000), 0)
}

export async function ingestGraph(bench: BenchContext): Promise<void> {
  await ingest(bench, bench.size(2_000, 1_000_000), 3)
}

async function ingest(bench: BenchContext, concepts: number, each: number): Promise<void> {
  const records = concepts * (1 + each)
  const what = each === 0 ? '' : ` with ${each} associations each`
  bench.title(`Import of ${count(concepts)} concepts of 100 bytes${what}, fsync: no`)
  await using folder = await scratch()
  await using bare = await openBare(folder.path('bare'))
  const bareLane = bench.lane(`classic-level batches of ${BATCH_ROWS}`)
  const acknowledged = bench.lane('store.import, acknowledged', bareLane)
  const projected = bench.lane('store.import, tables up to date', bareLane)

  // One half before the store and one behind it: what the machine did meanwhile hits both.
  const half = Math.floor(concepts / 2)
  const rows = (from: number, to: number): number => (to - from) * (1 + each)
  const putAll = (from: number, to: number): Promise<void> =>
    writeBare(bare, rowsOf(from, to, each, bench.seed))
  await bareLane.run(async () => putAll(0, half), rows(0, half))
  await using store = await open(folder.path('store'), { durability: 'os' })
  const delay = await projected.run(
    async () =>
      eventLoopDelay(async () => {
        const source = (): Iterable<ImportRecord> => recordsOf(concepts, each, bench.seed)
        const report = await acknowledged.run(async () => store.import(source()), records)
        bench.fingerprint(report.records - report.rejectedCount)
        await store.caughtUp()
      }),
    records
  )
  await bareLane.run(async () => putAll(half, concepts), rows(half, concepts))

  const counts = await store.counts()
  bench.fingerprint(counts.concepts)
  bench.fingerprint(counts.associations)
  bench.note(`event-loop delay ${delay.toFixed(1)} ms at p99`)
  bench.note(`waited for room in the queue: ${seconds(store.stats().pipeline.backPressureMs)}`)
}

/** All concepts first, because an association needs both its ends. */
function* recordsOf(concepts: number, each: number, seed: number): Generator<ImportRecord> {
  yield* conceptRecords(0, concepts)
  yield* associationRecords(concepts, each, seed)
}

interface BareRow {
  type: 'put'
  key: Buffer
  value: Buffer
}

/** A row for each concept and each association: half of what finding them from both ends takes. */
function* rowsOf(from: number, to: number, each: number, seed: number): Generator<BareRow> {
  for (let i = from; i < to; i++) {
    yield { type: 'put', key: bareKey(i), value: Buffer.from(contentOf(i)) }
  }
  for (const { source, target, type } of associationsOf(to - from, each, seed)) {
    const key = bareKeyOfAssociation({ source: from + source, target: from + target, type })
    yield { type: 'put', key, value: Buffer.alloc(8) }
  }
}

async function writeBare(bare: Bare, rows: Iterable<BareRow>): Promise<void> {
  let batch: BareRow[] = []
  for (const row of rows) {
    batch.push(row)
    if (batch.length < BATCH_ROWS) continue
    await bare.batch(batch)
    batch = []
  }
  await bare.batch(batch)
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
