/** The read path: what `Store` (the latest state) and `View` (a pinned one) have in common. */

import { embedTexts } from '../checks/embed.ts'
import { checkRef } from '../checks/values.ts'
import type { VectorShape } from '../checks/vector.ts'
import { StoreError, throwIfAborted } from '../errors.ts'
import type { ConceptId, IdInput } from '../ids.ts'
import type { Embed, Limits } from '../options.ts'
import { otherEnd, type Pinned } from '../projections/pinned.ts'
import type { ConceptState } from '../projections/state.ts'
import type { TelemetryHub } from '../telemetry/hub.ts'
import { type LatencyRecorder, nowUs } from '../telemetry/latency.ts'
import type { Operation } from '../telemetry/types.ts'
import type {
  Association,
  AssociationRef,
  Concept,
  ConceptsOptions,
  Counts,
  GetOptions,
  Match,
  NeighborOptions,
  Path,
  PathOptions,
  Reader,
  ReadOptions,
  SearchOptions,
  SearchQuery
} from '../types.ts'
import { type AdjacencyQuery, adjacency, checkNeighborOptions, type Seen } from './adjacency.ts'
import { listConcepts } from './concepts.ts'
import { countsAt } from './counts.ts'
import { checkPathOptions, pathsBetween } from './graph.ts'
import { contentHashAt, stateHashAt } from './hash.ts'
import { ReadPace } from './pace.ts'
import { toAssociation, toConcept } from './present.ts'
import { checkInclude, checkOptions, queryInvalid, toId } from './read-options.ts'
import { checkQueryVector, checkSearchOptions, searchAt, type VectorIndexReader } from './search.ts'

/** What readers need of the store around them. */
export interface ReaderHost {
  readonly limits: Readonly<Limits>
  readonly latency: LatencyRecorder
  readonly hub: TelemetryHub
  readonly embed: Embed | undefined
  vectorShape(): VectorShape | undefined
  /** @throws StoreError `VECTORS_NOT_DECLARED`, `VECTORS_UNAVAILABLE`. */
  vectorIndex(operation: string): VectorIndexReader
}

export abstract class PinnedReader implements Reader {
  protected readonly host: ReaderHost

  constructor(host: ReaderHost) {
    this.host = host
  }

  abstract get position(): number

