import { availableParallelism } from 'node:os'
import { assert } from '../../assert.ts'
import { StoreError } from '../../errors.ts'
import type { VectorsDeclared } from '../../log/event.ts'
import { inverseNorm } from './distance.ts'

type UsearchModule = typeof import('usearch')
type UsearchIndex = InstanceType<UsearchModule['Index']>

// Two threads double the adds; more would take the processor from the program around us.
const THREADS = Math.min(2, availableParallelism())

/** Begins to load the graph engine, for a thread that will need it. */
export function preload(): void {
  // Where it does not load, whoever needs it first is told.
  import('usearch').catch(() => undefined)
}

/** What a graph is made for. Never changes for the life of a store. */
export type GraphShape = Pick<
  VectorsDeclared,
  'dimensions' | 'metric' | 'quantization' | 'connectivity' | 'expansionAdd' | 'expansionSearch'
>

/**
 * Makes graphs. The only code that meets usearch, and only inside a worker: each of its calls
 * blocks the thread, and its prebuilt binaries do not exist for every system.
 */
export class GraphFactory {
  readonly #usearch: UsearchModule
  readonly #shape: GraphShape

  private constructor(usearch: UsearchModule, shape: GraphShape) {
    this.#usearch = usearch
    this.#shape = shape
  }

  /**
   * @param load Taken from outside so that a system without usearch can be tested.
   * @throws StoreError `VECTORS_UNAVAILABLE`
   */
  static async load(
    shape: GraphShape,
    load: () => Promise<UsearchModule> = () => import('usearch')
  ): Promise<GraphFactory> {
    try {
      return new GraphFactory(await load(), shape)
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      const message = `The vector index cannot be loaded on this system: ${reason}`
      throw new StoreError('VECTORS_UNAVAILABLE', message, { reason }, { cause })
    }
  }

