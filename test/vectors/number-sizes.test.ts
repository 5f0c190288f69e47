/** Vectors of numbers far from 1: graphs of small numbers find what graphs of large ones find. */
import { expect, test } from 'vitest'
import type { LogEvent, VectorsDeclared } from '#sutra/log/event.js'
import { Query } from '#sutra/projections/vectors/distance.js'
import { GraphFactory } from '#sutra/projections/vectors/vector-index.js'
import { catchUp, DECLARED, VectorsFixture } from '../projections/vectors-fixture.ts'
import { Random } from '../support/random.ts'
import { Clusters } from './clusters.ts'

const DIMENSIONS = 16
const ROWS = 900
const QUERIES = 25
const K = 10
/** From numbers that f32 holds with a bit or two to its largest. */
const SIZES = [1e-43, 1e-30, 1e-8, 1e-3, 1, 1e3, 1e6, 1e19, 5e37]
const QUANTIZATIONS = ['f32', 'f16', 'bf16', 'i8'] as const
const METRICS = ['cosine', 'ip', 'l2sq'] as const
const random = new Random()

test.each(METRICS.flatMap((metric) => QUANTIZATIONS.map((one) => [metric, one] as const)))(
  'a graph of %s over %s finds the nearest, whatever size the numbers have',
  async (metric, quantization) => {
    const declaration: VectorsDeclared = {
      ...DECLARED,
      dimensions: DIMENSIONS,
      metric,
      quantization
    }
    const factory = await GraphFactory.load(declaration)
    for (const size of SIZES) {
      const vectors = vectorsOf(ROWS + QUERIES, size)
      const rows = joined(vectors.slice(0, ROWS))
      const graph = factory.create(factory.scaleOf(rows.subarray(0, 100 * DIMENSIONS)))
      graph.add(
        Uint32Array.from({ length: ROWS }, (_, at) => at),
        rows
      )
      let hits = 0
      for (const vector of vectors.slice(ROWS)) {
        const query = new Query(vector, metric)
        const distanceOf = (row: number): number =>
          query.distance(rows, row * DIMENSIONS, Number.NaN)
        const right = Array.from({ length: ROWS }, (_, row) => distanceOf(row)).sort(
          (a, b) => a - b
        )
        const found = [...graph.nearest(vector, 64).keys].map((key) => distanceOf(Number(key)))
        found.sort((a, b) => a - b)
        hits += found.slice(0, K).filter((distance) => distance <= (right[K - 1] ?? 0)).length
      }
      expect(hits / (K * QUERIES), `size ${size}, seed ${random.seed}`).toBeGreaterThan(0.93)
    }
  }
)

test.each(['ip', 'l2sq'] as const)(
  'a graph of %s is made anew while it is small and its vectors turn out to be of another size',
  async (metric) => {
    await using fixture = await VectorsFixture.create()
    const declaration: VectorsDeclared = { ...DECLARED, dimensions: DIMENSIONS, metric }
    const client = await fixture.start({ declaration })
    await learn(fixture, vectorsOf(1500, 1e-3))
    await catchUp(client, fixture.head)
    await client.save(fixture.head)
    expect(client.stats()).toMatchObject({ indexed: 1500, scanned: 0 })

    const large = vectorsOf(6500, 100)
    await learn(fixture, large.slice(0, 6000))
    await catchUp(client, fixture.head)
    await client.save(fixture.head)
    expect(client.stats()).toMatchObject({ indexed: 7500, scanned: 0 })
    const queries = large.slice(6450)
    expect(await recallOf(fixture, client, queries, metric)).toBeGreaterThan(0.93)
    await fixture.stop(client)

    const again = await fixture.start({ declaration })
    await again.checked
    expect(again.stats()).toMatchObject({ indexed: 7500, scanned: 0 })
    expect(await recallOf(fixture, again, queries, metric)).toBeGreaterThan(0.93)
    expect((await again.check()).problems).toEqual([])
    await learn(fixture, large.slice(6000, 6450))
    await catchUp(again, fixture.head)
    expect(await recallOf(fixture, again, queries, metric)).toBeGreaterThan(0.93)
  }
)

function vectorsOf(count: number, size: number): Float32Array[] {
  const clusters = new Clusters(random, DIMENSIONS)
  return Array.from({ length: count }, () => clusters.next().map((value) => value * size))
}

function joined(vectors: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(vectors.length * DIMENSIONS)
  for (const [at, vector] of vectors.entries()) all.set(vector, at * DIMENSIONS)
  return all
}

async function learn(fixture: VectorsFixture, vectors: readonly Float32Array[]): Promise<void> {
  for (let at = 0; at < vectors.length; at += 250) {
    const events: LogEvent[] = vectors.slice(at, at + 250).map((one) => fixture.learned(one))
    await fixture.append(events)
  }
}

async function recallOf(
  fixture: VectorsFixture,
  client: Awaited<ReturnType<VectorsFixture['start']>>,
  queries: readonly Float32Array[],
  metric: VectorsDeclared['metric']
): Promise<number> {
  let hits = 0
  for (const query of queries) {
    const found = await client.search(query, { k: K, ef: 64, position: fixture.head })
    const right = new Set(fixture.nearest(query, K, metric))
    hits += found.revisions.filter((revision) => right.has(revision)).length
  }
  return hits / (K * queries.length)
}
