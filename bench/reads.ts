/** What does a read cost in a large store? */
import { ConceptId, open, type Store } from 'sutra-storage'
import type { BenchContext } from './harness.ts'
import {
  type Bare,
  bareKey,
  bareRows,
  count,
  graphRecords,
  keyOf,
  openBare,
  scratch,
  writeBare
} from './support.ts'

const ASSOCIATIONS_EACH = 3
const NEIGHBOURS = 10
const HOT = 64
const ROWS_AT_ONCE = 1000

interface Compared {
  bench: BenchContext
  store: Store
  bare: Bare
  concepts: number
}

/**
 * One large store and the same in rows of the bare engine, read in every way there is. Together
 * in one benchmark, because making them takes longer than reading them.
 */
export async function readLargeStore(bench: BenchContext): Promise<void> {
  const concepts = bench.size(2_000, 1_000_000)
  bench.title(
    `Reads of ${count(concepts)} concepts of 100 bytes with ${ASSOCIATIONS_EACH} associations each`
  )
  await using folder = await scratch()
  await fillStore(folder.path('store'), concepts, ASSOCIATIONS_EACH, bench.seed)
  await fillBare(folder.path('bare'), concepts, ASSOCIATIONS_EACH, bench.seed)
  await using store = await open(folder.path('store'))
  await using bare = await openBare(folder.path('bare'))
  const compared = { bench, store, bare, concepts }
  const anywhere = (): number => Math.floor(bench.random() * concepts)
  const few = Array.from({ length: HOT }, anywhere)
  const hot = (): number => few[Math.floor(bench.random() * HOT)] ?? 0
  await getById(compared, 'random id', anywhere)
  await getById(compared, `one of ${HOT} hot ids`, hot)
  await getById(compared, 'missing id', () => concepts + anywhere())
  await listNeighbours(compared, 'out')
  await listNeighbours(compared, 'in')
  for (const [name, { hits, misses }] of Object.entries(store.stats().caches)) {
    if (hits + misses === 0) continue
    const share = (100 * hits) / (hits + misses)
    bench.note(`cache '${name}': ${share.toFixed(1)} % of ${count(hits + misses)} look-ups hit`)
  }
}

export async function fillStore(
  directory: string,
  concepts: number,
  each: number,
  seed: number
): Promise<void> {
  await using store = await open(directory, { durability: 'os' })
  await store.import(graphRecords(concepts, each, seed))
  await store.caughtUp()
}

export async function fillBare(
  directory: string,
  concepts: number,
  each: number,
  seed: number
): Promise<void> {
  await using bare = await openBare(directory)
  await writeBare(bare, bareRows({ from: 0, to: concepts, each, seed }), ROWS_AT_ONCE)
  // Nothing of its own background work is left to disturb what follows.
  const everything = Buffer.alloc(0)
  await bare.compactRange(everything, everything)
}

async function getById(
  { bench, store, bare }: Compared,
  which: string,
  drawOne: () => number
): Promise<void> {
  const bareLane = bench.lane(`get, ${which}: classic-level getSync`)
  const storeLane = bench.lane(`get, ${which}: store.get`, bareLane)
  const reads = bench.size(20, 5_000)
  let length = 0
  await bench.alternate(bench.size(2, 20), [
    async () => {
      for (const key of draw(reads, drawOne).map(bareKey)) {
        length += bareLane.measureSync(() => bare.getSync(key))?.length ?? 0
      }
    },
    async () => {
      for (const id of draw(reads, drawOne).map(idOf)) {
        length += (await storeLane.measure(() => store.get(id)))?.content.length ?? 0
      }
    }
  ])
  bench.fingerprint(length)
}

async function listNeighbours(
  { bench, store, bare, concepts }: Compared,
  direction: 'out' | 'in'
): Promise<void> {
  const bareLane = bench.lane(`${direction}-neighbours: classic-level iterator`)
  const storeLane = bench.lane(`${direction}-neighbours: store.neighbors`, bareLane)
  const reads = bench.size(20, 1_000)
  const anywhere = (): number => Math.floor(bench.random() * concepts)
  let found = 0
  await bench.alternate(bench.size(2, 20), [
    async () => {
      for (const key of draw(reads, anywhere).map(bareKey)) {
        found += await bareLane.measure(() => rowsBehind(bare, key, direction))
      }
    },
    async () => {
      for (const id of draw(reads, anywhere).map(idOf)) {
        const neighbours = storeLane.measure(() =>
          store.neighbors(id, { direction, limit: NEIGHBOURS })
        )
        found += (await neighbours).length
      }
    }
  ])
  bench.fingerprint(found)
}

async function rowsBehind(bare: Bare, key: Buffer, direction: 'out' | 'in'): Promise<number> {
  const prefix = Buffer.concat([key, Buffer.from(direction === 'out' ? '>' : '<')])
  const end = Buffer.concat([prefix, Buffer.alloc(1, 0xff)])
  const iterator = bare.iterator({ gt: prefix, lt: end, limit: NEIGHBOURS })
  try {
    return (await iterator.nextv(NEIGHBOURS)).length
  } finally {
    await iterator.close()
  }
}

function draw(count: number, one: () => number): number[] {
  return Array.from({ length: count }, one)
}

function idOf(concept: number): ConceptId {
  return ConceptId.fromKey(keyOf(concept))
}
