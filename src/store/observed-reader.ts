import type { IdInput } from '../ids.ts'
import { PinnedReader } from '../query/reader.ts'
import type { OperationCall, OperationWatch } from '../telemetry/operation-watch.ts'
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
  ReadOptions,
  SearchOptions,
  SearchQuery
} from '../types.ts'

type PathsOptions = PathOptions & { limit?: number }

/**
 * Tells tracing channels and OpenTelemetry of reads. Each method asks whether anybody watches, and
 * is nothing but the read itself if not: it returns that promise instead of waiting for it.
 */
export abstract class ObservedReader extends PinnedReader {
  protected abstract readonly operations: OperationWatch

  override has(id: IdInput, options?: ReadOptions): Promise<boolean> {
    if (!this.#isWatched) return super.has(id, options)
    return this.#run({ operation: 'has' }, () => super.has(id, options))
  }

  override get(id: IdInput, options?: GetOptions): Promise<Concept | undefined> {
    if (!this.#isWatched) return super.get(id, options)
    return this.#run({ operation: 'get' }, () => super.get(id, options))
  }

  override getMany(
    ids: readonly IdInput[],
    options?: GetOptions
  ): Promise<(Concept | undefined)[]> {
    if (!this.#isWatched) return super.getMany(ids, options)
    const batchSize = Array.isArray(ids) ? ids.length : undefined
    return this.#run({ operation: 'getMany', batchSize }, () => super.getMany(ids, options))
  }

  override association(
    ref: AssociationRef,
    options?: ReadOptions
  ): Promise<Association | undefined> {
    if (!this.#isWatched) return super.association(ref, options)
    return this.#run({ operation: 'association' }, () => super.association(ref, options))
  }

  override vector(id: IdInput, options?: ReadOptions): Promise<Float32Array | undefined> {
    if (!this.#isWatched) return super.vector(id, options)
    return this.#run({ operation: 'vector' }, () => super.vector(id, options))
  }

  override neighbors(id: IdInput, options?: NeighborOptions): Promise<Association[]> {
    if (!this.#isWatched) return super.neighbors(id, options)
    return this.#run({ operation: 'neighbors' }, () => super.neighbors(id, options))
  }

  override findPath(
    source: IdInput,
    target: IdInput,
    options?: PathOptions
  ): Promise<Path | undefined> {
    if (!this.#isWatched) return super.findPath(source, target, options)
    return this.#run({ operation: 'findPath' }, () => super.findPath(source, target, options))
  }

  override findPaths(source: IdInput, target: IdInput, options?: PathsOptions): Promise<Path[]> {
    if (!this.#isWatched) return super.findPaths(source, target, options)
    return this.#run({ operation: 'findPaths' }, () => super.findPaths(source, target, options))
  }

  override search(asked: SearchQuery, options?: SearchOptions): Promise<Match[]> {
    if (!this.#isWatched) return super.search(asked, options)
    return this.#run({ operation: 'search' }, () => super.search(asked, options))
  }

  override counts(options?: ReadOptions): Promise<Counts> {
    if (!this.#isWatched) return super.counts(options)
    return this.#run({ operation: 'counts' }, () => super.counts(options))
  }

  override stateHash(options?: ReadOptions): Promise<string> {
    if (!this.#isWatched) return super.stateHash(options)
    return this.#run({ operation: 'stateHash' }, () => super.stateHash(options))
  }

  override contentHash(options?: ReadOptions): Promise<string> {
    if (!this.#isWatched) return super.contentHash(options)
    return this.#run({ operation: 'contentHash' }, () => super.contentHash(options))
  }

  override associations(id: IdInput, options?: NeighborOptions): AsyncGenerator<Association> {
    const items = super.associations(id, options)
    return this.#isWatched ? this.operations.iterate(read('associations'), items) : items
  }

  override concepts(options?: ConceptsOptions): AsyncGenerator<Concept> {
    const items = super.concepts(options)
    return this.#isWatched ? this.operations.iterate(read('concepts'), items) : items
  }

  get #isWatched(): boolean {
    return this.operations.watches('query')
  }

  #run<T>(call: Omit<OperationCall, 'group'>, work: () => Promise<T>): Promise<T> {
    return this.operations.run({ group: 'query', ...call }, work)
  }
}

function read(operation: string): OperationCall {
  return { group: 'query', operation }
}
