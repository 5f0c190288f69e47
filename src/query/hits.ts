/**
 * Candidates of the index, confirmed by the view.
 *
 * The index knows vectors by (ordinal, revision) and nothing of positions. A hit counts only if
 * the view's own row names that revision: forgotten and revised vectors drop out, for every view
 * by its own truth, without anything being removed from the index.
 */
import type { VectorMetric } from '../options.ts'
import type { Pinned } from '../projections/pinned.ts'
import type { ConceptState } from '../projections/state.ts'
import type { Candidates } from '../projections/vectors/nearest.ts'
import type { Match } from '../types.ts'
import { indexIn, type Selection } from './filter-plan.ts'
import { ReadPace } from './pace.ts'
import { conceptSubject, toConcept } from './present.ts'
import { type Ranking, similarityOf } from './score.ts'
import type { SearchRequest } from './search-options.ts'

/** The place of a hit, or the best one that a candidate may get. */
interface Rank {
  score: number
  distance: number
  revision: number
}

export interface Hit extends Rank {
  state: ConceptState
  similarity: number
}

export interface HitsSetup {
  pinned: Pinned
  metric: VectorMetric
  request: SearchRequest
  ranking: Ranking
  /** An ordinal that is left out: the concept that was asked about. */
  except: number
}

export class Hits {
  readonly #setup: HitsSetup
  /** Concepts that may pass; decides without a row being read. */
  #selection: Selection | undefined
  readonly #seen = new Set<number>()
  /** The best so far, best first; at most `k`. */
  readonly #best: Hit[] = []
  #isEnough = false

  constructor(setup: HitsSetup) {
    this.#setup = setup
  }

  get best(): readonly Hit[] {
    return this.#best
  }

  /** Whether nothing farther away than what was taken can change the answer. */
  get isEnough(): boolean {
    return this.#isEnough
  }

  useSelection(selection: Selection): void {
    this.#selection = selection
  }

  /** Takes candidates, nearest first. Those of a smaller answer may come again. */
  async take({ ordinals, revisions, distances }: Candidates): Promise<void> {
    const { metric, ranking, request } = this.#setup
    const pace = new ReadPace(request.signal, 'search')
    for (let i = 0; i < distances.length; i++) {
      const distance = distances[i] ?? 0
      const revision = revisions[i] ?? 0
      const similarity = similarityOf(metric, distance)
      // Whatever comes behind is no nearer, so it can neither reach the minimum nor rank higher.
      if (similarity < request.minSimilarity || !this.#mayRank(similarity, distance, revision)) {
        this.#isEnough = true
        return
      }
      if (!this.#seen.has(revision)) {
        this.#seen.add(revision)
        const state = this.#confirm(ordinals[i] ?? 0, revision)
        if (state !== undefined) {
          const score = ranking.score(similarity, state)
          this.#offer({ score, distance, revision, state, similarity })
        }
      }
      if (pace.step()) await pace.rest()
    }
    const last = distances.length - 1
    const distance = distances[last]
    if (distance === undefined) return
    const similarity = similarityOf(metric, distance)
    this.#isEnough = !this.#mayRank(similarity, distance, revisions[last] ?? 0)
  }

  #mayRank(similarity: number, distance: number, revision: number): boolean {
    const worst = this.#best[this.#setup.request.k - 1]
    if (worst === undefined) return true
    const score = this.#setup.ranking.bound(similarity)
    return ranksBefore({ score, distance, revision }, worst)
  }

  #confirm(ordinal: number, revision: number): ConceptState | undefined {
    const { pinned, except, request } = this.#setup
    if (ordinal === except) return undefined
    const selection = this.#selection
    if (selection !== undefined) {
      const at = indexIn(selection, ordinal)
      if (at === -1 || selection.revisions[at] !== revision) return undefined
    }
    const state = pinned.concept(ordinal)
    if (state?.revision !== revision) return undefined
    if (request.filter === undefined || selection?.exact === true) return state
    return request.filter.accept(conceptSubject(state)) ? state : undefined
  }

  #offer(hit: Hit): void {
    const { k } = this.#setup.request
    let at = this.#best.length
    // Candidates come nearest first, so most belong at the end or close to it.
    for (; at > 0; at--) {
      const before = this.#best[at - 1]
      if (before === undefined || !ranksBefore(hit, before)) break
    }
    if (at >= k) return
    this.#best.splice(at, 0, hit)
    if (this.#best.length > k) this.#best.pop()
  }
}

/** Equal scores go by distance, and equal distances by age: an answer has one order alone. */
function ranksBefore(a: Rank, b: Rank): boolean {
  if (a.score !== b.score) return a.score > b.score
  if (a.distance !== b.distance) return a.distance < b.distance
  return a.revision < b.revision
}

export function toMatch(hit: Hit, metric: VectorMetric, withConcept: boolean): Match {
  const { state, score, similarity } = hit
  // The index ranks by the inner product itself, which says more than its distance from 1.
  const distance = metric === 'ip' ? 1 - similarity : hit.distance
  return {
    id: state.id,
    ...(state.key === undefined ? {} : { key: state.key }),
    score,
    similarity,
    distance,
    ...(withConcept ? { concept: toConcept(state) } : {})
  }
}
