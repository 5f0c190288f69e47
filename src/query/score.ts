/** What matches are ranked by: similarity alone, or a weighted mean of what else is known. */
import type { VectorMetric } from '../options.ts'
import type { ConceptState } from '../projections/state.ts'
import { checkNames, queryInvalid } from './read-options.ts'

const DAY_MS = 86_400_000
const HALF_LIFE_MS = 30 * DAY_MS
const PARTS = ['similarity', 'strength', 'confidence'] as const

export interface Weights {
  similarity: number
  strength: number
  confidence: number
  recency: number
  halfLifeMs: number
}

/** @throws StoreError `QUERY_INVALID` */
export function checkScore(value: unknown): Weights {
  if (typeof value !== 'object' || value === null) {
    throw queryInvalid('score', value, 'an object of weights')
  }
  checkNames('score', value, [...PARTS, 'recency'])
  const given = value as Record<string, unknown>
  const [similarity, strength, confidence] = PARTS.map((part) =>
    checkWeight(`score.${part}`, given[part])
  ) as [number, number, number]
  const weights = { similarity, strength, confidence, ...checkRecency(given['recency']) }
  if (similarity + strength + confidence + weights.recency > 0) return weights
  throw queryInvalid('score', value, 'weights of which at least one is above 0')
}

function checkRecency(value: unknown): { recency: number; halfLifeMs: number } {
  if (typeof value !== 'object' || value === null) {
    return { recency: checkWeight('score.recency', value), halfLifeMs: HALF_LIFE_MS }
  }
  checkNames('score.recency', value, ['weight', 'halfLifeMs'])
  const { weight, halfLifeMs = HALF_LIFE_MS } = value as { weight?: unknown; halfLifeMs?: unknown }
  if (weight === undefined) throw queryInvalid('score.recency.weight', weight, 'a weight')
  if (typeof halfLifeMs !== 'number' || !Number.isFinite(halfLifeMs) || halfLifeMs <= 0) {
    throw queryInvalid('score.recency.halfLifeMs', halfLifeMs, 'milliseconds, above 0')
  }
  return { recency: checkWeight('score.recency.weight', weight), halfLifeMs }
}

function checkWeight(option: string, value: unknown): number {
  if (value === undefined) return 0
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value
  throw queryInvalid(option, value, 'a finite number, at least 0')
}

export interface Ranking {
  score(similarity: number, state: ConceptState): number
  /** What no concept of this similarity, or of a lower one, can exceed. */
  bound(similarity: number): number
}

const BY_SIMILARITY: Ranking = {
  score: (similarity) => similarity,
  bound: (similarity) => similarity
}

/**
 * @param now Time of the newest event of the state that is searched: scores are a function of
 *   that state, never of the clock.
 */
export function rankingOf(
  weights: Weights | undefined,
  metric: VectorMetric,
  now: number
): Ranking {
  if (weights === undefined) return BY_SIMILARITY
  const { similarity, strength, confidence, recency, halfLifeMs } = weights
  // Weights count in relation to each other alone; so small, no sum of them is infinite.
  const largest = Math.max(similarity, strength, confidence, recency)
  const [s, t, c, r] = [similarity, strength, confidence, recency].map(
    (weight) => weight / largest
  ) as [number, number, number, number]
  const total = s + t + c + r
  // One formula for both: rounding is monotonic, so the bound holds to the last bit.
  const mean = (near: number, strong: number, sure: number, recent: number): number =>
    (s * near + t * strong + c * sure + r * recent) / total
  return {
    score: (one, state) => {
      const age = Math.max(0, now - state.updatedAt)
      const recent = r === 0 ? 0 : 0.5 ** (age / halfLifeMs)
      return mean(nearness(metric, one), state.strength, state.confidence, recent)
    },
    bound: (one) => mean(nearness(metric, one), 1, 1, 1)
  }
}

/** A similarity as a number in [0, 1] that grows with it. */
function nearness(metric: VectorMetric, similarity: number): number {
  switch (metric) {
    case 'cosine':
      // Of equal vectors it may be the last bit above 1.
      return Math.min(1, Math.max(0, (1 + similarity) / 2))
    case 'ip':
      // Without bounds, so it is bent: 1 becomes 3/4, -1 becomes 1/4.
      return (1 + similarity / (1 + Math.abs(similarity))) / 2
    case 'l2sq':
      return similarity
  }
}

export function similarityOf(metric: VectorMetric, distance: number): number {
  switch (metric) {
    case 'cosine':
      return 1 - distance
    case 'ip':
      // Not `-distance`: nothing at all in common is 0, not −0.
      return 0 - distance
    case 'l2sq':
      return 1 / (1 + distance)
  }
}
