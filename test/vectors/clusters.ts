/** Vectors as real ones lie: around centres, more and less densely. */
import type { Random } from '../support/random.ts'

export type Metric = 'cosine' | 'ip' | 'l2sq'

export class Clusters {
  readonly #random: Random
  readonly #centres: Float32Array[]

  constructor(random: Random, dimensions: number, count = 24) {
    this.#random = random
    this.#centres = Array.from({ length: count }, () =>
      Float32Array.from({ length: dimensions }, () => this.#normal())
    )
  }

  next(): Float32Array {
    const centre = this.#random.pick(this.#centres)
    const spread = 0.1 + this.#random.next() * 0.5
    return centre.map((value) => value + spread * this.#normal())
  }

  /** Sums of uniform numbers are near enough to a bell. */
  #normal(): number {
    let sum = -3
    for (let at = 0; at < 6; at++) sum += this.#random.next()
    return sum
  }
}

/** As the documentation says, from numbers of double precision. */
export function similarityOf(a: Float32Array, b: Float32Array, metric: Metric): number {
  let dot = 0
  let aa = 0
  let bb = 0
  let apart = 0
  for (let at = 0; at < a.length; at++) {
    const [x = 0, y = 0] = [a[at], b[at]]
    dot += x * y
    aa += x * x
    bb += y * y
    apart += (x - y) ** 2
  }
  if (metric === 'ip') return dot
  return metric === 'cosine' ? dot / Math.sqrt(aa * bb) : 1 / (1 + apart)
}
