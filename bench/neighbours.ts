/** What do ten neighbours of a concept cost that nobody has asked about yet? */
import { ConceptId, open } from 'sutra-storage'
import type { BenchContext } from './harness.ts'
import { fillBare, fillStore } from './reads.ts'
import { bareKey, count, keyOf, openBare, scratch } from './support.ts'

const NEIGHBOURS = 10

/**
 * Each concept is asked about once, after every round in a store that was opened anew: no cache
 * holds its row. The file cache does, as it does for the rows of the bare engine.
 */
export async function coldNeighbours(bench: BenchContext): Promise<void> {
  const concepts = bench.size(1_000, 300_000)
  const reads = bench.size(20, 2_000)
  const rounds = bench.size(2, 10)
  bench.title(
    `${NEIGHBOURS} neighbours of one of ${count(concepts)} concepts, row caches cold, ` +
      'against one bare read of a row'
  )
  await using folder = await scratch()
  await fillStore(folder.path('store'), concepts, NEIGHBOURS, bench.seed)
  await fillBare(folder.path('bare'), concepts, NEIGHBOURS, bench.seed)
  const bareLane = bench.lane('classic-level getSync of one concept')
  const storeLane = bench.lane('store.neighbors, out', bareLane)
  const withLane = bench.lane("store.neighbors, out, include: ['concept']", bareLane)
  // No concept comes twice, whatever the round and the lane.
  const order = shuffled(concepts, bench.random)
  const take = (): number[] => order.splice(-reads)
  let found = 0
  await bench.alternate(rounds, [
    async () => {
      await using bare = await openBare(folder.path('bare'))
      for (const key of take().map(bareKey)) {
        found += bareLane.measureSync(() => bare.getSync(key))?.length ?? 0
      }
    },
    ...[
      { lane: storeLane, include: [] },
      { lane: withLane, include: ['concept' as const] }
    ].map(({ lane, include }) => async () => {
      await using store = await open(folder.path('store'))
      // What is loaded at the first read of all is loaded now.
      await store.neighbors({ key: keyOf(order[0] ?? 0) })
      for (const id of take().map((concept) => ConceptId.fromKey(keyOf(concept)))) {
        found += (await lane.measure(() => store.neighbors(id, { include }))).length
      }
    })
  ])
  bench.fingerprint(found)
}

/** All numbers below one, in an order that follows from the seed. */
function shuffled(below: number, random: () => number): number[] {
  const numbers = Array.from({ length: below }, (_, i) => i)
  for (let i = below - 1; i > 0; i--) {
    const other = Math.floor(random() * (i + 1))
    const [a = 0, b = 0] = [numbers[i], numbers[other]]
    numbers[i] = b
    numbers[other] = a
  }
  return numbers
}
