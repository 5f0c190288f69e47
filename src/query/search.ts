/**
 * Semantic search at one position: a ladder of ways to ask the index, the cheapest first. It is
 * climbed until the answer is complete, so that `k` matches come back whenever `k` exist.
 */
import type { VectorShape } from '../checks/vector.ts'
import type { VectorMetric } from '../options.ts'
import type { Pinned } from '../projections/pinned.ts'
import type { Candidates } from '../projections/vectors/nearest.ts'
import type { SearchStrategy } from '../telemetry/types.ts'
import { planFilter, type Selection } from './filter-plan.ts'
import { type Hit, Hits } from './hits.ts'
import { ReadPace } from './pace.ts'
import { conceptSubject } from './present.ts'
import { scanConcepts } from './scan.ts'
import { rankingOf } from './score.ts'
import type { Filter, SearchRequest } from './search-options.ts'

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

export interface SearchSetup {
  pinned: Pinned
  index: VectorIndexReader
  shape: VectorShape
  /** Time of the newest event of the state; asked for where recency counts. */
  now: number
  /** An ordinal that is left out: the concept that was asked about. */
  except: number
}

export interface Found {
  hits: readonly Hit[]
  metric: VectorMetric
  strategy: SearchStrategy
  /** Candidates that the graph was last asked for, if it was. */
  fetched: number | undefined
}

/** Dead vectors are few: a little more than was asked for nearly always suffices. */
const SPARE = 8
/** Candidates for each match, where what is farther away may rank higher. */
const SCORED_FACTOR = 4
const GROWTH = 4
/** Candidates past which comparing with every vector is faster than asking a graph for more. */
const GRAPH_MAX = 4096
/** Candidates past which a filter is better answered by reading all concepts in their order. */
const SCAN_MAX = 65_536
/** More than there can be: whoever asks for so many gets all there are. */
const ALL = 2 ** 34

export async function searchAt(
  setup: SearchSetup,
  query: Float32Array,
  request: SearchRequest
): Promise<Found> {
  return new Search(setup, query, request).run()
}

class Search {
  readonly #setup: SearchSetup
  readonly #query: Float32Array
  readonly #request: SearchRequest
  readonly #hits: Hits
  #fetched: number | undefined

  constructor(setup: SearchSetup, query: Float32Array, request: SearchRequest) {
    const { pinned, shape, now, except } = setup
    const { metric } = shape
    this.#setup = setup
    this.#query = query
    this.#request = request
    const ranking = rankingOf(request.score, metric, now)
    this.#hits = new Hits({ pinned, metric, request, ranking, except })
  }

  async run(): Promise<Found> {
    const strategy = await this.#climb()
    const { metric } = this.#setup.shape
    return { hits: this.#hits.best, metric, strategy, fetched: this.#fetched }
  }

  async #climb(): Promise<SearchStrategy> {
    const { k, exact, filter, score, signal } = this.#request
    const want = (score === undefined ? k : k * SCORED_FACTOR) + SPARE
    const plan =
      filter === undefined
        ? { selection: undefined, isFew: false, fetch: want }
        : await planFilter(this.#setup.pinned, filter, { want, exact, signal })
    const { selection, isFew } = plan
    let { fetch } = plan
    if (selection !== undefined) this.#hits.useSelection(selection)
    if (!exact && !isFew) {
      if (await this.#grow(fetch, GRAPH_MAX, async (count) => this.#ask(count, false))) {
        return 'graph'
      }
      fetch = Math.max(fetch, GRAPH_MAX) * GROWTH
    }
    if (selection !== undefined) {
      await this.#among(selection, want)
      return 'among'
    }
    // Ranked by more than similarity, all concepts might have to be read: only if that was asked.
    const isBounded = filter !== undefined || (score !== undefined && !exact)
    const max = isBounded ? SCAN_MAX : ALL
    const isDone = await this.#grow(fetch, max, async (count) => this.#ask(count, true))
    if (!isDone && filter !== undefined) {
      await this.#among(await this.#collectPassing(filter), want)
    }
    return 'scan'
  }

  /** Asks for more and more, at least once, while that is not too much. Whether it was enough. */
  async #grow(
    fetch: number,
    max: number,
    ask: (count: number) => Promise<Candidates>
  ): Promise<boolean> {
    for (let count = fetch; ; count *= GROWTH) {
      const candidates = await ask(count)
      await this.#hits.take(candidates)
      if (this.#hits.isEnough || candidates.exhausted) return true
      if (count * GROWTH > max) return false
    }
  }

  async #ask(k: number, exact: boolean): Promise<Candidates> {
    const { ef } = this.#request
    if (!exact) this.#fetched = k
    return this.#setup.index.search(this.#query, {
      ...this.#common,
      k,
      exact,
      ...(ef === undefined ? {} : { ef })
    })
  }

  async #among({ ordinals, revisions }: Selection, fetch: number): Promise<void> {
    const choice = { ...this.#common, ordinals, revisions }
    await this.#grow(fetch, ALL, async (k) =>
      this.#setup.index.among(this.#query, { ...choice, k })
    )
  }

  get #common(): { position: number; signal?: AbortSignal } {
    const { signal } = this.#request
    const { position } = this.#setup.pinned
    return signal === undefined ? { position } : { position, signal }
  }

  async #collectPassing({ accept }: Filter): Promise<Selection> {
    const { pinned } = this.#setup
    const pace = new ReadPace(this.#request.signal, 'search')
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
    return {
      ordinals: Uint32Array.from(ordinals),
      revisions: Uint32Array.from(revisions),
      exact: true
    }
  }
}
