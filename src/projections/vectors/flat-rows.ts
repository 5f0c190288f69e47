import { assert } from '../../assert.ts'
import { inverseNorm } from './distance.ts'
import type { RowCursor, RowSource } from './scan.ts'

const CHUNK_BYTES = 1024 * 1024
const CHUNK_ROWS_MAX = 4096
const U32_MAX = 2 ** 32 - 1

interface Chunk {
  readonly ordinals: Uint32Array
  readonly revisions: Uint32Array
  readonly inverseNorms: Float64Array
  readonly vectors: Float32Array
}

/**
 * Exact vectors in memory, appended in the order of the log, so that revisions increase.
 *
 * Rows are numbered from 0 for the life of the worker; `drop` forgets the first of them once
 * they are in a sealed segment. A chunk never moves: whoever holds one may go on reading it.
 */
export class FlatRows implements RowSource {
  readonly #dimensions: number
  readonly #shift: number
  readonly #chunks: Chunk[] = []
  #droppedChunks = 0
  #first = 0
  #count = 0
  #lastRevision = 0

  constructor(dimensions: number) {
    this.#dimensions = dimensions
    const rows = Math.min(CHUNK_ROWS_MAX, CHUNK_BYTES / (4 * dimensions))
    this.#shift = Math.max(0, Math.floor(Math.log2(rows)))
  }

  /** The first row that is still here, and the number of the row to come. */
  get from(): number {
    return this.#first
  }

  get to(): number {
    return this.#count
  }

  /** @param bytes Little-endian f32, `dimensions` of them, at any alignment. Copied. */
  append(ordinal: number, revision: number, bytes: Uint8Array): void {
    assert(bytes.length === 4 * this.#dimensions, 'a vector has the declared dimensions')
    assert(revision > this.#lastRevision, 'revisions of vectors increase along the log')
    assert(revision <= U32_MAX && ordinal <= U32_MAX, 'ordinals and revisions are 32-bit numbers')
    const slot = this.#slotOf(this.#count)
    if (slot === 0 || this.#chunks.length === 0) this.#chunks.push(this.#newChunk())
    const chunk = this.#chunkOf(this.#count)
    const offset = slot * this.#dimensions
    new Uint8Array(chunk.vectors.buffer, 4 * offset, bytes.length).set(bytes)
    chunk.ordinals[slot] = ordinal
    chunk.revisions[slot] = revision
    chunk.inverseNorms[slot] = inverseNorm(chunk.vectors, offset, this.#dimensions)
    this.#count++
    this.#lastRevision = revision
  }

  ordinalAt(row: number): number {
    const ordinal = this.#chunkOf(row).ordinals[this.#slotOf(row)]
    assert(ordinal !== undefined, 'a slot is within its chunk')
    return ordinal
  }

  revisionAt(row: number): number {
    const revision = this.#chunkOf(row).revisions[this.#slotOf(row)]
    assert(revision !== undefined, 'a slot is within its chunk')
    return revision
  }

  /** The row of a revision, or -1. */
  rowOf(revision: number): number {
    return findRevision(this.#first, this.#count, revision, (row) => this.revisionAt(row))
  }

  /** Reads the rows that are here now; goes on to do so even after they were dropped. */
  cursor(): RowCursor {
    return new ChunkCursor(this.#chunks.slice(), this.#droppedChunks, this.#shift, this.#dimensions)
  }

  single(): RowCursor {
    return this.cursor()
  }

  /** The rows of [from, to), chunk by chunk: views, not copies. */
  *pieces(from: number, to: number): Generator<Chunk> {
    for (let row = from; row < to; ) {
      const chunk = this.#chunkOf(row)
      const start = this.#slotOf(row)
      const end = Math.min(start + to - row, chunk.ordinals.length)
      yield {
        ordinals: chunk.ordinals.subarray(start, end),
        revisions: chunk.revisions.subarray(start, end),
        inverseNorms: chunk.inverseNorms.subarray(start, end),
        vectors: chunk.vectors.subarray(start * this.#dimensions, end * this.#dimensions)
      }
      row += end - start
    }
  }

  drop(before: number): void {
    assert(before >= this.#first && before <= this.#count, 'only rows that are here are dropped')
    this.#first = before
    const chunks = (before >> this.#shift) - this.#droppedChunks
    this.#chunks.splice(0, chunks)
    this.#droppedChunks += chunks
  }

  #newChunk(): Chunk {
    const rows = 1 << this.#shift
    return {
      ordinals: new Uint32Array(rows),
      revisions: new Uint32Array(rows),
      inverseNorms: new Float64Array(rows),
      vectors: new Float32Array(rows * this.#dimensions)
    }
  }

  #slotOf(row: number): number {
    return row & ((1 << this.#shift) - 1)
  }

  #chunkOf(row: number): Chunk {
    const chunk = this.#chunks[(row >> this.#shift) - this.#droppedChunks]
    assert(chunk !== undefined, 'a row that is read is here')
    return chunk
  }
}

class ChunkCursor implements RowCursor {
  readonly #chunks: readonly Chunk[]
  readonly #droppedChunks: number
  readonly #shift: number
  readonly #dimensions: number
  #chunk: Chunk | undefined
  #slot = 0

  constructor(chunks: readonly Chunk[], droppedChunks: number, shift: number, dimensions: number) {
    this.#chunks = chunks
    this.#droppedChunks = droppedChunks
    this.#shift = shift
    this.#dimensions = dimensions
  }

  seek(row: number): void {
    this.#chunk = this.#chunks[(row >> this.#shift) - this.#droppedChunks]
    this.#slot = row & ((1 << this.#shift) - 1)
  }

  get vectors(): Float32Array {
    return this.#here().vectors
  }

  get offset(): number {
    return this.#slot * this.#dimensions
  }

  get inverseNorm(): number {
    return this.#here().inverseNorms[this.#slot] ?? Number.NaN
  }

  get ordinal(): number {
    return this.#here().ordinals[this.#slot] ?? 0
  }

  get revision(): number {
    return this.#here().revisions[this.#slot] ?? 0
  }

  #here(): Chunk {
    assert(this.#chunk !== undefined, 'a cursor stands on a row')
    return this.#chunk
  }
}

/** Finds a number in an increasing list that mostly has no gaps: by a guess, then by halving. */
export function findRevision(
  first: number,
  end: number,
  revision: number,
  at: (row: number) => number
): number {
  if (first === end) return -1
  const guess = first + revision - at(first)
  if (guess >= first && guess < end && at(guess) === revision) return guess
  let low = first
  let high = end
  while (low < high) {
    const middle = (low + high) >>> 1
    if (at(middle) < revision) low = middle + 1
    else high = middle
  }
  return low < end && at(low) === revision ? low : -1
}