  /** @param scale See `scaleOf`. */
  create(scale: number): VectorGraph {
    return new VectorGraph(this.#index(), this.#shape, scale)
  }

  /** Reads a graph into memory, so that it can grow. Only for bytes whose checksum was checked. */
  load({ path, vectors, scale }: GraphFile): VectorGraph {
    const index = this.#index()
    index.load(path)
    return this.#checked(index, vectors, scale)
  }

  /** Maps a graph that never changes. Only for bytes whose checksum was checked. */
  view({ path, vectors, scale }: GraphFile): VectorGraph {
    const index = this.#index()
    index.view(path)
    return this.#checked(index, vectors, scale)
  }

  /**
   * How much larger the numbers in a graph are than those given, as a power of two. Where more counts
   * than the angle, lengths are brought to about 1 by those of a sample: squares of small ones would
   * vanish, and f16 ends at 65 504. That all are scaled alike changes no order.
   */
  scaleOf(sample: Float32Array): number {
    const { dimensions, metric } = this.#shape
    if (metric === 'cosine') return 0
    const inverses: number[] = []
    for (let start = 0; start < sample.length; start += dimensions) {
      const inverse = inverseNorm(sample, start, dimensions)
      if (inverse > 0) inverses.push(inverse)
    }
    inverses.sort((a, b) => a - b)
    // By the median: a few that are far longer or shorter must not decide about all.
    return Math.round(Math.log2(inverses[inverses.length >> 1] ?? 1))
  }

  /** The file decides over the dimensions of an index that is read from it, without a word. */
  #checked(index: UsearchIndex, count: number, scale: number): VectorGraph {
    if (index.dimensions() !== this.#shape.dimensions || index.size() !== count) {
      throw new Error(
        `a graph of ${index.size()} × ${index.dimensions()} numbers, ` +
          `expected ${count} × ${this.#shape.dimensions}`
      )
    }
    return new VectorGraph(index, this.#shape, scale)
  }

  #index(): UsearchIndex {
    const { Index, MetricKind, ScalarKind } = this.#usearch
    const metrics = { cosine: MetricKind.Cos, ip: MetricKind.IP, l2sq: MetricKind.L2sq }
    const scalars = {
      f32: ScalarKind.F32,
      f16: ScalarKind.F16,
      bf16: ScalarKind.BF16,
      i8: ScalarKind.I8
    }
    return new Index({
      dimensions: this.#shape.dimensions,
      metric: metrics[this.#shape.metric],
      quantization: scalars[graphScalar(this.#shape)],
      connectivity: this.#shape.connectivity,
      expansion_add: this.#shape.expansionAdd,
      expansion_search: this.#shape.expansionSearch,
      multi: false
    })
  }
}

/** A graph that was written. */
export interface GraphFile {
  path: string
  vectors: number
  scale: number
}

/** Revisions of the rows found, nearest first by the distances of the graph. */
export interface GraphHits {
  keys: BigUint64Array
  distances: Float32Array
}

/**
 * Of cosine distances, by the last bit of a number at most 1: with room to spare. Of i8, six times the
 * 0.0047 by which random vectors of 4 to 768 dimensions were off, as root of the mean square.
 */
const TOLERANCE = { f32: 1e-4, f16: 4e-3, bf16: 3e-2, i8: 3e-2 } as const

/** One HNSW graph. Finds candidates; their order is settled with the exact vectors. */
export class VectorGraph {
  readonly #index: UsearchIndex
  readonly #shape: GraphShape
  readonly #limit: number
  readonly #factor: number

  constructor(index: UsearchIndex, shape: GraphShape, scale: number) {
    this.#index = index
    this.#shape = shape
    this.#factor = 2 ** scale
    this.#limit = largestNumber(shape)
  }

  /** @param vectors One row of exact numbers for each revision. */
  add(revisions: Uint32Array, vectors: Float32Array): void {
    const keys = BigUint64Array.from(revisions, BigInt)
    this.#index.add(keys, this.#fit(vectors), THREADS)
  }

  /**
   * Revisions of about the nearest rows. To widen the search, ask for more than is needed: that
   * is the only way in which usearch's expansion can be raised for one query.
   */
  nearest(query: Float32Array, wanted: number): GraphHits {
    // A huge number would abort the process: usearch takes memory for it at once.
    const clamped = Math.min(wanted, this.#index.size())
    if (clamped === 0) return { keys: new BigUint64Array(0), distances: new Float32Array(0) }
    const { keys, distances } = this.#index.search(this.#fitQuery(query), clamped, 1)
    return { keys, distances }
  }

  /**
   * How far the distances of the graph may be from the exact ones: its numbers are rounded. Only
   * known where all of them are of one size.
   */
  get tolerance(): number {
    return this.#shape.metric === 'cosine' ? TOLERANCE[this.#shape.quantization] : Infinity
  }

  /** Writes in place, without fsync, and may return although the file is cut short. */
  save(path: string): void {
    this.#index.save(path)
  }

  /** With inner products the length of a query changes no order; distances need that of the rows. */
  #fitQuery(query: Float32Array): Float32Array {
    const { dimensions, metric } = this.#shape
    if (metric !== 'ip') return this.#fit(query)
    const scale = inverseNorm(query, 0, dimensions)
    return query.map((value) => value * scale)
  }

  /**
   * A copy that the graph's numbers can hold: of length one where only the angle counts, scaled and
   * cut off at the largest number otherwise. Infinity would poison the graph.
   */
  #fit(vectors: Float32Array): Float32Array {
    const { dimensions, metric } = this.#shape
    const fitted = new Float32Array(vectors.length)
    assert(vectors.length % dimensions === 0, 'whole vectors go into a graph')
    for (let start = 0; start < vectors.length; start += dimensions) {
      const scale = metric === 'cosine' ? inverseNorm(vectors, start, dimensions) : this.#factor
      for (let at = start; at < start + dimensions; at++) {
        const scaled = (vectors[at] ?? 0) * scale
        fitted[at] = Math.max(-this.#limit, Math.min(this.#limit, scaled))
      }
    }
    return fitted
  }
}

/**
 * usearch scales each vector to length one before it rounds to i8. Inner products and euclidean
 * distances do not survive that, so their graphs take the next smallest numbers.
 */
function graphScalar(shape: GraphShape): GraphShape['quantization'] {
  return shape.quantization === 'i8' && shape.metric !== 'cosine' ? 'bf16' : shape.quantization
}

/** Differences fit into the number, sums of squares into f32. */
function largestNumber(shape: GraphShape): number {
  if (graphScalar(shape) === 'f16') return 32_752
  return Math.sqrt(3.4e38 / (4 * shape.dimensions))
}
