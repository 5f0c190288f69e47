/**
 * Semantic search at one position.
 *
 * The index knows vectors by (ordinal, revision) and nothing of positions. A hit counts only if
 * the view's own row names that revision: forgotten and revised vectors drop out, for every view
 * by its own truth, without anything being removed from the index.
 */
import { checkVector, type VectorShape } from '../checks/vector.ts'
import { StoreError } from '../errors.ts'
import type { Limits } from '../options.ts'
import type { Pinned } from '../projections/pinned.ts'
import type { ConceptState } from '../projections/state.ts'
import type { Candidates } from '../projections/vectors/nearest.ts'
import type { Match, SearchOptions } from '../types.ts'
import { ReadPace } from './pace.ts'
import { conceptSubject, toConcept } from './present.ts'
import { checkFlag, checkInclude, checkOptions, checkWhole, queryInvalid } from './read-options.ts'
import { scanConcepts } from './scan.ts'
import { compileWhere, type Predicate } from './where.ts'

/** What a search asks of the index; the worker behind it answers. */
export interface VectorIndexReader {
  search(
    query: Float32Array,
    options: { k: number; ef?: number; exact?: boolean; position: number; signal?: AbortSignal }
  ): Promise<Candidates>
  among(
    query: Float32Array,
    options: {
      ordinals: Uint32Array
      revisions: Uint32Array
      k: number
      position: number
      signal?: AbortSignal
    }
  ): Promise<Candidates>
  vectors(revisions: readonly number[], position: number): Promise<(Float32Array | undefined)[]>
}

export interface SearchRequest {
  k: number
  ef: number | undefined
  exact: boolean
  minSimilarity: number
  accept: Predicate | undefined
  include: { concept: boolean; vector: boolean }
  signal: AbortSignal | undefined
}

const K = 10
const EF_MAX = 4096
/** Dead vectors are few: a little more than was asked for nearly always suffices. */
const SPARE = 8
const GROWTH = 4
/** Candidates past which a filter is better answered by scanning the concepts that pass it. */
const FILTERED_MAX = 4096
const NAMES = ['k', 'ef', 'minSimilarity', 'where', 'exact', 'include']

/** @throws StoreError `QUERY_INVALID`, `LIMIT_EXCEEDED`. */
export function checkSearchOptions(
  options: SearchOptions,
  limits: Readonly<Limits>
): SearchRequest {
  checkOptions(options, NAMES)
  return {
    k: checkK(options.k, limits.searchK),
    ef: checkWhole('ef', options.ef, 1, EF_MAX),
    exact: checkFlag('exact', options.exact),
    minSimilarity: checkSimilarity(options.minSimilarity),
    accept: options.where === undefined ? undefined : compileWhere(options.where),
    include: checkInclude(options.include),
    signal: options.signal
  }
}

function checkK(value: unknown, max: number): number {
  if (value === undefined) return Math.min(K, max)
  if (!Number.isInteger(value) || (value as number) < 1) {
    throw queryInvalid('k', value, `a whole number from 1 to ${max}`)
  }
  const k = value as number
  if (k <= max) return k
  const message = `The limit 'searchK' is ${max}, received ${k}`
  throw new StoreError('LIMIT_EXCEEDED', message, { limit: 'searchK', value: k, max })
}

function checkSimilarity(value: unknown): number {
  if (value === undefined) return Number.NEGATIVE_INFINITY
  if (typeof value === 'number' && !Number.isNaN(value)) return value
  throw queryInvalid('minSimilarity', value, 'a number')
}

export function checkQueryVector(
  value: unknown,
  shape: VectorShape | undefined,
  limits: Readonly<Limits>
): Float32Array {
  return checkVector({ command: undefined, limits }, value, shape)
}

/**
 * The concepts nearest to a vector, best first, at the position of the view.
 *
 * @param except An ordinal that is left out: the concept that was asked about.
 */
