/** What every peer is asked, drawn with a fixed seed, and the right answers that take long. */
import { seededRandom } from '../support.ts'
import { adjacencyOf, rings } from './adjacency.ts'
import type { Dataset } from './dataset.ts'
import { type Words, wordsIn } from './words.ts'

export interface Questions {
  dimensions: number
  /** Asked before anything is timed: code is compiled, files are read. */
  warmUp: string[]
  gets: string[]
  hops: string[]
  pairs: Pair[]
  /** One vector behind the other. None of them is in the dataset. */
  queries: Float32Array
  /** For each query the keys that are right: `K`, and more where others are as near as the last. */
  nearest: string[][]
}

export interface Pair {
  source: string
  target: string
  /** Fewest associations between them, walked both ways. */
  hops: number
}

export const K = 10
const SEED = 5
const GETS = 1000
const PAIRS = 100
const QUERIES = 200
/** For each pair, before the dataset is given up as too small for them. */
const TRIES = 100
/** Nearer together than this are two vectors that no engine with f32 tells apart. */
const TIE = 1e-6

export function drawQuestions(data: Dataset, words: Words): Questions {
  const random = seededRandom(SEED)
  const row = (): number => Math.floor(random() * data.keys.length)
  const keys = (count: number): string[] =>
    Array.from({ length: count }, () => data.keys[row()] ?? '')
  const [warmUp, gets, hops] = [keys(GETS), keys(GETS), keys(GETS)]
  const pairs = drawPairs(data, row)
  const queries = new Float32Array(QUERIES * data.dimensions)
  for (let n = 0; n < QUERIES; n++) {
    const text = data.contents[row()] ?? ''
    queries.set(words.meanOf(halfOf(text, random)), n * data.dimensions)
  }
  const { dimensions } = data
  return { dimensions, warmUp, gets, hops, pairs, queries, nearest: nearestOf(data, queries) }
}

/**
 * As many pairs 3 hops apart as 4 and 5, each from anywhere to anything at that distance.
 *
 * @throws Error where hardly anything is so far from anything.
 */
function drawPairs(data: Dataset, row: () => number): Pair[] {
  const graph = adjacencyOf(data.keys.length, data.sources, data.targets)
  const pairs: Pair[] = []
  for (let drawn = 0; pairs.length < PAIRS; drawn++) {
    if (drawn > PAIRS * TRIES) throw new Error(`${data.name} is too small to have pairs in it`)
    const hops = 3 + (pairs.length % 3)
    const source = row()
    const ring = ringAt(rings(graph, source), hops)
    const target = ring[row() % Math.max(ring.length, 1)]
    if (target === undefined) continue
    pairs.push({ source: data.keys[source] ?? '', target: data.keys[target] ?? '', hops })
  }
  return pairs
}

function ringAt(all: Iterable<number[]>, hops: number): number[] {
  let hop = 0
  for (const ring of all) {
    hop += 1
    if (hop === hops) return ring
  }
  return []
}

/** As if somebody had described a synset in fewer words: near it, and not the same. */
function halfOf(text: string, random: () => number): string {
  return wordsIn(text)
    .filter(() => random() < 0.5)
    .join(' ')
}

/** By multiplying every pair: all vectors have the length 1. */
function nearestOf({ vectors, dimensions, keys }: Dataset, queries: Float32Array): string[][] {
  const scores = new Float64Array(keys.length)
  return Array.from({ length: queries.length / dimensions }, (_, n) => {
    for (let row = 0; row < keys.length; row++) {
      scores[row] = dot(vectors, row * dimensions, queries, n * dimensions, dimensions)
    }
    const least = (scores.toSorted().at(-K) ?? -1) - TIE
    return keys.filter((_, row) => (scores[row] ?? -1) >= least)
  })
}

function dot(
  a: Float32Array,
  startA: number,
  b: Float32Array,
  startB: number,
  length: number
): number {
  let sum = 0
  for (let i = 0; i < length; i++) sum += (a[startA + i] ?? 0) * (b[startB + i] ?? 0)
  return sum
}
