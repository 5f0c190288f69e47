/** Measures how much of the exact answer the index finds, and how fast, on vectors of the store. */
import { ioFailed, StoreError, throwIfAborted } from '../errors.ts'
import type { Pinned } from '../projections/pinned.ts'
import type { ConceptState } from '../projections/state.ts'
import { countsAt } from '../query/counts.ts'
import { ReadPace } from '../query/pace.ts'
import { checkOptions, checkWhole, queryInvalid } from '../query/read-options.ts'
import { type SearchSetup, searchAt } from '../query/search.ts'
import { EF_MAX, type SearchRequest } from '../query/search-options.ts'
import { nowUs } from '../telemetry/latency.ts'
import type { RecallReport } from '../telemetry/types.ts'
import type { CheckVectorsOptions } from '../types.ts'
import type { Engine } from './engine.ts'
import { BUILT_IN } from './rebuild.ts'

const NAMES = ['sample', 'k', 'efs', 'seed', 'onProgress']
const SAMPLE = 200
const SAMPLE_MAX = 100_000
const K = 10
const K_MAX = 1000
const EFS: readonly number[] = [16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024]
const EFS_MAX = 32

interface CheckRequest extends CheckVectorsOptions {
  sample: number
  k: number
  efs: readonly number[]
  seed: number
}

/**
 * Searches for stored vectors, each time leaving out the concept that it belongs to, with every
 * `ef` and exactly. Waits until the index has caught up and is saved: a recall is that of its graphs.
 */
export async function checkVectors(
  engine: Engine,
  options: CheckVectorsOptions
): Promise<RecallReport> {
  const request = checkRequest(options)
  // It is told now that there is no index, and not after a wait.
  engine.vectorIndex('checkVectors')
  const shape = engine.parts.declaration
  if (shape === undefined || engine.recall === undefined) throw nothingDeclared()
  await engine.pipeline.caughtUp(engine.parts.log.head, options.signal, BUILT_IN)
  await saveGraphs(engine)
  const pinned = engine.pin()
  pinned.snapshot.hold()
  // What is replaced and merged away meanwhile is looked for all the same.
  const held = engine.holdVectors()
  try {
    const index = engine.vectorIndex('checkVectors', held)
    const setup = { pinned, index, shape, now: 0, except: 0 }
    const report = await measure(setup, request)
    await keep(engine, report)
    return report
  } finally {
    engine.holds.release(held)
    await pinned.snapshot.release()
  }
}

/** Searches use a graph once it is in a file; until then they compare its rows, and miss none. */
async function saveGraphs(engine: Engine): Promise<void> {
  try {
    const vectors = await engine.vectorsClient()
    await vectors.save(engine.parts.log.durableHead)
  } catch (error) {
    throw ioFailed(error, 'checkVectors')
  }
}

async function keep(engine: Engine, report: RecallReport): Promise<void> {
  try {
    await engine.recall?.keep(report)
  } catch (error) {
    throw ioFailed(error, 'checkVectors')
  }
}

/** @throws StoreError `QUERY_INVALID` */
function checkRequest(options: CheckVectorsOptions): CheckRequest {
  checkOptions(options, NAMES)
  return {
    ...options,
    sample: checkWhole('sample', options.sample, 1, SAMPLE_MAX) ?? SAMPLE,
    k: checkWhole('k', options.k, 1, K_MAX) ?? K,
    efs: checkEfs(options.efs),
    seed: checkWhole('seed', options.seed, 0, 0xffff_ffff) ?? 1
  }
}

function checkEfs(value: unknown): readonly number[] {
  if (value === undefined) return EFS
  if (!Array.isArray(value) || value.length === 0 || value.length > EFS_MAX) {
    throw queryInvalid('efs', value, `an array of 1 to ${EFS_MAX} numbers`)
  }
  const efs = value.map((ef) => checkWhole('efs', ef, 1, EF_MAX) ?? 0)
  return [...new Set(efs)].sort((a, b) => a - b)
}