export async function searchAt(
  pinned: Pinned,
  index: VectorIndexReader,
  shape: VectorShape,
  query: Float32Array,
  request: SearchRequest,
  except: number
): Promise<Match[]> {
  const { k, ef, exact, accept, signal } = request
  const { position } = pinned
  const common = { position, ...(signal === undefined ? {} : { signal }) }
  const hits = new Hits(pinned, shape, request, except)
  let fetch = accept === undefined ? k + SPARE : (k + SPARE) * GROWTH
  for (;;) {
    const options = { ...common, k: fetch, exact, ...(ef === undefined ? {} : { ef }) }
    const candidates = await index.search(query, options)
    await hits.take(candidates)
    if (hits.isEnough || candidates.exhausted) break
    fetch *= GROWTH
    if (accept === undefined || fetch <= FILTERED_MAX) continue
    const passing = await collectPassing(pinned, accept, signal)
    await hits.take(await index.among(query, { ...common, ...passing, k: k + SPARE }))
    break
  }
  return withVectors(hits.matches, hits.states, index, request, position)
}

/** Candidates that the view confirms. */
class Hits {
  readonly #pinned: Pinned
  readonly #shape: VectorShape
  readonly #request: SearchRequest
  readonly #except: number
  matches: Match[] = []
  states: ConceptState[] = []
  /** Whether a candidate was below the similarity wanted: those behind it are, too. */
  #passedMinimum = false

  constructor(pinned: Pinned, shape: VectorShape, request: SearchRequest, except: number) {
    this.#pinned = pinned
    this.#shape = shape
    this.#request = request
    this.#except = except
  }

  get isEnough(): boolean {
    return this.matches.length >= this.#request.k || this.#passedMinimum
  }

  /** Takes the candidates anew, nearest first: a larger answer holds the smaller one. */
  async take(candidates: Candidates): Promise<void> {
    const { k, minSimilarity, accept, include, signal } = this.#request
    const pace = new ReadPace(signal, 'search')
    this.matches = []
    this.states = []
    for (let i = 0; i < candidates.distances.length && this.matches.length < k; i++) {
      const distance = candidates.distances[i] ?? 0
      const similarity = similarityOf(this.#shape, distance)
      if (similarity < minSimilarity) {
        this.#passedMinimum = true
        return
      }
      const state = this.#living(candidates.ordinals[i] ?? 0, candidates.revisions[i] ?? 0)
      if (state !== undefined && (accept === undefined || accept(conceptSubject(state)))) {
        this.matches.push(toMatch(state, similarity, distance, include.concept || include.vector))
        this.states.push(state)
      }
      if (pace.step()) await pace.rest()
    }
  }

  #living(ordinal: number, revision: number): ConceptState | undefined {
    if (ordinal === this.#except) return undefined
    const state = this.#pinned.concept(ordinal)
    return state?.revision === revision ? state : undefined
  }
}

async function collectPassing(
  pinned: Pinned,
  accept: Predicate,
  signal: AbortSignal | undefined
): Promise<{ ordinals: Uint32Array; revisions: Uint32Array }> {
  const pace = new ReadPace(signal, 'search')
  const ordinals: number[] = []
  const revisions: number[] = []
  for await (const states of scanConcepts(pinned)) {
    for (const state of states) {
      if (state.revision > 0 && accept(conceptSubject(state))) {
        ordinals.push(state.ordinal)
        revisions.push(state.revision)
      }
      if (pace.step()) await pace.rest()
    }
  }
  return { ordinals: Uint32Array.from(ordinals), revisions: Uint32Array.from(revisions) }
}

function toMatch(
  state: ConceptState,
  similarity: number,
  distance: number,
  withConcept: boolean
): Match {
  return {
    id: state.id,
    ...(state.key === undefined ? {} : { key: state.key }),
    score: similarity,
    similarity,
    distance,
    ...(withConcept ? { concept: toConcept(state) } : {})
  }
}

async function withVectors(
  matches: Match[],
  states: readonly ConceptState[],
  index: VectorIndexReader,
  request: SearchRequest,
  position: number
): Promise<Match[]> {
  if (!request.include.vector || matches.length === 0) return matches
  const vectors = await index.vectors(
    states.map(({ revision }) => revision),
    position
  )
  for (const [i, match] of matches.entries()) {
    const vector = vectors[i]
    if (match.concept !== undefined && vector !== undefined) match.concept.vector = vector
  }
  return matches
}

function similarityOf(shape: VectorShape, distance: number): number {
  return shape.metric === 'l2sq' ? 1 / (1 + distance) : 1 - distance
}
