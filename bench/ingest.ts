/** How fast does a large dataset get in? Without fsync, as one would import for the first time. */
import { open } from 'sutra-storage'
import { type BenchContext, eventLoopDelay } from './harness.ts'
import {
  type BareRow,
  bareRows,
  conceptRecords,
  count,
  graphRecords,
  openBare,
  scratch,
  seconds,
  writeBare
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
  const bareLane = bench.lane(`classic-level, array batches of ${BATCH_ROWS}`)
  if (each > 0) bench.note('classic-level gets one row a concept and two an association')
  const acknowledged = bench.lane('store.import, acknowledged', bareLane)
  const projected = bench.lane('store.import, tables up to date', bareLane)

  // One half before the store and one behind it: what the machine did meanwhile hits both.
  const half = Math.floor(concepts / 2)
  const putAll = async (from: number, to: number): Promise<void> => {
    const rows = bareRows({ from, to, concepts, each, seed: bench.seed })
    await bareLane.run(async () => writeBare(bare, rows, BATCH_ROWS), (to - from) * (1 + each))
  }
  await putAll(0, half)
  {
    // Closed before the other half: one thread of the process compacts for all databases.
    await using store = await open(folder.path('store'), { durability: 'os' })
    const delay = await projected.run(
      async () =>
        eventLoopDelay(async () => {
          const report = await acknowledged.run(
            async () => store.import(graphRecords(concepts, each, bench.seed)),
            records
          )
          bench.fingerprint(report.records - report.rejectedCount)
          await store.caughtUp()
        }),
      records
    )
    const counts = await store.counts()
    bench.fingerprint(counts.concepts)
    bench.fingerprint(counts.associations)
    bench.figure('event-loop delay, p99', delay, 'ms')
    bench.note(`waited for room in the queue: ${seconds(store.stats().pipeline.backPressureMs)}`)
  }
  await putAll(half, concepts)
}

/** Into stores that stay open, piece by piece: what does it cost that a power cut loses less? */
export async function ingestByDurability(bench: BenchContext): Promise<void> {
  const rounds = bench.size(1, 5)
  const piece = bench.size(500, 100_000)
  bench.title(
    `Import of ${count(rounds * piece)} concepts of 100 bytes, acknowledged, by durability`
  )
  await using folder = await scratch()
  await using bareSynced = await openBare(folder.path('bare-synced'))
  await using bare = await openBare(folder.path('bare'))
  const rowsOf = (round: number): Iterable<BareRow> =>
    bareRows({ from: round * piece, to: (round + 1) * piece, each: 0, seed: bench.seed })
  const syncedLane = bench.lane(`classic-level, array batches of ${BATCH_ROWS}, each synced`)
  const bareLane = bench.lane(`classic-level, array batches of ${BATCH_ROWS}`)
  const works = [
    async (round: number) =>
      syncedLane.run(async () => writeBare(bareSynced, rowsOf(round), BATCH_ROWS, true), piece),
    async (round: number) =>
      bareLane.run(async () => writeBare(bare, rowsOf(round), BATCH_ROWS), piece)
  ]
  await using fsync = await open(folder.path('fsync'), { durability: 'fsync' })
  await using interval = await open(folder.path('interval'), { durability: 'interval' })
  await using os = await open(folder.path('os'), { durability: 'os' })
  for (const [durability, store] of Object.entries({ fsync, interval, os })) {
    const baseline = durability === 'fsync' ? syncedLane : bareLane
    const lane = bench.lane(`store.import, ${durability}`, baseline)
    works.push(async (round) => {
      const records = conceptRecords(round * piece, (round + 1) * piece)
      await lane.run(async () => store.import(records), piece)
      // Not timed, but waited for: what comes next has the machine for itself.
      await store.caughtUp()
      bench.fingerprint(store.head)
    })
  }
  await bench.alternate(rounds, works)
}