async function measure(setup: SearchSetup, request: CheckRequest): Promise<RecallReport> {
  const { k, seed, signal, onProgress } = request
  const { pinned, index } = setup
  const drawn = await draw(pinned, request)
  const states = drawn.sample
  const total = states.length * (request.efs.length + 1)
  let done = 0
  const run = async (phase: string, ef: number | undefined): Promise<Run> => {
    const times: number[] = []
    const distances: Float64Array[] = []
    for (const { ordinal, revision } of states) {
      throwIfAborted(signal, 'checkVectors')
      const [vector] = await index.vectors([revision], pinned.position)
      if (vector === undefined) throw vectorMissing(revision)
      const started = nowUs()
      const asked = requestOf(k, ef, signal)
      const { hits } = await searchAt({ ...setup, except: ordinal }, vector, asked)
      times.push(Math.round(nowUs() - started))
      distances.push(Float64Array.from(hits, ({ distance }) => distance))
      done += 1
      onProgress?.({ phase, done, total })
    }
    return { distances, ...percentiles(times) }
  }
  const exact = await run('exact', undefined)
  const recalls: RecallReport['recalls'] = []
  for (const ef of request.efs) {
    const { distances, p50Us, p99Us } = await run(`ef ${ef}`, ef)
    recalls.push({ ef, recall: recallOf(distances, exact.distances), p50Us, p99Us })
  }
  return {
    position: pinned.position,
    vectors: drawn.vectors,
    sample: states.length,
    seed,
    k,
    recalls,
    exact: { p50Us: exact.p50Us, p99Us: exact.p99Us },
    checkedAt: Date.now()
  }
}

interface Run {
  /** Of the matches of each search, nearest first. */
  distances: Float64Array[]
  p50Us: number
  p99Us: number
}

function requestOf(
  k: number,
  ef: number | undefined,
  signal: AbortSignal | undefined
): SearchRequest {
  return {
    k,
    ef,
    exact: ef === undefined,
    minSimilarity: Number.NEGATIVE_INFINITY,
    filter: undefined,
    score: undefined,
    expand: undefined,
    include: { concept: false, vector: false },
    signal
  }
}

/**
 * The share of the exact matches that were found, over all searches. Whatever is no farther away
 * than the last exact match is one: of equal distances it does not matter which are found.
 */
export function recallOf(found: readonly Float64Array[], exact: readonly Float64Array[]): number {
  let hits = 0
  let wanted = 0
  for (const [i, best] of exact.entries()) {
    const farthest = best.at(-1) ?? Number.NEGATIVE_INFINITY
    hits += found[i]?.filter((distance) => distance <= farthest).length ?? 0
    wanted += best.length
  }
  return wanted === 0 ? 1 : hits / wanted
}

function percentiles(times: readonly number[]): { p50Us: number; p99Us: number } {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
  return { p50Us: at(0.5), p99Us: at(0.99) }
}

/** Concepts with vectors, in an order that follows from the seed alone, until there are enough. */
async function draw(
  pinned: Pinned,
  { sample, seed, signal }: CheckRequest
): Promise<{ sample: ConceptState[]; vectors: number }> {
  const { ordinals } = pinned.snapshot.counts()
  const { vectors } = await countsAt(pinned, signal)
  const pace = new ReadPace(signal, 'checkVectors')
  const states: ConceptState[] = []
  for (const ordinal of shuffled(ordinals, seed)) {
    if (states.length === sample) break
    const state = pinned.concept(ordinal)
    if (state !== undefined && state.revision > 0) states.push(state)
    if (pace.step()) await pace.rest()
  }
  return { sample: states, vectors }
}

/**
 * Each number from 1 to `count` once, in a scattered order, without a list of them: steps that can
 * be undone (a shift folded in, a product with an odd number) map numbers of so many bits onto
 * each other, and those that are too large are passed over.
 */
export function* shuffled(count: number, seed: number): Generator<number> {
  const bits = Math.max(1, 32 - Math.clz32(Math.max(0, count - 1)))
  const mask = (2 ** bits - 1) >>> 0
  const shift = Math.max(1, bits >> 1)
  for (let i = 0; i <= mask; i++) {
    let x = i
    for (const odd of ODDS) {
      x = (Math.imul(x, odd) + seed) & mask
      x ^= (x >>> 0) >>> shift
    }
    const drawn = (x & mask) >>> 0
    if (drawn < count) yield drawn + 1
  }
}

const ODDS = [0x9e3779b1, 0x85ebca6b, 0xc2b2ae35] as const

function vectorMissing(revision: number): StoreError<'VECTORS_UNAVAILABLE'> {
  return new StoreError('VECTORS_UNAVAILABLE', 'The index lacks a vector that a concept names', {
    reason: `revision ${revision} is missing`
  })
}

function nothingDeclared(): StoreError<'VECTORS_NOT_DECLARED'> {
  const operation = 'checkVectors'
  const message = 'This store was opened without vectors'
  return new StoreError('VECTORS_NOT_DECLARED', message, { operation })
}
