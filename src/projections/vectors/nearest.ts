/** Nearest first: by distance, then by revision. The caller drops what its view does not name. */
export interface Candidates {
  ordinals: Uint32Array
  revisions: Uint32Array
  distances: Float64Array
  /** Every row was considered and is here: asking for more gives nothing new. */
  exhausted: boolean
}

/** Those that are no farther than a distance. */
export function within(candidates: Candidates, horizon: number): Candidates {
  const { ordinals, revisions, distances } = candidates
  const beyond = distances.findIndex((distance) => distance > horizon)
  if (beyond === -1) return candidates
  return {
    ordinals: ordinals.subarray(0, beyond),
    revisions: revisions.subarray(0, beyond),
    distances: distances.subarray(0, beyond),
    exhausted: false
  }
}

/** Keeps the `k` nearest of all rows offered. A heap whose root is the farthest one kept. */
export class Nearest {
  readonly #k: number
  readonly #ordinals: Uint32Array
  readonly #revisions: Uint32Array
  readonly #distances: Float64Array
  #size = 0

  constructor(k: number) {
    this.#k = k
    this.#ordinals = new Uint32Array(k)
    this.#revisions = new Uint32Array(k)
    this.#distances = new Float64Array(k)
  }

  /** Nothing that is farther will be kept. */
  get farthest(): number {
    return this.#size < this.#k ? Number.POSITIVE_INFINITY : (this.#distances[0] as number)
  }

  offer(ordinal: number, revision: number, distance: number): void {
    if (this.#size < this.#k) {
      this.#rise(this.#size++, ordinal, revision, distance)
    } else if (this.#k > 0 && this.#farther(0, distance, revision)) {
      this.#sink(this.#size, ordinal, revision, distance)
    }
  }

  /** Ends the collection. */
  candidates(exhausted: boolean): Candidates {
    const size = this.#size
    // Takes the farthest out, again and again, and puts it behind the shrinking heap.
    for (let end = size - 1; end > 0; end--) {
      const ordinal = this.#ordinals[end] as number
      const revision = this.#revisions[end] as number
      const distance = this.#distances[end] as number
      this.#move(0, end)
      this.#sink(end, ordinal, revision, distance)
    }
    return {
      ordinals: this.#ordinals.slice(0, size),
      revisions: this.#revisions.slice(0, size),
      distances: this.#distances.slice(0, size),
      exhausted
    }
  }

  #rise(at: number, ordinal: number, revision: number, distance: number): void {
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (this.#farther(parent, distance, revision)) break
      this.#move(parent, at)
      at = parent
    }
    this.#put(at, ordinal, revision, distance)
  }

  /** Replaces the root of a heap of `size` entries. */
  #sink(size: number, ordinal: number, revision: number, distance: number): void {
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= size) break
      if (child + 1 < size && this.#orderedPair(child)) child++
      if (!this.#farther(child, distance, revision)) break
      this.#move(child, at)
      at = child
    }
    this.#put(at, ordinal, revision, distance)
  }

  // This runs for every row of an exact scan. Indices stay below the size, hence the casts.

  #farther(at: number, distance: number, revision: number): boolean {
    const other = this.#distances[at] as number
    return other > distance || (other === distance && (this.#revisions[at] as number) > revision)
  }

  /** Whether the entry behind this one is farther than it. */
  #orderedPair(at: number): boolean {
    return this.#farther(at + 1, this.#distances[at] as number, this.#revisions[at] as number)
  }

  #move(from: number, to: number): void {
    this.#put(
      to,
      this.#ordinals[from] as number,
      this.#revisions[from] as number,
      this.#distances[from] as number
    )
  }

  #put(at: number, ordinal: number, revision: number, distance: number): void {
    this.#ordinals[at] = ordinal
    this.#revisions[at] = revision
    this.#distances[at] = distance
  }
}
