/**
 * How vectors lie in memory that threads share. Rows of a segment are numbered from 0 in the order
 * of the log. Whoever appends fills a row before any message names it; nobody changes it after.
 */
import { assert } from '../../assert.ts'
import { inverseNorm } from './distance.ts'
import { reserve } from './reserve.ts'

/** Per row, in memory and in the file: ordinal, revision, CRC-32 of the vector's bytes. */
const ID_FIELDS = 3
export const ID_BYTES: number = 4 * ID_FIELDS

const SLAB_BYTES = 4 * 1024 * 1024
const U32_MAX = 2 ** 32 - 1

/** Rows of one slab: a power of two, so that a row's slab is a shift away. */
export function slabRows(dimensions: number): number {
  return 2 ** Math.floor(Math.log2(SLAB_BYTES / (4 * dimensions)))
}

/** Only rows that were written or read take memory. */
export function newSlab(dimensions: number): SharedArrayBuffer {
  const rows = slabRows(dimensions)
  return reserve(rows * (4 * dimensions + 8 + 1))
}

export function newIds(capacity: number): SharedArrayBuffer {
  return reserve(capacity * ID_BYTES)
}

/** Vectors of consecutive rows, with what was computed of each and whether it is there. */
export class Slab {
  readonly buffer: SharedArrayBuffer
  readonly dimensions: number
  readonly vectors: Float32Array
  readonly inverseNorms: Float64Array
  readonly #bytes: Uint8Array
  readonly #filled: Uint8Array

  constructor(buffer: SharedArrayBuffer, dimensions: number) {
    const rows = slabRows(dimensions)
    this.buffer = buffer
    this.dimensions = dimensions
    this.inverseNorms = new Float64Array(buffer, 0, rows)
    this.vectors = new Float32Array(buffer, 8 * rows, rows * dimensions)
    this.#bytes = new Uint8Array(buffer, 8 * rows, 4 * rows * dimensions)
    this.#filled = new Uint8Array(buffer, rows * (8 + 4 * dimensions), rows)
  }

  isFilled(slot: number): boolean {
    return Atomics.load(this.#filled, slot) === 1
  }

  /** @param bytes Little-endian f32, at any alignment. Copied. */
  fill(slot: number, bytes: Uint8Array): void {
    this.#bytes.set(bytes, 4 * slot * this.dimensions)
    this.filled(slot)
  }

  /** The row's bytes are in place: other threads may read them from now on. */
  filled(slot: number): void {
    const offset = slot * this.dimensions
    this.inverseNorms[slot] = inverseNorm(this.vectors, offset, this.dimensions)
    Atomics.store(this.#filled, slot, 1)
  }

  /** The memory of some rows, as bytes. */
  bytesOf(slot: number, rows: number): Uint8Array {
    const size = 4 * this.dimensions
    return this.#bytes.subarray(slot * size, (slot + rows) * size)
  }
}

/** Ordinals and revisions of a segment's rows. */
export class RowIds {
  readonly buffer: SharedArrayBuffer
  readonly #fields: Uint32Array

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer
    this.#fields = new Uint32Array(buffer, 0, buffer.byteLength / 4)
  }

  set(row: number, ordinal: number, revision: number): void {
    assert(revision <= U32_MAX && ordinal <= U32_MAX, 'ordinals and revisions are 32-bit numbers')
    this.#fields[row * ID_FIELDS] = ordinal
    this.#fields[row * ID_FIELDS + 1] = revision
  }

  setChecksum(row: number, checksum: number): void {
    this.#fields[row * ID_FIELDS + 2] = checksum
  }

  ordinalAt(row: number): number {
    return this.#fields[row * ID_FIELDS] as number
  }

  revisionAt(row: number): number {
    return this.#fields[row * ID_FIELDS + 1] as number
  }

  checksumAt(row: number): number {
    return this.#fields[row * ID_FIELDS + 2] as number
  }

  bytesOf(from: number, to: number): Uint8Array {
    return new Uint8Array(this.buffer, from * ID_BYTES, (to - from) * ID_BYTES)
  }

  /** The row of a revision among the first rows, or -1. */
  rowOf(revision: number, rows: number): number {
    return findRevision(0, rows, revision, (row) => this.revisionAt(row))
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
