/**
 * The read path: what `Store` (the latest state) and `View` (a pinned one) have in common. Long since
 * it has a method for each one of the public `Reader`, and nothing else: the work is done below.
 */

import { checkRef } from '../checks/values.ts'
import type { VectorShape } from '../checks/vector.ts'
import { StoreError, show, throwIfAborted } from '../errors.ts'
import type { ConceptId, IdInput } from '../ids.ts'
import type { Embed, Limits } from '../options.ts'
import { otherEnd, type Pinned } from '../projections/pinned.ts'
import type { ConceptState } from '../projections/state.ts'
import type { TelemetryHub } from '../telemetry/hub.ts'
import { type LatencyRecorder, nowUs } from '../telemetry/latency.ts'
import type { Operation, RecallReport } from '../telemetry/types.ts'
import type {
  Association,
  AssociationRef,
  BoundQueries,
  Concept,
  ConceptsOptions,
  Counts,
  ExportOptions,
  GetOptions,
  Match,
  NeighborOptions,
  Path,
  PathOptions,
  ProjectionReadOptions,
  QueriedProjection,
  Reader,
  ReadOptions,
  SearchOptions,
  SearchQuery
} from '../types.ts'
import {
  type AdjacencyQuery,
  adjacency,
  checkNeighborOptions,
  fewOf,
  type Seen
} from './adjacency.ts'
import { listConcepts } from './concepts.ts'
import { countsAt } from './counts.ts'
import { expandFrom } from './expand.ts'
import type { PathRequest } from './graph.ts'
import { toMatch } from './hits.ts'
import { ReadPace } from './pace.ts'
import { toAssociation, toConcept } from './present.ts'
import { checkInclude, checkOptions, keyOf, queryInvalid, toId } from './read-options.ts'
import { type Found, searchAt, type VectorIndexReader } from './search.ts'
import { checkSearchOptions, type SearchRequest } from './search-options.ts'
import { type Asked, checkQuery } from './search-query.ts'
import { StoredVectors } from './stored-vectors.ts'
import {
  confidenceOf,
  describeQuery,
  neighborDetails,
  pathDetails,
  type QueryDetails,
  searchDetails,
  strategyOf
} from './told.ts'

/** What readers need of the store around them. */
export interface ReaderHost {
  readonly limits: Readonly<Limits>
  readonly latency: LatencyRecorder
  readonly hub: TelemetryHub
  readonly embed: Embed | undefined
  /** Fires when the store closes. */
  readonly closing: Pick<AbortController, 'signal'>
  vectorShape(): VectorShape | undefined
  /** @throws StoreError `VECTORS_NOT_DECLARED`, `VECTORS_UNAVAILABLE`. */
  vectorIndex(operation: string): VectorIndexReader
  /** Candidates that a graph considers for a search that does not say. */
  readonly expansionSearch: number
  /** What `checkVectors` found the last time. */
  lastRecall(): RecallReport | undefined
  /** Time of the newest event up to a position; 0 where there is none. */
  timeAt(position: number): Promise<number>
}

/** Concepts that `getMany` reads at once. */
const FETCHED = 512

/** Loaded with the first path that is asked for: a fresh process waits longer for code than for data. */
let graph: typeof import('./graph.ts') | undefined

export abstract class PinnedReader implements Reader {
  protected readonly host: ReaderHost

  constructor(host: ReaderHost) {
    this.host = host
  }

  abstract get position(): number

  abstract export(options?: ExportOptions): AsyncIterable<Uint8Array>

  abstract projection<Q>(
    definition: QueriedProjection<Q>,
    options?: ProjectionReadOptions
  ): BoundQueries<Q>

  /** The state to read now. Good until the next await. */
  protected abstract pin(): Pinned

  /** Keeps what that state is read from, for as long as a read takes. */
  protected hold(pinned: Pinned): void {
    pinned.snapshot.hold()
  }

  protected async letGo(pinned: Pinned): Promise<void> {
    await pinned.snapshot.release()
  }

  /** What finds vectors of that state. */
  protected vectorIndex(operation: string, _pinned: Pinned): VectorIndexReader {
    return this.host.vectorIndex(operation)
  }

  async counts(options: ReadOptions = {}): Promise<Counts> {
    checkOptions(options, [])
    return this.#held(async (pinned) => countsAt(pinned, options.signal))
  }

  async has(id: IdInput, options: ReadOptions = {}): Promise<boolean> {
    checkOptions(options, [])
    throwIfAborted(options.signal, 'has')
    return this.pin().conceptById(toId(id)) !== undefined
  }

