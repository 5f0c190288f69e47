/** What does a read cost in a large store, and how long until it can be read at all? */
import { ConceptId, open, type Store } from 'sutra-storage'
import type { BenchContext } from './harness.ts'
import {
  associationRecords,
  associationsOf,
  type Bare,
  bareKey,
  bareKeyOfAssociation,
  conceptRecords,
  contentOf,
  count,
  keyOf,
  openBare,
  type Scratch,
  scratch
} from './support.ts'

const ASSOCIATIONS_EACH = 3
const NEIGHBOURS = 10
const ROWS_AT_ONCE = 1000

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
  await fillStore(folder.path('store'), concepts, bench.seed)
  await fillBare(folder.path('bare'), concepts, bench.seed)

  await openAgain(bench, folder)
  await using store = await open(folder.path('store'))
  await using bare = await openBare(folder.path('bare'))
  await getById(bench, store, bare, concepts)
  await listNeighbours(bench, store, bare, concepts)
  await replay(bench, store, bare)
}

async function fillStore(directory: string, concepts: number, seed: number): Promise<void> {
  await using store = await open(directory, { durability: 'os' })
  await store.import(conceptRecords(0, concepts))
  await store.import(associationRecords(concepts, ASSOCIATIONS_EACH, seed))
  await store.caughtUp()
}

async function fillBare(directory: string, concepts: number, seed: number): Promise<void> {
  await using bare = await openBare(directory)
  let batch = bare.batch()
  const put = async (key: Buffer, value: Buffer): Promise<void> => {
    batch.put(key, value)
    if (batch.length < ROWS_AT_ONCE) return
    await batch.write()
    batch = bare.batch()
  }
  for (let i = 0; i < concepts; i++) await put(bareKey(i), Buffer.from(contentOf(i)))
  for (const association of associationsOf(concepts, ASSOCIATIONS_EACH, seed)) {
    await put(bareKeyOfAssociation(association), Buffer.alloc(8))
  }
  await batch.write()
  const everything = Buffer.alloc(0)
  await bare.compactRange(everything, everything)
}

async function openAgain(bench: BenchContext, folder: Scratch): Promise<void> {
  const bareLane = bench.lane('open: classic-level')
  const storeLane = bench.lane('open: store, and the first get', bareLane)
  await bench.alternate(bench.size(1, 5), [
    async () => {
      const bare = await bareLane.measure(async () => {
        const opened = await openBare(folder.path('bare'))
        opened.getSync(bareKey(0))
        return opened
      })
      await bare.close()
    },
    async () => {
      const store = await storeLane.measure(async () => {
        const opened = await open(folder.path('store'))
        await opened.get({ key: keyOf(0) })
        return opened
      })
      await store.close()
    }
  ])
}

async function getById(
  bench: BenchContext,
  store: Store,
  bare: Bare,
  concepts: number
): Promise<void> {
  const bareLane = bench.lane('get by random id: classic-level getSync')
  const storeLane = bench.lane('get by random id: store.get', bareLane)
  const reads = bench.size(20, 5_000)
  let length = 0
  await bench.alternate(bench.size(2, 20), [
    async () => {
      for (const key of draw(bench, reads, concepts).map(bareKey)) {
        length += bareLane.measureSync(() => bare.getSync(key))?.length ?? 0
      }
    },
    async () => {
      for (const id of draw(bench, reads, concepts).map(idOf)) {
        length += (await storeLane.measure(() => store.get(id)))?.content.length ?? 0
      }
    }
  ])
  bench.fingerprint(length)
}

async function listNeighbours(
  bench: BenchContext,
  store: Store,
  bare: Bare,
  concepts: number
): Promise<void> {
  const bareLane = bench.lane(`out-neighbours: classic-level iterator`)
  const storeLane = bench.lane(`out-neighbours: store.neighbors`, bareLane)
  const reads = bench.size(20, 1_000)
  let found = 0
  await bench.alternate(bench.size(2, 20), [
    async () => {
      for (const key of draw(bench, reads, concepts).map(bareKey)) {
        found += await bareLane.measure(() => rowsBehind(bare, key))
      }
    },
    async () => {
      for (const id of draw(bench, reads, concepts).map(idOf)) {
        const neighbours = storeLane.measure(() => store.neighbors(id, { limit: NEIGHBOURS }))
        found += (await neighbours).length
      }
    }
  ])
  bench.fingerprint(found)
}

async function rowsBehind(bare: Bare, prefix: Buffer): Promise<number> {
  const end = Buffer.concat([prefix, Buffer.alloc(1, 0xff)])
  const iterator = bare.iterator({ gt: prefix, lt: end, limit: NEIGHBOURS })
  try {
    return (await iterator.nextv(NEIGHBOURS)).length
  } finally {
    await iterator.close()
  }
}

/** All events from the first one; of the bare engine all rows, which are not decoded. */
async function replay(bench: BenchContext, store: Store, bare: Bare): Promise<void> {
  const bareLane = bench.lane('read all: classic-level iterator, rows')
  const storeLane = bench.lane('read all: store.events, events', bareLane)
  let rows = 0
  let last = 0
  await bench.alternate(1, [
    async () => {
      await bareLane.run(async () => {
        const iterator = bare.iterator({ fillCache: false })
        for (;;) {
          const read = await iterator.nextv(ROWS_AT_ONCE)
          if (read.length === 0) break
          rows += read.length
        }
        await iterator.close()
      }, store.head)
    },
    async () => {
      await storeLane.run(async () => {
        for await (const { position } of store.events()) last = position
      }, store.head)
    }
  ])
  bench.fingerprint(rows)
  bench.fingerprint(last)
}

function draw(bench: BenchContext, count: number, concepts: number): number[] {
  return Array.from({ length: count }, () => Math.floor(bench.random() * concepts))
}

function idOf(concept: number): ConceptId {
  return ConceptId.fromKey(keyOf(concept))
}
