/** What the benchmarks of vectors have in common. */
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ImportRecord, SearchOptions, Store, StoreOptions } from 'sutra-storage'
import { CONNECTIVITY, EXPANSION_ADD, type Quantization } from './bare-usearch.ts'
import type { BenchContext, Lane } from './harness.ts'
import { count } from './support.ts'
import { clusteredVectors, type VectorData, wordVectors } from './vector-data.ts'

export const K = 10
export const RECALL = 0.99
/** As many as the store uses itself. */
export const THREADS: number = Math.min(2, availableParallelism())
/** Tried one after the other until the recall is reached. */
export const EFS: readonly number[] = [32, 48, 64, 80, 96, 128, 160, 192, 256, 384, 512]

/** Words at full size, where they are installed; otherwise, and in tests, clusters. */
export async function vectorsFor(bench: BenchContext): Promise<VectorData> {
  const words = bench.mode === 'full' ? await wordVectors() : undefined
  if (words !== undefined) return words
  if (bench.mode === 'full') {
    bench.note('No words: `npm install --prefix bench/data` gets them. These are random vectors.')
  }
  return clusteredVectors(bench.size(1_500, 340_479), bench.size(12, 100), bench.seed)
}

export function titleOf(what: string, { name, base, queries, dimensions }: VectorData): string {
  const rows = count(base.length / dimensions)
  const held = count(queries.length / dimensions)
  return `${what}, ${rows} × ${dimensions} ${name}, ${held} queries held out, k = ${K}, cosine`
}

export function rowsIn({ base, dimensions }: VectorData): number {
  return base.length / dimensions
}

export function queriesIn({ queries, dimensions }: VectorData): number {
  return queries.length / dimensions
}

export function queryAt({ queries, dimensions }: VectorData, n: number): Float32Array {
  return queries.subarray(n * dimensions, (n + 1) * dimensions)
}

/** How a graph is made: by default, as usearch does by itself. */
export interface Graph {
  readonly connectivity: number
  readonly expansionAdd: number
}

const USUAL: Graph = { connectivity: CONNECTIVITY, expansionAdd: EXPANSION_ADD }

export function vectorOptions(
  data: VectorData,
  quantization: Quantization,
  graph: Graph = USUAL
): StoreOptions {
  return {
    durability: 'os',
    vectors: {
      dimensions: data.dimensions,
      metric: 'cosine',
      quantization,
      ...graph
    }
  }
}

/** One concept for each row, under its number; with a vector, or one of so many with one. */
export function* vectorRecords(
  { base, dimensions }: VectorData,
  { metadataOf, every = 1 }: { metadataOf?: (row: number) => object; every?: number } = {}
): Generator<ImportRecord> {
  const rows = base.length / dimensions
  for (let row = 0; row < rows; row++) {
    yield {
      kind: 'concept',
      key: keyOfRow(row),
      content: keyOfRow(row),
      ...(row % every === 0 && {
        // A copy: what is imported must not lie in memory that others change.
        embedding: base.slice(row * dimensions, (row + 1) * dimensions)
      }),
      ...(metadataOf === undefined ? {} : { metadata: metadataOf(row) })
    }
  }
}

export function keyOfRow(row: number): string {
  return `row-${row}`
}

/**
 * Waits until every vector is in a graph, or until nothing moves any more: the last few may stay
 * outside, as each search scans them faster than a graph of their own would be asked.
 *
 * @returns When it was so, by `performance.now()`.
 */
export async function indexed(bench: BenchContext, store: Store): Promise<number> {
  await store.caughtUp()
  const stillMs = bench.size(100, 5_000)
  let { pending } = store.stats().vectors
  let since = performance.now()
  while (pending > 0 && performance.now() - since < stillMs) {
    await sleep(10)
    const { pending: now } = store.stats().vectors
    if (now !== pending) since = performance.now()
    pending = now
  }
  return since
}

/**
 * Times work until everything that it embeds is in a graph.
 *
 * @returns Milliseconds.
 */
export async function untilIndexed(
  bench: BenchContext,
  store: Store,
  lane: Lane,
  work: () => Promise<unknown>
): Promise<number> {
  const began = performance.now()
  const cpu = process.cpuUsage()
  await work()
  const ms = (await indexed(bench, store)) - began
  // Waiting for nothing more to come takes next to none.
  const { user, system } = process.cpuUsage(cpu)
  lane.took(ms, (await store.counts()).vectors, user + system)
  return ms
}

/** Rows that a search finds, best first. */
export async function rowsFor(
  store: Store,
  query: Float32Array,
  options: SearchOptions
): Promise<number[]> {
  const matches = await store.search(query, { k: K, ...options })
  return matches.map(({ key = '' }) => Number(key.slice(key.indexOf('-') + 1)))
}

/** Share of the right answers to some queries that were found. */
export function recallOf(
  found: ReadonlyMap<number, readonly number[]>,
  truth: Uint32Array,
  most = K
): number {
  let hits = 0
  for (const [n, rows] of found) {
    const right = new Set(truth.subarray(n * K, n * K + most))
    hits += rows.filter((row) => right.has(row)).length
  }
  return hits / (found.size * most)
}

/** Of the bare engine's answers, which lie one behind the other. */
export function asFound(from: number, found: Uint32Array): Map<number, number[]> {
  const queries = found.length / K
  return new Map(
    Array.from({ length: queries }, (_, n) => [from + n, [...found.subarray(n * K, (n + 1) * K)]])
  )
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0
}

/** Milliseconds as microseconds, for a note. */
export function us(ms: number): string {
  return `${Math.round(ms * 1000).toLocaleString('en-US')} µs`
}

/** What searches with one `ef` found, and how long they took. */
export interface Tried {
  readonly ef: number
  readonly recall: number
  /** Of each search. */
  readonly ms: readonly number[]
}

/** Tries one after the other until the recall is reached, and notes what each gave. */
export async function tryEfs(
  bench: BenchContext,
  name: string,
  efs: readonly number[],
  tryOne: (ef: number) => Promise<Omit<Tried, 'ef'>>
): Promise<Tried[]> {
  const tried: Tried[] = []
  for (const ef of efs) {
    const one = { ef, ...(await tryOne(ef)) }
    tried.push(one)
    if (one.recall >= RECALL) break
  }
  const told = tried.map(({ ef, recall, ms }) => `ef ${ef} ${recall.toFixed(4)} ${us(median(ms))}`)
  bench.note(`${name}, recall@${K} and p50: ${told.join('; ')}`)
  return tried
}

/** The first that reached a recall that one of them did reach. */
export function firstWith(tried: readonly Tried[], least: number): Tried {
  const first = tried.find(({ recall }) => recall >= least)
  if (first === undefined) throw new Error(`none of them has a recall of ${least}`)
  return first
}
