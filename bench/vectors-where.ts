/** What does a filter cost a search, however many or few concepts it leaves? */
import { setTimeout as sleep } from 'node:timers/promises'
import { open, type SearchOptions, type Store, type Where } from 'sutra-storage'
import { BareUsearch } from './bare-usearch.ts'
import type { BenchContext, Lane } from './harness.ts'
import { scratch, seededRandom } from './support.ts'
import type { VectorData } from './vector-data.ts'
import {
  EFS,
  indexed,
  K,
  median,
  queriesIn,
  queryAt,
  RECALL,
  recallOf,
  rowsFor,
  rowsIn,
  titleOf,
  us,
  vectorOptions,
  vectorRecords,
  vectorsFor
} from './vectors-support.ts'

const SHARES = [0.5, 0.1, 0.01, 0.0001] as const
/** Values of the field, drawn evenly: a range of them selects any share. */
const VALUES = 10_000

interface Filtered {
  bench: BenchContext
  data: VectorData
  bare: BareUsearch
  store: Store
  values: Uint32Array
  /** Median of a search without a filter, at the same `ef`. */
  unfiltered: number
  ef: number
}

export async function searchWhere(bench: BenchContext): Promise<void> {
  const data = await vectorsFor(bench)
  bench.title(titleOf('Search with a filter on an indexed field, f16, fsync: no', data))
  const random = seededRandom(bench.seed)
  const values = Uint32Array.from({ length: rowsIn(data) }, () => Math.floor(random() * VALUES))
  await using folder = await scratch()
  await using bare = new BareUsearch(data)
  const options = { ...vectorOptions(data, 'f16'), indexes: { value: 'number' } as const }
  await using store = await open(folder.path('store'), options)
  await store.import(vectorRecords(data, { metadataOf: (row) => ({ value: values[row] }) }))
  await indexed(bench, store)
  await fieldIndexed(store)

  const few = Math.min(queriesIn(data), bench.size(5, 100))
  const truth = await bare.truth(few, K)
  const ef = await enough(store, data, truth, few)
  const lane = bench.lane(`no filter, ef ${ef}`)
  const times: number[] = []
  for (let n = 0; n < few; n++) times.push(await timed(store, queryAt(data, n), { ef }, lane))
  const unfiltered = median(times)
  for (const share of SHARES) {
    await compareAt(share, few, { bench, data, bare, store, values, unfiltered, ef })
  }
}

async function compareAt(share: number, few: number, filtered: Filtered): Promise<void> {
  const { bench, data, bare, store, values, unfiltered, ef } = filtered
  const below = Math.max(1, Math.round(share * VALUES))
  const matching = Uint32Array.from(values.keys()).filter((row) => (values[row] ?? VALUES) < below)
  // So few rows may match at the sizes of a test that there is nothing to find.
  if (matching.length === 0) return
  const most = Math.min(K, matching.length)
  const truth = await bare.truth(few, K, matching)
  const where: Where = { value: { lt: below } }
  const name = `${share * 100} %`
  const usearch = bench.lane(`${name}: usearch, exact over the ${matching.length}`)
  const exact = bench.lane(`${name}: store, exact`, usearch)
  const graph = bench.lane(`${name}: store`, usearch)
  // Once unmeasured: rows and pages that are read for the first time cost all alike.
  const found = await searched(store, data, few, { where, ef })
  const bareMs = await bare.exact(matching, 0, few, K)
  for (const ms of bareMs) usearch.timed(ms)
  const exactMs: number[] = []
  const ms: number[] = []
  for (let n = 0; n < few; n++) {
    // In turns, one query by one: a noisy moment of the machine hits both.
    exactMs.push(await timed(store, queryAt(data, n), { where, exact: true }, exact))
    ms.push(await timed(store, queryAt(data, n), { where, ef }, graph))
  }
  const recall = recallOf(found, truth, most).toFixed(4)
  const short = [...found.values()].filter((rows) => rows.length < most).length
  const [mine, scan] = [median(ms), median(exactMs)]
  bench.note(
    `${name}: recall ${recall}, ${short} answers too short, p50 ${us(mine)}: ` +
      `${(mine / scan).toFixed(2)} times exact, ${(mine / median(bareMs)).toFixed(2)} times ` +
      `bare exact, ${(mine / unfiltered).toFixed(2)} times unfiltered`
  )
  bench.fingerprint(matching.length)
}

/** The smallest `ef` that reaches the recall without a filter. */
async function enough(
  store: Store,
  data: VectorData,
  truth: Uint32Array,
  few: number
): Promise<number> {
  for (const ef of EFS) {
    const found = await searched(store, data, few, { ef })
    if (recallOf(found, truth) >= RECALL) return ef
  }
  return EFS.at(-1) ?? K
}

async function searched(
  store: Store,
  data: VectorData,
  few: number,
  options: SearchOptions
): Promise<Map<number, number[]>> {
  const found = new Map<number, number[]>()
  for (let n = 0; n < few; n++) found.set(n, await rowsFor(store, queryAt(data, n), options))
  return found
}

/** @returns Milliseconds. */
async function timed(
  store: Store,
  query: Float32Array,
  options: SearchOptions,
  lane: Lane
): Promise<number> {
  const started = performance.now()
  await rowsFor(store, query, options)
  const ms = performance.now() - started
  lane.timed(ms)
  return ms
}

async function fieldIndexed(store: Store): Promise<void> {
  while (Object.values(store.stats().indexes).some(({ built }) => !built)) await sleep(20)
}
