/** How long until WordNet with its vectors can be searched: at first, and in a fresh process? */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { type ImportRecord, open, type Store } from 'sutra-storage'
import { BareUsearch, CONNECTIVITY, EXPANSION_ADD } from './bare-usearch.ts'
import type { BenchContext, Lane } from './harness.ts'
import { type Dataset, type Made, readOrMake } from './peers/dataset.ts'
import type { Questions } from './peers/questions.ts'
import { count, diskBytes, type Scratch, scratch } from './support.ts'
import { haveWords, type VectorData } from './vector-data.ts'
import { THREADS, untilIndexed, vectorOptions } from './vectors-support.ts'

const CHILD = fileURLToPath(new URL('first-answer-child.mjs', import.meta.url))
/** Made once, by whichever benchmark needs it first. */
const MADE = fileURLToPath(new URL('peers/data/', import.meta.url))
const K = 10
/** Fewer have hardly any that are five hops apart. */
const SMOKE_SYNSETS = 2000

export async function wordnetVectors(bench: BenchContext): Promise<void> {
  await using folder = await scratch()
  const { data, questions } = await datasetFor(bench, folder)
  const vectors = vectorDataOf(data, questions)
  const rows = data.keys.length
  bench.title(
    `WordNet with vectors, ready to search: ${count(rows)} concepts × ${data.dimensions} ` +
      `(${data.vectorsFrom}), ${count(data.sources.length)} associations, f16, fsync: no`
  )
  const rounds = bench.size(1, 3)
  {
    await using usearch = new BareUsearch(vectors)
    const bareLane = bench.lane(`usearch alone, ${THREADS} threads, vectors`)
    const storeLane = bench.lane('store.import, tables and graph complete', bareLane)
    await bench.alternate(rounds, [
      async () => {
        await bareLane.run(async () => usearch.build('f16', THREADS), rows)
      },
      async (round) => {
        const options = vectorOptions(vectors, 'f16')
        await using store = await open(folder.path(`store-${round}`), options)
        await untilIndexed(bench, store, storeLane, async () => store.import(recordsOf(data)))
        bench.fingerprint((await store.counts()).associations)
        if (round > 0) return
        const recall = await recallOf(store, questions)
        bench.note(`recall@${K} of searches as they come: ${recall.toFixed(3)}`)
      }
    ])
    bench.figure('ready to search, against usearch alone', bareLane.rate / storeLane.rate, 'times')
    await usearch.save(folder.path('bare.usearch'))
  }
  const bytes = await diskBytes(folder.path('store-0'))
  bench.figure('on disk, closed', bytes / 1e6, 'MB')
  await firstAnswers(bench, folder, vectors)
}

async function datasetFor(bench: BenchContext, folder: Scratch): Promise<Made> {
  if (bench.mode === 'smoke') return readOrMake(folder.path('made'), SMOKE_SYNSETS)
  if (haveWords()) return readOrMake(MADE)
  bench.note('No words: `npm install --prefix bench/data` gets them. These are hashed ones.')
  return readOrMake(MADE, undefined, true)
}

function vectorDataOf(data: Dataset, { queries }: Questions): VectorData {
  const base = new Float32Array(new SharedArrayBuffer(data.vectors.byteLength))
  base.set(data.vectors)
  return { name: data.vectorsFrom, dimensions: data.dimensions, base, queries }
}

function* recordsOf(data: Dataset): Generator<ImportRecord> {
  const { keys, types, contents, vectors, dimensions, sources, targets } = data
  for (const [row, key] of keys.entries()) {
    yield {
      kind: 'concept',
      key,
      type: types[row] ?? '',
      content: contents[row] ?? '',
      // A copy: what is imported must not lie in memory that others change.
      embedding: vectors.slice(row * dimensions, (row + 1) * dimensions)
    }
  }
  for (const [edge, source] of sources.entries()) {
    const key = data.edgeKeys[edge] ?? ''
    yield {
      kind: 'association',
      sourceKey: keys[source] ?? '',
      targetKey: keys[targets[edge] ?? 0] ?? '',
      type: data.typeNames[data.edgeTypes[edge] ?? 0] ?? '',
      ...(key === '' ? {} : { key })
    }
  }
}

/** Share of what is right that is found with the `ef` that a search takes unasked. */
async function recallOf(
  store: Store,
  { queries, dimensions, nearest }: Questions
): Promise<number> {
  let hits = 0
  for (const [n, right] of nearest.entries()) {
    const query = queries.slice(n * dimensions, (n + 1) * dimensions)
    const found = await store.search(query, { k: K })
    hits += found.filter(({ key = '' }) => right.includes(key)).length
  }
  return hits / (nearest.length * K)
}

/** From before a process is started until it has an answer: Node's own start is part of it. */
async function firstAnswers(
  bench: BenchContext,
  folder: Scratch,
  { queries, dimensions }: VectorData
): Promise<void> {
  const queryPath = folder.path('query.f32')
  await writeFile(queryPath, queries.subarray(0, dimensions))
  const shape = { dimensions, connectivity: CONNECTIVITY, expansionAdd: EXPANSION_ADD, k: K }
  const bareLane = bench.lane('fresh process to first k-NN answer: usearch')
  const storeLane = bench.lane('fresh process to first k-NN answer: store', bareLane)
  const works = [
    { lane: bareLane, kind: 'usearch', path: folder.path('bare.usearch') },
    { lane: storeLane, kind: 'store', path: folder.path('store-0') }
  ].map(({ lane, kind, path }) => async () => {
    await answerOnce(lane, { kind, path, queryPath, ...shape })
  })
  await bench.alternate(bench.size(1, 7), works)
}

async function answerOnce(lane: Lane, asked: object): Promise<void> {
  const started = performance.now()
  const child = spawn(process.execPath, [CHILD, JSON.stringify(asked)], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const ended = once(child, 'close')
  // Its first line is its answer. A child that ends without one closes its output as well.
  const answered = once(child.stdout, 'data').then(() => performance.now())
  const first = await Promise.race([answered, ended.then(() => undefined)])
  const [code] = (await ended) as [number | null]
  if (first === undefined || code !== 0) throw new Error(`No answer: exit code ${code}`)
  lane.timed(first - started)
}
