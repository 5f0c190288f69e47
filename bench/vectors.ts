/** How fast are vectors indexed and found, and how soon after opening, at which recall? */
import { open, type Store } from 'sutra-storage'
import { BareUsearch } from './bare-usearch.ts'
import type { BenchContext, Lane } from './harness.ts'
import { type Scratch, scratch } from './support.ts'
import type { VectorData } from './vector-data.ts'
import {
  asFound,
  EFS,
  firstWith,
  K,
  median,
  queriesIn,
  queryAt,
  RECALL,
  recallOf,
  rowsFor,
  rowsIn,
  THREADS,
  titleOf,
  tryEfs,
  untilIndexed,
  us,
  vectorOptions,
  vectorRecords,
  vectorsFor
} from './vectors-support.ts'

interface Compared {
  bench: BenchContext
  data: VectorData
  bare: BareUsearch
  store: Store
  truth: Uint32Array
  graph: string
}

export async function searchWords(bench: BenchContext): Promise<void> {
  const data = await vectorsFor(bench)
  bench.title(titleOf('Vectors against bare usearch, f16, fsync: no', data))
  await using folder = await scratch()
  await using bare = new BareUsearch(data)
  const truth = await bare.truth(queriesIn(data), K)
  const graph = folder.path('bare.usearch')
  const store = await open(folder.path('store'), vectorOptions(data, 'f16'))
  let rebuildMs: number
  try {
    const compared = { bench, data, bare, store, truth, graph }
    rebuildMs = await build(compared)
    const ef = await searchAtEqualRecall(compared)
    await searchAtOnce(compared, ef)
  } finally {
    await store.close()
  }
  await openAgain(bench, data, folder, rebuildMs)
}

/** @returns Milliseconds of a rebuild. */
async function build({ bench, data, bare, store, graph }: Compared): Promise<number> {
  const rows = rowsIn(data)
  const usearch = bench.lane(`build: usearch, ${THREADS} threads, vectors`)
  const acknowledged = bench.lane('store.import, acknowledged', usearch)
  const projected = bench.lane('store.import, all in a graph', usearch)
  const rebuilt = bench.lane('build: rebuild of the index', usearch)
  await usearch.run(async () => bare.build('f16', THREADS), rows)
  await untilIndexed(bench, store, projected, async () => {
    await acknowledged.run(async () => store.import(vectorRecords(data)), rows)
  })
  const ms = await untilIndexed(bench, store, rebuilt, async () => {
    await store.rebuild({ projections: ['vectors'] })
  })
  // Once more, so that what the machine did meanwhile hits both.
  await usearch.run(async () => bare.build('f16', THREADS), rows)
  await bare.save(graph)
  const { indexed: inGraph, pending } = store.stats().vectors
  bench.note(`${inGraph} vectors in graphs, ${pending} beside them`)
  bench.fingerprint(inGraph + pending)
  return ms
}

/** @returns The `ef` with which the store reaches the recall that both reach. */
async function searchAtEqualRecall(compared: Compared): Promise<number> {
  const { bench, data, bare, truth, graph } = compared
  const queries = queriesIn(data)
  const store = await tryEfs(bench, 'store', EFS, async (ef) => {
    const { found, ms } = await searchStore(compared, 0, queries, ef)
    return { recall: recallOf(found, truth), ms }
  })
  const alone = await tryEfs(bench, 'usearch', EFS, async (ef) => {
    await bare.view(graph, 'f16', ef)
    const { found, ms } = await bare.search(0, queries, K)
    return { recall: recallOf(asFound(0, found), truth), ms }
  })
  // Where one of them does not reach it, what that one reached.
  const recall = Math.min(RECALL, store.at(-1)?.recall ?? 0, alone.at(-1)?.recall ?? 0)
  const [ours, theirs] = [firstWith(store, recall), firstWith(alone, recall)]
  await bare.view(graph, 'f16', theirs.ef)
  const usearch = bench.lane(`search: usearch, ef ${theirs.ef}, recall ${theirs.recall.toFixed(4)}`)
  const name = `search: store, ef ${ours.ef}, recall ${ours.recall.toFixed(4)}`
  const searched = bench.lane(name, usearch)
  const exact = bench.lane('search: store, exact', usearch)
  const times = { bare: [] as number[], store: [] as number[] }
  const rounds = bench.size(2, 10)
  const each = Math.floor(queries / rounds)
  await bench.alternate(rounds, [
    async (round) => {
      const { ms } = await bare.search(round * each, (round + 1) * each, K)
      for (const one of ms) usearch.timed(one)
      times.bare.push(...ms)
    },
    async (round) => {
      const from = round * each
      const { ms } = await searchStore(compared, from, from + each, ours.ef, searched)
      times.store.push(...ms)
    },
    async (round) => {
      for (let n = round * each; n < round * each + bench.size(2, 5); n++) {
        await exact.measure(() => rowsFor(compared.store, queryAt(data, n), { exact: true }))
      }
    }
  ])
  const [mine, theirP50] = [median(times.store), median(times.bare)]
  bench.note(`p50 ${us(mine)} against ${us(theirP50)}: ${(mine / theirP50).toFixed(2)} times`)
  return ours.ef
}

async function searchStore(
  { data, store }: Compared,
  from: number,
  to: number,
  ef: number,
  lane?: Lane
): Promise<{ found: Map<number, number[]>; ms: number[] }> {
  const found = new Map<number, number[]>()
  const ms: number[] = []
  for (let n = from; n < to; n++) {
    const started = performance.now()
    found.set(n, await rowsFor(store, queryAt(data, n), { ef }))
    const took = performance.now() - started
    lane?.timed(took)
    ms.push(took)
  }
  return { found, ms }
}

/** The same queries, by one caller and by several that each wait for their own. */
async function searchAtOnce({ bench, data, store }: Compared, ef: number): Promise<void> {
  const queries = queriesIn(data)
  const alone = bench.lane('searches: one at a time')
  const lanes = [
    { callers: 1, lane: alone },
    { callers: 2, lane: bench.lane('searches: two at a time', alone) },
    { callers: 4, lane: bench.lane('searches: four at a time', alone) }
  ]
  let found = 0
  await bench.alternate(
    bench.size(1, 4),
    lanes.map(({ callers, lane }) => async () => {
      let next = 0
      const call = async (): Promise<void> => {
        while (next < queries) {
          const query = queryAt(data, next++)
          found += (await lane.measure(() => rowsFor(store, query, { ef }))).length
        }
      }
      await lane.run(async () => {
        await Promise.all(Array.from({ length: callers }, call))
      })
    })
  )
  bench.fingerprint(found)
}

async function openAgain(
  bench: BenchContext,
  data: VectorData,
  folder: Scratch,
  rebuildMs: number
): Promise<void> {
  const opened = bench.lane('open')
  const searched = bench.lane('first search after it')
  const firsts: number[] = []
  await bench.alternate(bench.size(1, 5), [
    async (round) => {
      const started = performance.now()
      await using store = await opened.measure(() => open(folder.path('store')))
      const query = queryAt(data, round)
      const rows = await searched.measure(() => rowsFor(store, query, {}))
      firsts.push(performance.now() - started)
      bench.fingerprint(rows.length)
    }
  ])
  const first = median(firsts)
  const times = (rebuildMs / first).toFixed(0)
  bench.note(`open and first search ${first.toFixed(1)} ms, a rebuild takes ${times} times as long`)
}
