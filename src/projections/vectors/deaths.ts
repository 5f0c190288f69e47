/**
 * Which rows of a segment nobody needs any more, in memory that threads share: their concept was given
 * another vector, or none, or forgotten. Only the main thread writes, and only what is durable: a
 * position beyond the log that a power cut leaves would let the next open miss a vector.
 */
import { reserve } from './reserve.ts'

/** One number a row. */
export function newDeaths(capacity: number): SharedArrayBuffer {
  return reserve(capacity * Float64Array.BYTES_PER_ELEMENT)
}

export class Deaths {
  readonly buffer: SharedArrayBuffer
  /** A position at which the row was dead already; 0: it is not known to be. */
  readonly #positions: Float64Array

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer
    const { BYTES_PER_ELEMENT } = Float64Array
    this.#positions = new Float64Array(buffer, 0, buffer.byteLength / BYTES_PER_ELEMENT)
  }

  /** Whether no state from a position on needs the row. */
  isDeadAt(row: number, position: number): boolean {
    const died = this.#positions[row] as number
    return died !== 0 && died <= position
  }

  isDead(row: number): boolean {
    return this.#positions[row] !== 0
  }

  set(row: number, position: number): void {
    this.#positions[row] = position
  }
}

/** How many rows from a boundary on are dead, without counting them each time. */
export class DeadBehind {
  readonly #deaths: Deaths
  #from = 0
  #count = 0
  #all = 0

  constructor(deaths: Deaths) {
    this.#deaths = deaths
  }

  get from(): number {
    return this.#from
  }

  get count(): number {
    return this.#count
  }

  /** Told of each row once. */
  buried(row: number): void {
    this.#all += 1
    if (row >= this.#from) this.#count += 1
  }

  /** To either side: what a thread had built may be lost with it. */
  moveTo(from: number): void {
    // None is known when an index is opened, which may be one of millions.
    if (this.#all > 0) {
      for (let row = this.#from; row < from; row++) if (this.#deaths.isDead(row)) this.#count -= 1
      for (let row = from; row < this.#from; row++) if (this.#deaths.isDead(row)) this.#count += 1
    }
    this.#from = from
  }
}