  /** The state to read now. Good until the next await. */
  protected abstract pin(): Pinned

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
    const state = this.pin().conceptById(toId(id))
    if (include.vector && state !== undefined) {
      const concept = await this.#withVector(state)
      this.#took('get', started, 1)
      return concept
    }
    this.#took('get', started, state === undefined ? 0 : 1)
    return state === undefined ? undefined : toConcept(state)
  }

  async getMany(
    ids: readonly IdInput[],
    options: GetOptions = {}
  ): Promise<(Concept | undefined)[]> {
    if (!Array.isArray(ids)) throw new TypeError(`'ids' must be an array, received ${typeof ids}`)
    const include = checkGet(options)
    const wanted = ids.map((id) => toId(id as IdInput))
    return this.#held(async (pinned) => {
      const pace = new ReadPace(options.signal, 'getMany')
      const found: (Concept | undefined)[] = []
      const states: (ConceptState | undefined)[] = []
      for (const id of wanted) {
        const state = pinned.conceptById(id)
        states.push(state)
        found.push(state === undefined ? undefined : toConcept(state))
        if (pace.step()) await pace.rest()
      }
      if (include.vector) await this.#addVectors(pinned, states, found)
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
    const pinned = this.pin()
    const state = pinned.conceptById(toId(id))
    if (state === undefined || state.revision === 0) return undefined
    return this.#vectorOf(state, pinned.position)
  }

  async neighbors(id: IdInput, options: NeighborOptions = {}): Promise<Association[]> {
    const started = nowUs()
    const query = checkNeighborOptions(options)
    const wanted = toId(id)
    return this.#held(async (pinned) => {
      const found: Association[] = []
      for await (const page of this.#pages(pinned, wanted, query, options.signal)) {
        found.push(...page)
      }
      this.#took('neighbors', started, found.length)
      return found
    })
  }

  async *associations(id: IdInput, options: NeighborOptions = {}): AsyncGenerator<Association> {
    const query = checkNeighborOptions(options)
    const wanted = toId(id)
    const pinned = this.pin()
    pinned.snapshot.hold()
    try {
      for await (const page of this.#pages(pinned, wanted, query, options.signal)) yield* page
    } finally {
      await pinned.snapshot.release()
    }
  }

  async findPath(
    source: IdInput,
    target: IdInput,
    options: PathOptions = {}
  ): Promise<Path | undefined> {
    if ('limit' in options) throw queryInvalid('limit', 'present', 'absent: findPaths takes it')
    const [path] = await this.findPaths(source, target, { ...options, limit: 1 })
    return path
  }

  async findPaths(
    source: IdInput,
    target: IdInput,
    options: PathOptions & { limit?: number } = {}
  ): Promise<Path[]> {
    const started = nowUs()
    const request = checkPathOptions(options, this.host.limits)
    const ends = [toId(source), toId(target)] as const
    return this.#held(async (pinned) => {
      const from = this.#existing(pinned, ends[0])
      const to = this.#existing(pinned, ends[1])
      const paths = await pathsBetween(pinned, from, to, request, this.host.limits.pathExplored)
      this.#took('path', started, paths.length)
      return paths
    })
  }

  async search(query: SearchQuery, options: SearchOptions = {}): Promise<Match[]> {
    const started = nowUs()
    const request = checkSearchOptions(options, this.host.limits)
    const index = this.host.vectorIndex('search')
    const shape = this.host.vectorShape()
    if (shape === undefined) throw notDeclared('search')
    return this.#held(async (pinned) => {
      const { vector, except } = await this.#toVector(query, pinned, index, options.signal)
      const matches = await searchAt(pinned, index, shape, vector, request, except)
      this.#took('search', started, matches.length)
      return matches
    })
  }

  async *concepts(options: ConceptsOptions = {}): AsyncGenerator<Concept> {
    const started = nowUs()
    const pinned = this.pin()
    pinned.snapshot.hold()
    let results = 0
    try {
      for await (const { concept, state } of listConcepts(pinned, options)) {
        if (options.include?.includes('vector') === true && state.revision > 0) {
          concept.vector = await this.#vectorOf(state, pinned.position)
        }
        results += 1
        yield concept
      }
    } finally {
      await pinned.snapshot.release()
      this.#took('concepts', started, results)
    }
  }

  async stateHash(options: ReadOptions = {}): Promise<string> {
    checkOptions(options, [])
    return this.#held(async (pinned) =>
      stateHashAt(pinned, this.#vectorsAt(pinned), options.signal)
    )
  }

  async contentHash(options: ReadOptions = {}): Promise<string> {
    checkOptions(options, [])
    return this.#held(async (pinned) =>
      contentHashAt(pinned, this.#vectorsAt(pinned), options.signal)
    )
  }

  /** Keeps the tables' snapshot open for as long as the work takes. */
  async #held<T>(work: (pinned: Pinned) => Promise<T>): Promise<T> {
    const pinned = this.pin()
    pinned.snapshot.hold()
    try {
      return await work(pinned)
    } finally {
      await pinned.snapshot.release()
    }
  }

  /** What passes, in pages of about one slice of the event loop. */
  async *#pages(
    pinned: Pinned,
    id: ConceptId,
    query: AdjacencyQuery,
    signal: AbortSignal | undefined
  ): AsyncGenerator<Association[]> {
    const concept = pinned.conceptById(id)
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
      await this.#addVectors(
        pinned,
        states,
        associations.map(({ concept }) => concept)
      )
    }
    return associations
  }

  async #addVectors(
    pinned: Pinned,
    states: readonly (ConceptState | undefined)[],
    concepts: readonly (Concept | undefined)[]
  ): Promise<void> {
    const embedded = states.map((state, i) => ({ state, concept: concepts[i] }))
    const wanted = embedded.filter(({ state }) => (state?.revision ?? 0) > 0)
    if (wanted.length === 0) return
    const revisions = wanted.map(({ state }) => state?.revision ?? 0)
    const vectors = await this.#vectorsAt(pinned)(revisions)
    for (const [i, { concept }] of wanted.entries()) {
      const vector = vectors[i]
      if (concept !== undefined && vector !== undefined) concept.vector = vector
    }
  }

  async #withVector(state: ConceptState): Promise<Concept> {
    const concept = toConcept(state)
    if (state.revision > 0) concept.vector = await this.#vectorOf(state, this.position)
    return concept
  }

  async #vectorOf(state: ConceptState, position: number): Promise<Float32Array> {
    const [vector] = await this.host.vectorIndex('vector').vectors([state.revision], position)
    if (vector !== undefined) return vector
    throw new StoreError('VECTORS_UNAVAILABLE', 'The index lacks a vector that a concept names', {
      reason: `revision ${state.revision} of concept ${state.id} is missing`
    })
  }

  #vectorsAt(
    pinned: Pinned
  ): (revisions: readonly number[]) => Promise<(Float32Array | undefined)[]> {
    return async (revisions) =>
      revisions.length === 0
        ? []
        : this.host.vectorIndex('vectors').vectors(revisions, pinned.position)
  }

  async #toVector(
    query: SearchQuery,
    pinned: Pinned,
    index: VectorIndexReader,
    signal: AbortSignal | undefined
  ): Promise<{ vector: Float32Array; except: number }> {
    const { limits, embed } = this.host
    const shape = this.host.vectorShape()
    if (typeof query === 'string') return this.#toVector({ text: query }, pinned, index, signal)
    if (query instanceof Float32Array || Array.isArray(query)) {
      return { vector: checkQueryVector(query, shape, limits), except: 0 }
    }
    if (typeof query !== 'object' || query === null) {
      throw new TypeError(`'query' must be a vector, a text or an object, received ${query}`)
    }
    const { vector, like, text, ...rest } = query as Exclude<SearchQuery, string | Float32Array> & {
      vector?: Float32Array
      like?: IdInput
      text?: string
    }
    const [unknown] = Object.keys(rest)
    if (unknown !== undefined) throw queryInvalid(unknown, 'present', 'absent: no such query')
    if ([vector, like, text].filter((one) => one !== undefined).length !== 1) {
      throw queryInvalid('query', 'several or none', 'one of vector, like, text')
    }
    if (vector !== undefined) return { vector: checkQueryVector(vector, shape, limits), except: 0 }
    if (like !== undefined) {
      const state = this.#existing(pinned, toId(like))
      if (state.revision === 0) throw queryInvalid('like', state.id, 'a concept with a vector')
      return { vector: await this.#vectorOf(state, pinned.position), except: state.ordinal }
    }
    if (typeof text !== 'string') {
      throw new TypeError(`'text' must be a string, received ${typeof text}`)
    }
    const [embedded] = await embedTexts(embed, [text], signal)
    return { vector: checkQueryVector(embedded, shape, limits), except: 0 }
  }

  #existing(pinned: Pinned, id: ConceptId): ConceptState {
    const state = pinned.conceptById(id)
    if (state !== undefined) return state
    throw new StoreError('CONCEPT_NOT_FOUND', `There is no concept ${id}`, { id })
  }

  #took(kind: Operation, started: number, results: number): void {
    const us = nowUs() - started
    this.host.latency.record(kind, us)
    const { hub } = this.host
    if (hub.active) hub.emit({ type: 'query', time: Date.now(), kind, us, results })
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
