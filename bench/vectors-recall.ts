/** Which recall does a denser graph reach, how fast, and what does it cost to make one? */
import { open } from 'sutra-storage'
import { BareUsearch } from './bare-usearch.ts'
import type { BenchContext } from './harness.ts'
import { scratch } from './support.ts'
import {
  type Graph,
  K,
  median,
  queriesIn,
  queryAt,
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

/** Twice the edges, chosen from twice as many candidates. */
const DENSE: Graph = { connectivity: 32, expansionAdd: 256 }
const EFS = [96, 128, 160, 192, 224, 256, 288, 320, 384, 512]
const ROUNDS = 5

export async function denserGraph(bench: BenchContext): Promise<void> {
  const data = await vectorsFor(bench)
  const graph = `i8, connectivity ${DENSE.connectivity}, expansionAdd ${DENSE.expansionAdd}`
  bench.title(titleOf(`Recall of a denser graph: ${graph}`, data))
  await using folder = await scratch()
  await using bare = new BareUsearch(data, DENSE)
  const queries = queriesIn(data)
  const truth = await bare.truth(queries, K)
  await using store = await open(folder.path('store'), vectorOptions(data, 'i8', DENSE))
  const usearch = bench.lane(`build: usearch, ${THREADS} threads, vectors`)
  const projected = bench.lane('store.import, all in a graph', usearch)
  await usearch.run(async () => bare.build('i8', THREADS), rowsIn(data))
  await untilIndexed(bench, store, projected, async () => store.import(vectorRecords(data)))

  const search = async (ef: number): Promise<{ recall: number; ms: number[] }> => {
    const found = new Map<number, number[]>()
    const ms: number[] = []
    for (let n = 0; n < queries; n++) {
      const began = performance.now()
      found.set(n, await rowsFor(store, queryAt(data, n), { ef }))
      ms.push(performance.now() - began)
    }
    return { recall: recallOf(found, truth), ms }
  }
  const { ef, recall } = (await tryEfs(bench, 'store', EFS, search)).at(-1) ?? { ef: 0, recall: 0 }
  // The machine has better and worse moments: each round tells of one.
  const p50s: number[] = []
  for (let round = 0; round < bench.size(1, ROUNDS); round++)
    p50s.push(median((await search(ef)).ms))
  const told = p50s.map((ms) => us(ms)).join(', ')
  bench.note(`ef ${ef}, recall@${K} ${recall.toFixed(4)}, p50 by rounds: ${told}`)
  bench.figure(`p50 at recall ${recall.toFixed(3)}, best round`, Math.min(...p50s), 'ms')
  const { indexed, pending } = store.stats().vectors
  bench.fingerprint(indexed + pending)
}
