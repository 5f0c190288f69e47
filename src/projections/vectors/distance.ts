import type { VectorMetric } from '../../options.ts'

/**
 * Exact distances of one query, in double precision.
 *
 * Every path (hits of a graph, exact scans, memory and disk) goes through here, so that equal
 * vectors have equal distances, to the last bit, wherever they lie.
 */
export class Query {
  readonly vector: Float32Array
  readonly #wide: Float64Array
  readonly #metric: VectorMetric
  readonly #inverseNorm: number

  constructor(vector: Float32Array, metric: VectorMetric) {
    this.vector = vector
    this.#wide = Float64Array.from(vector)
    this.#metric = metric
    this.#inverseNorm = inverseNorm(vector, 0, vector.length)
  }

  /**
   * @param norm Inverse norm of the row if it is known, `NaN` if it is not.
   * @returns cosine: 1 − cos; ip: −dot product, as 1 − a tiny one would be 1; l2sq: sum of squared
   *   differences.
   */
  distance(rows: Float32Array, offset: number, norm: number): number {
    switch (this.#metric) {
      case 'l2sq':
        return squaredDistance(this.#wide, rows, offset)
      case 'ip':
        return -dot(this.#wide, rows, offset)
      case 'cosine': {
        const known = Number.isNaN(norm) ? inverseNorm(rows, offset, this.#wide.length) : norm
        return 1 - dot(this.#wide, rows, offset) * this.#inverseNorm * known
      }
    }
  }
}

/** 1 / |row|, or 0 for a row of zeros, which is thereby at cosine distance 1 from everything. */
export function inverseNorm(rows: Float32Array, offset: number, dimensions: number): number {
  const norm = Math.sqrt(squares(rows, offset, dimensions))
  return norm === 0 ? 0 : 1 / norm
}

// The loops below run for every row of an exact scan: four sums side by side let the processor
// overlap the additions. Indices stay inside both arrays, hence the casts.

function dot(query: Float64Array, rows: Float32Array, offset: number): number {
  let s0 = 0
  let s1 = 0
  let s2 = 0
  let s3 = 0
  const whole = query.length & ~3
  let i = 0
  for (; i < whole; i += 4) {
    const at = offset + i
    s0 += (query[i] as number) * (rows[at] as number)
    s1 += (query[i + 1] as number) * (rows[at + 1] as number)
    s2 += (query[i + 2] as number) * (rows[at + 2] as number)
    s3 += (query[i + 3] as number) * (rows[at + 3] as number)
  }
  for (; i < query.length; i++) s0 += (query[i] as number) * (rows[offset + i] as number)
  return s0 + s1 + (s2 + s3)
}

function squaredDistance(query: Float64Array, rows: Float32Array, offset: number): number {
  let s0 = 0
  let s1 = 0
  const whole = query.length & ~1
  let i = 0
  for (; i < whole; i += 2) {
    const d0 = (query[i] as number) - (rows[offset + i] as number)
    const d1 = (query[i + 1] as number) - (rows[offset + i + 1] as number)
    s0 += d0 * d0
    s1 += d1 * d1
  }
  for (; i < query.length; i++) {
    const d = (query[i] as number) - (rows[offset + i] as number)
    s0 += d * d
  }
  return s0 + s1
}

function squares(rows: Float32Array, offset: number, dimensions: number): number {
  let s0 = 0
  let s1 = 0
  let s2 = 0
  let s3 = 0
  const whole = dimensions & ~3
  let i = 0
  for (; i < whole; i += 4) {
    const at = offset + i
    s0 += (rows[at] as number) ** 2
    s1 += (rows[at + 1] as number) ** 2
    s2 += (rows[at + 2] as number) ** 2
    s3 += (rows[at + 3] as number) ** 2
  }
  for (; i < dimensions; i++) s0 += (rows[offset + i] as number) ** 2
  return s0 + s1 + (s2 + s3)
}
