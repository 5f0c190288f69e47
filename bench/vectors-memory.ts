/** What does an index cost in memory, and what does a smaller number in its graph save? */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { open } from 'sutra-storage'
import { BareUsearch, CONNECTIVITY, EXPANSION_ADD, type Quantization } from './bare-usearch.ts'
import type { BenchContext } from './harness.ts'
import { scratch } from './support.ts'
import type { VectorData } from './vector-data.ts'
import {
  EFS,
  indexed,
  K,
  keyOfRow,
  queriesIn,
  RECALL,
  recallOf,
  rowsIn,
  THREADS,
  titleOf,
  vectorOptions,
  vectorRecords,
  vectorsFor
} from './vectors-support.ts'

const CHILD = fileURLToPath(new URL('vectors-memory-child.mjs', import.meta.url))
const run = promisify(execFile)

interface Measured {
  kind: 'store' | 'usearch'
  quantization: Quantization
  path: string
  /** What the store may keep of its exact rows; what is not kept is read again for each search. */
  cacheBytes?: number
  /** Keys of concepts that are read besides, as many behind each search as it would find. */
  read?: string[]
}

interface Searched {
  data: VectorData
  queriesPath: string
  truth: Uint32Array
  /** Tried one after the other. */
  efs: readonly number[]
}

interface Answer {
  /** Bytes of resident memory behind the searches, less those before the index was opened. */
  grown: number
  found: number[][]
  ms: number[]
  /** Of a store: graphs that were searched, and vectors outside of them. */
  segments?: number
  pending?: number
}

/** One of so many concepts has a vector in the store that shows what a process takes without an index. */
const SPARSE = 340

export async function memory(bench: BenchContext): Promise<void> {
  const data = await vectorsFor(bench)
  bench.title(titleOf('Resident memory of a process that searches', data))
  await using folder = await scratch()
  const queriesPath = folder.path('queries.f32')
  const few = Math.min(queriesIn(data), bench.size(20, 250))
  await writeFile(queriesPath, data.queries.subarray(0, few * data.dimensions))
  await using bare = new BareUsearch(data)
  const truth = await bare.truth(few, K)
  const measured: Measured[] = []
  for (const quantization of ['f32', 'i8'] as const) {
    const path = folder.path(`${quantization}.usearch`)
    await bare.build(quantization, THREADS)
    await bare.save(path)
    measured.push({ kind: 'usearch', quantization, path })
  }
  for (const quantization of ['f32', 'f16', 'i8'] as const) {
    const path = folder.path(quantization)
    await fill(bench, path, data, quantization)
    measured.push({ kind: 'store', quantization, path })
    if (quantization === 'i8') measured.push({ kind: 'store', quantization, path, cacheBytes: 0 })
  }
  const sizes = new Map<string, number>()
  // Each is a process of its own: one will do to see that it works.
  const efs = bench.mode === 'smoke' ? [64] : EFS
  const fixed = await withoutIndex(bench, folder.path('sparse'), { data, queriesPath, truth, efs })
  for (const one of measured) {
    const cache = one.cacheBytes === undefined ? '' : ', no row kept'
    const name = `${one.kind}, ${one.quantization}${cache}`
    const { grown, ef, recall, ms, segments, pending } = await measure(one, {
      ...{ data, queriesPath, truth, efs }
    })
    const lane = bench.lane(`${name}, ef ${ef}, recall ${recall.toFixed(4)}`)
    for (const each of ms) lane.timed(each)
    sizes.set(name, grown)
    const own = one.kind === 'store' ? `, ${mb(grown - fixed)} of them for the index` : ''
    const graphs = one.kind === 'store' ? `, ${segments} graphs, ${pending} vectors outside` : ''
    bench.note(`${name}: ${mb(grown)}${own}, recall@${K} ${recall.toFixed(4)}${graphs}`)
  }
  bench.note(`a store of the same concepts, one of ${SPARSE} with a vector: ${mb(fixed)}`)
  const f32 = sizes.get('store, f32') ?? 1
  for (const small of ['store, i8', 'store, i8, no row kept']) {
    const size = sizes.get(small) ?? 0
    const all = (size / f32).toFixed(2)
    const index = ((size - fixed) / (f32 - fixed)).toFixed(2)
    bench.note(`${small}, against store, f32: ${all} of the memory, ${index} of the index's`)
  }
  bench.fingerprint(rowsIn(data))
}

/**
 * What a process takes for the same concepts where there is next to nothing to search: it searches as
 * often, and reads as many concepts from all over the store.
 */
async function withoutIndex(
  bench: BenchContext,
  path: string,
  searched: Searched
): Promise<number> {
  await fill(bench, path, searched.data, 'f32', SPARSE)
  const read = Array.from(searched.truth, (row) => keyOfRow(row))
  const one: Measured = { kind: 'store', quantization: 'f32', path, read }
  const { grown } = await measure(one, { ...searched, efs: searched.efs.slice(-1) })
  return grown
}

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`
}

async function fill(
  bench: BenchContext,
  path: string,
  data: VectorData,
  quantization: Quantization,
  every = 1
): Promise<void> {
  await using store = await open(path, vectorOptions(data, quantization))
  await store.import(vectorRecords(data, { every }))
  await indexed(bench, store)
}

/** With the smallest `ef` that reaches the recall, or else the largest. */
async function measure(
  { kind, quantization, path, cacheBytes, read }: Measured,
  { data, queriesPath, truth, efs }: Searched
): Promise<Answer & { ef: number; recall: number }> {
  const { dimensions } = data
  const shape = { dimensions, connectivity: CONNECTIVITY, expansionAdd: EXPANSION_ADD, k: K }
  let last: (Answer & { ef: number; recall: number }) | undefined
  for (const ef of efs) {
    const what = { kind, quantization, path, cacheBytes, read }
    const asked = JSON.stringify({ ...what, queriesPath, ...shape, ef })
    const { stdout } = await run(process.execPath, [CHILD, asked], { maxBuffer: 64 * 1024 * 1024 })
    const answer = JSON.parse(stdout) as Answer
    const recall = recallOf(new Map(answer.found.entries()), truth)
    last = { ...answer, ef, recall }
    if (recall >= RECALL) break
  }
  if (last === undefined) throw new Error('There is no ef to try')
  return last
}
