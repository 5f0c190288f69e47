/** A straight line through recent samples. */
interface TrendLine {
  /** Change of the value in a millisecond. */
  slope: number
  /** Value of the line at the newest sample. */
  value: number
  /** Share of the samples' variance that the line explains, 0 to 1. */
  fit: number
}

interface Point {
  at: number
  value: number
}

const FLAT: TrendLine = { slope: 0, value: 0, fit: 0 }

/** Least squares over a window of samples, the latest `size` ones that are young enough. */
export class Trend {
  readonly #size: number
  readonly #ageMaxMs: number
  #points: Point[] = []

  constructor(size: number, ageMaxMs: number) {
    this.#size = size
    this.#ageMaxMs = ageMaxMs
  }

  add(at: number, value: number): void {
    this.#points.push({ at, value })
    const tooMany = this.#points.length - this.#size
    this.#points = this.#points.filter((one, i) => i >= tooMany && at - one.at <= this.#ageMaxMs)
  }

  /** Two points always make a line, which proves nothing: fewer than three have no trend. */
  line(): TrendLine {
    const points = this.#points
    const last = points.at(-1)
    if (last === undefined) return FLAT
    if (points.length < 3) return { slope: 0, value: last.value, fit: 0 }

    const meanAt = mean(points.map((one) => one.at))
    const meanValue = mean(points.map((one) => one.value))
    let varianceAt = 0
    let varianceValue = 0
    let covariance = 0
    for (const { at, value } of points) {
      varianceAt += (at - meanAt) ** 2
      varianceValue += (value - meanValue) ** 2
      covariance += (at - meanAt) * (value - meanValue)
    }
    if (varianceAt === 0 || varianceValue === 0) return { slope: 0, value: last.value, fit: 0 }
    const slope = covariance / varianceAt
    return {
      slope,
      value: meanValue + slope * (last.at - meanAt),
      fit: covariance ** 2 / (varianceAt * varianceValue)
    }
  }
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, one) => sum + one, 0) / numbers.length
}
