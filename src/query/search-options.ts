/** What a search may be asked for. Everything behind takes a checked request. */
import { checkVector, type VectorShape } from '../checks/vector.ts'
import { StoreError } from '../errors.ts'
import type { Limits } from '../options.ts'
import type { RecallReport } from '../telemetry/types.ts'
import type { SearchOptions, Where } from '../types.ts'
import { checkExpand, type ExpandRequest } from './expand.ts'
import {
  checkFlag,
  checkFraction,
  checkInclude,
  checkNames,
  checkOptions,
  checkWhole,
  queryInvalid
} from './read-options.ts'
import { efForRecall } from './recall.ts'
import { checkScore, type Weights } from './score.ts'
import { compileWhere, type Predicate } from './where.ts'

export interface SearchRequest {
  k: number
  ef: number | undefined
  exact: boolean
  minSimilarity: number
  filter: Filter | undefined
  score: Weights | undefined
  expand: ExpandRequest | undefined
  include: { concept: boolean; vector: boolean }
  signal: AbortSignal | undefined
}

/** A `where`, as a question to the indexes and as the test that has the last word. */
export interface Filter {
  where: Where
  accept: Predicate
}

const K = 10
export const EF_MAX = 4096
const NAMES = ['k', 'ef', 'minSimilarity', 'where', 'exact', 'score', 'expand', 'include']

/**
 * @param lastCheck What `checkVectors` found the last time; asked only for `ef: { recall }`.
 * @throws StoreError `QUERY_INVALID`, `LIMIT_EXCEEDED`.
 */
export function checkSearchOptions(
  options: SearchOptions,
  limits: Readonly<Limits>,
  lastCheck: () => RecallReport | undefined
): SearchRequest {
  checkOptions(options, NAMES)
  const { where, score, expand } = options
  const k = checkK(options.k, limits.searchK)
  return {
    k,
    ef: checkEf(options.ef, k, lastCheck),
    exact: checkFlag('exact', options.exact),
    minSimilarity: checkSimilarity(options.minSimilarity),
    filter: where === undefined ? undefined : checkFilter(where),
    score: score === undefined ? undefined : checkScore(score),
    expand: expand === undefined ? undefined : checkExpand(expand, limits.pathExplored),
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

function checkEf(
  value: unknown,
  k: number,
  lastCheck: () => RecallReport | undefined
): number | undefined {
  if (typeof value !== 'object' || value === null) return checkWhole('ef', value, 1, EF_MAX)
  checkNames('ef', value, ['recall'])
  const { recall } = value as { recall?: unknown }
  const wanted = checkFraction('ef.recall', recall)
  if (wanted === undefined) throw queryInvalid('ef.recall', recall, 'a number from 0 to 1')
  return Math.min(EF_MAX, efForRecall(wanted, k, lastCheck()))
}

function checkSimilarity(value: unknown): number {
  if (value === undefined) return Number.NEGATIVE_INFINITY
  if (typeof value === 'number' && !Number.isNaN(value)) return value
  throw queryInvalid('minSimilarity', value, 'a number')
}

function checkFilter(where: Where): Filter {
  // The caller may change the object while the search is under way.
  const own = copyOf(where)
  // Compiling is what checks the shape.
  return { where: own as Where, accept: compileWhere(own) }
}

/** Copies plain objects and arrays; whatever else is in them is refused by the compiler. */
function copyOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyOf)
  if (typeof value !== 'object' || value === null) return value
  const prototype: unknown = Object.getPrototypeOf(value)
  const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null
  if (!isPlain) return value
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, copyOf(one)]))
}

/** @throws StoreError `VECTOR_INVALID`, `VECTOR_DIMENSION_MISMATCH`. */
export function checkQueryVector(
  value: unknown,
  shape: VectorShape | undefined,
  limits: Readonly<Limits>
): Float32Array {
  return checkVector({ command: undefined, limits }, value, shape)
}