  async get(id: IdInput, options: GetOptions = {}): Promise<Concept | undefined> {
    const started = nowUs()
    const include = checkGet(options)
    if (include.vector) return this.#getWithVector(toId(id), started)
    const state = this.pin().conceptById(toId(id))
    this.#took('get', started, state === undefined ? 0 : 1, () => confidenceOf(state))
    return state === undefined ? undefined : toConcept(state)
  }

  async getMany(
    ids: readonly IdInput[],
    options: GetOptions = {}
  ): Promise<(Concept | undefined)[]> {
    const started = nowUs()
    if (!Array.isArray(ids)) throw new TypeError(`'ids' must be an array, received ${show(ids)}`)
    const include = checkGet(options)
    // `map` would jump over the holes of a sparse array.
    const wanted = Array.from(ids, (id) => toId(id as IdInput))
    return this.#held(async (pinned) => {
      const pace = new ReadPace(options.signal, 'getMany')
      const found: (Concept | undefined)[] = []
      const states: (ConceptState | undefined)[] = []
      for (let at = 0; at < wanted.length; at += FETCHED) {
        const some = wanted.slice(at, at + FETCHED)
        await pinned.fetchConcepts(some)
        for (const id of some) {
          const state = pinned.conceptById(id)
          states.push(state)
          found.push(state === undefined ? undefined : toConcept(state))
          if (pace.step()) await pace.rest()
        }
      }
      if (include.vector) await this.#vectors(pinned).addTo(found, states)
      this.#took('getMany', started, found.length)
      return found
    })
  }

  async association(
    ref: AssociationRef,
    options: ReadOptions = {}
  ): Promise<Association | undefined> {
    checkOptions(options, [])
    throwIfAborted(options.signal, 'association')
    const valid = checkRef({ command: undefined, limits: this.host.limits }, ref)
    const pinned = this.pin()
    const source = pinned.conceptById(valid.source.id)
    const target = pinned.conceptById(valid.target.id)
    if (source === undefined || target === undefined) return undefined
    const state = pinned.association(source, target, valid.name, valid.key ?? '')
    return state === undefined ? undefined : toAssociation(state, 'out', target.key)
  }

  async vector(id: IdInput, options: ReadOptions = {}): Promise<Float32Array | undefined> {
    checkOptions(options, [])
    throwIfAborted(options.signal, 'vector')
    const wanted = toId(id)
    // Held, or the index may drop the vector of this state while its thread is asked for it.
    return this.#held(async (pinned) => {
      const state = pinned.conceptById(wanted)
      if (state === undefined || state.revision === 0) return undefined
      return this.#vectors(pinned).of(state)
    })
  }

  async neighbors(id: IdInput, options: NeighborOptions = {}): Promise<Association[]> {
    const started = nowUs()
    const query = checkNeighborOptions(options)
    const wanted = toId(id)
    throwIfAborted(options.signal, 'neighbors')
    const few = this.#fewNeighbors(wanted, query)
    if (few !== undefined) {
      this.#took('neighbors', started, few.length, () => neighborDetails(few[0]))
      return few
    }
    return this.#held(async (pinned) => {
      const found: Association[] = []
      for await (const page of this.#pages(pinned, wanted, query, options.signal)) {
        found.push(...page)
      }
      this.#took('neighbors', started, found.length, () => neighborDetails(found[0]))
      return found
    })
  }

  async *associations(id: IdInput, options: NeighborOptions = {}): AsyncGenerator<Association> {
    const query = checkNeighborOptions(options)
    const wanted = toId(id)
    const pinned = this.pin()
    this.hold(pinned)
    try {
      for await (const page of this.#pages(pinned, wanted, query, options.signal)) yield* page
    } finally {
      await this.letGo(pinned)
    }
  }

  async findPath(
    source: IdInput,
    target: IdInput,
    options: PathOptions = {}
  ): Promise<Path | undefined> {
    if ('limit' in Object(options))
      throw queryInvalid('limit', 'present', 'absent: findPaths takes it')
    const [path] = await this.#paths(source, target, options, 1)
    return path
  }

  async findPaths(
    source: IdInput,
    target: IdInput,
    options: PathOptions & { limit?: number } = {}
  ): Promise<Path[]> {
    return this.#paths(source, target, options)
  }

  /** @param most How many at most, instead of what the options say. */
  async #paths(
    source: IdInput,
    target: IdInput,
    options: PathOptions & { limit?: number },
    most?: number
  ): Promise<Path[]> {
    const started = nowUs()
    graph ??= await import('./graph.ts')
    const { checkPathOptions, pathsBetween } = graph
    const request = checkPathOptions(options, this.host.limits, most)
    const ends = [toId(source), toId(target)] as const
    return this.#held(async (pinned) => {
      const from = this.#existing(pinned, ends[0], source)
      const to = this.#existing(pinned, ends[1], target)
      const { pathExplored } = this.host.limits
      const { paths, explored } = await pathsBetween(pinned, from, to, request, pathExplored)
      this.#tookPath(started, request, paths, { explored, isApart: from.ordinal !== to.ordinal })
      return paths
    })
  }

  async search(asked: SearchQuery, options: SearchOptions = {}): Promise<Match[]> {
    const started = nowUs()
    const { host } = this
    const request = checkSearchOptions(options, host.limits, () => host.lastRecall())
    // Refused before a text is embedded for nothing.
    this.host.vectorIndex('search')
    const shape = host.vectorShape()
    if (shape === undefined) throw notDeclared('search')
    const { limits, embed, closing } = host
    const { signal } = request
    const query = checkQuery(asked, { limits, embed, shape, signal, closing: closing.signal })
    const near = query instanceof Promise ? await this.#embedded(query) : query
    return this.#held(async (pinned) => {
      const index = this.vectorIndex('search', pinned)
      const { vector, except } = await this.#toVector(pinned, near)
      const isTimed = (request.score?.recency ?? 0) > 0
      const now = isTimed ? await host.timeAt(pinned.position) : 0
      const found = await searchAt({ pinned, index, shape, now, except }, vector, request)
      const matches = await this.#toMatches(pinned, found, request)
      this.#took('search', started, matches.length, () =>
        searchDetails(request, found, host.expansionSearch)
      )
      return matches
    })
  }

  async *concepts(options: ConceptsOptions = {}): AsyncGenerator<Concept> {
    const started = nowUs()
    const pinned = this.pin()
    this.hold(pinned)
    let results = 0
    try {
      for await (const { concept, state } of listConcepts(pinned, options)) {
        if (options.include?.includes('vector') === true && state.revision > 0) {
          concept.vector = await this.#vectors(pinned).of(state)
        }
        results += 1
        yield concept
      }
    } finally {
      await this.letGo(pinned)
      this.#took('concepts', started, results)
    }
  }

  async stateHash(options: ReadOptions = {}): Promise<string> {
    checkOptions(options, [])
    return this.#held(async (pinned) => {
      const { stateHashAt } = await import('./hash.ts')
      return stateHashAt(pinned, this.#vectors(pinned).at, options.signal)
    })
  }

  async contentHash(options: ReadOptions = {}): Promise<string> {
    checkOptions(options, [])
    return this.#held(async (pinned) => {
      const { contentHashAt } = await import('./hash.ts')
      return contentHashAt(pinned, this.#vectors(pinned).at, options.signal)
    })
  }

  /** Keeps the tables' snapshot open for as long as the work takes. */
  async #held<T>(work: (pinned: Pinned) => Promise<T>): Promise<T> {
    const pinned = this.pin()
    this.hold(pinned)
    try {
      return await work(pinned)
    } finally {
      await this.letGo(pinned)
    }
  }

  /** Most concepts have few neighbours, and those are told without a wait. */
  #fewNeighbors(id: ConceptId, query: AdjacencyQuery): Association[] | undefined {
    if (query.include.concept || query.include.vector) return undefined
    const pinned = this.pin()
    const concept = pinned.endById(id)
    if (concept === undefined) return []
    return fewOf(pinned, concept, query)?.map(({ state, side }) => {
      const end = otherEnd(state, side)
      const isUnkeyed = end.key === undefined && hasLateKeys(pinned)
      return toAssociation(state, side, isUnkeyed ? pinned.concept(end.ordinal)?.key : end.key)
    })
  }

  /** What passes, in pages of about one slice of the event loop. */
  async *#pages(
    pinned: Pinned,
    id: ConceptId,
    query: AdjacencyQuery,
    signal: AbortSignal | undefined
  ): AsyncGenerator<Association[]> {
    const concept = pinned.endById(id)
    if (concept === undefined) return
    const pace = new ReadPace(signal, 'neighbors')
    let page: Seen[] = []
    let left = query.limit
    for (const seen of adjacency(pinned, concept, query)) {
      if (seen !== undefined) {
        page.push(seen)
        left -= 1
      }
      if (left === 0) break
      if (!pace.step()) continue
      if (page.length > 0) yield await this.#present(pinned, page, query)
      page = []
      await pace.rest()
    }
    if (page.length > 0) yield await this.#present(pinned, page, query)
  }

  async #present(
    pinned: Pinned,
    page: readonly Seen[],
    query: AdjacencyQuery
  ): Promise<Association[]> {
    const { include } = query
    const withConcepts = include.concept || include.vector
    const states: (ConceptState | undefined)[] = []
    const associations = page.map(({ state, side }) => {
      const end = otherEnd(state, side)
      const needsRow = withConcepts || (end.key === undefined && hasLateKeys(pinned))
      const other = needsRow ? pinned.concept(end.ordinal) : undefined
      states.push(other)
      const association = toAssociation(state, side, end.key ?? other?.key)
      if (withConcepts && other !== undefined) association.concept = toConcept(other)
      return association
    })
    if (include.vector) {
      const concepts = associations.map(({ concept }) => concept)
      await this.#vectors(pinned).addTo(concepts, states)
    }
    return associations
  }

  async #getWithVector(id: ConceptId, started: number): Promise<Concept | undefined> {
    return this.#held(async (pinned) => {
      const state = pinned.conceptById(id)
      const concept = state && toConcept(state)
      if (concept !== undefined && state !== undefined && state.revision > 0) {
        concept.vector = await this.#vectors(pinned).of(state)
      }
      this.#took('get', started, state === undefined ? 0 : 1, () => confidenceOf(state))
      return concept
    })
  }

  #vectors(pinned: Pinned): StoredVectors {
    return new StoredVectors((operation) => this.vectorIndex(operation, pinned), pinned.position)
  }

  /** What to be near to, and the ordinal of the concept that was asked about; 0 for none. */
  async #toVector(pinned: Pinned, asked: Asked): Promise<{ vector: Float32Array; except: number }> {
    if ('vector' in asked) return { vector: asked.vector, except: 0 }
    const { like } = asked
    const state = this.#existing(pinned, toId(like), like)
    if (state.revision === 0) throw queryInvalid('like', like, 'a concept with a vector')
    return { vector: await this.#vectors(pinned).of(state), except: state.ordinal }
  }

  async #toMatches(
    pinned: Pinned,
    { hits, metric }: Found,
    { include, expand, signal }: SearchRequest
  ): Promise<Match[]> {
    const pace = new ReadPace(signal, 'search')
    const matches: Match[] = []
    for (const hit of hits) {
      matches.push(toMatch(hit, metric, include.concept || include.vector))
      if (pace.step()) await pace.rest()
    }
    const states = hits.map(({ state }) => state)
    if (include.vector) {
      const concepts = matches.map(({ concept }) => concept)
      await this.#vectors(pinned).addTo(concepts, states)
    }
    if (expand === undefined) return matches
    const related = await expandFrom(pinned, states, expand, { concept: include.concept, signal })
    for (const [i, match] of matches.entries()) match.related = related[i] ?? []
    return matches
  }

  #existing(pinned: Pinned, id: ConceptId, asked: IdInput): ConceptState {
    const state = pinned.conceptById(id)
    if (state !== undefined) return state
    const named = keyOf(asked)
    const message = `There is no concept ${named.key === undefined ? id : `'${named.key}'`}`
    throw new StoreError('CONCEPT_NOT_FOUND', message, { id, ...named })
  }

  async #embedded(asked: Promise<Asked>): Promise<Asked> {
    const started = nowUs()
    const embedded = await asked
    this.host.latency.record('embed', nowUs() - started)
    return embedded
  }

  #took(
    kind: Operation,
    started: number,
    results: number,
    details: (() => QueryDetails) | undefined = undefined
  ): void {
    const us = nowUs() - started
    const { hub, latency } = this.host
    latency.record(kind, us)
    if (hub.active) this.#tell(kind, us, results, details?.() ?? {})
  }

  #tookPath(
    started: number,
    request: PathRequest,
    paths: readonly Path[],
    { explored, isApart }: { explored: number; isApart: boolean }
  ): void {
    const [best] = paths
    this.#took('path', started, paths.length, () => pathDetails(request, best))
    const { hub } = this.host
    if (!hub.active) return
    const { order, maxDepth } = request
    hub.emit({
      type: 'path',
      time: Date.now(),
      us: nowUs() - started,
      explored,
      length: best?.associations.length ?? -1,
      paths: paths.length,
      strategy: strategyOf(request, isApart),
      order,
      confidence: best?.confidence ?? 0,
      maxDepth
    })
  }

  #tell(kind: Operation, us: number, results: number, details: QueryDetails): void {
    const { hub } = this.host
    hub.emit({ type: 'query', time: Date.now(), kind, us, results, ...details })
    hub.timed(kind, us, () => describeQuery(kind, results, details))
  }
}

export function notDeclared(operation: string): StoreError<'VECTORS_NOT_DECLARED'> {
  const message = 'This store was opened without vectors'
  return new StoreError('VECTORS_NOT_DECLARED', message, { operation })
}

/** A concept that got its key late is not named by that key in the pages of its neighbours. */
function hasLateKeys(pinned: Pinned): boolean {
  return pinned.snapshot.counts().lateKeys > 0 || pinned.segments.some((one) => one.lateKeys > 0)
}

function checkGet(options: GetOptions): { concept: boolean; vector: boolean } {
  checkOptions(options, ['include'])
  throwIfAborted(options.signal, 'get')
  return checkInclude(options.include)
}
