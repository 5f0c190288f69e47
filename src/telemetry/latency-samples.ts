/** The only importer of hdr-histogram-js. */
import type { JsHistogram } from 'hdr-histogram-js'
// Its index reads 46 files, most of them to write and read logs of histograms; these are eleven.
import float64 from 'hdr-histogram-js/dist/Float64Histogram.js'
import int32 from 'hdr-histogram-js/dist/Int32Histogram.js'
import type { LatencySummary } from './types.ts'

// They are CommonJS, whose default export Node gives as a member.
const { default: Float64Histogram } = float64
const { default: Int32Histogram } = int32

const NS_PER_US = 1000
/** Longer ones count as ten minutes. */
const LONGEST_NS = 10 * 60 * 1e9
const DIGITS = 2
/** Made-up samples for one that took too long, at most: more of them say nothing more. */
const FILLED_MAX = 1000

/** The samples of one slot of time, or of all slots before the window. */
interface Slot {
  /** Counted from when the store was opened. */
  number: number
  histogram: JsHistogram
  /** Kept beside the histogram, whose own mean walks all buckets and takes up to 4 ms. */
  sumNs: number
  maxNs: number
}

/**
 * Samples of one operation: a histogram for each slot of the window in which there were any, 17 KB
 * each, and one for all that came before. They are made when the first sample comes, and a slot that
 * has left the window is used again.
 */
export class LatencySamples {
  readonly #slotsMax: number
  /** Oldest first; those that have left the window are added to `#before` by the next sample. */
  #slots: Slot[] = []
  #before: Slot | undefined
  #newest: Slot | undefined

  constructor(slotsMax: number) {
    this.#slotsMax = slotsMax
  }

  record(ns: number, slot: number): void {
    // A clock that steps back must not fail the operation that was measured.
    const whole = ns > 0 ? Math.min(Math.round(ns), LONGEST_NS) : 0
    const newest = this.#newest?.number === slot ? this.#newest : this.#open(slot)
    newest.histogram.recordValue(whole)
    newest.sumNs += whole
    if (whole > newest.maxNs) newest.maxNs = whole
  }

  /** Adds what would have been measured every `intervalNs` while one took so long. */
  fill(ns: number, intervalNs: number, slot: number): void {
    const longest = Math.min(ns, LONGEST_NS)
    const missed = intervalNs > 0 ? Math.floor(longest / intervalNs) - 1 : 0
    const step = Math.max(1, missed / FILLED_MAX) * intervalNs
    for (let i = 1; i <= Math.min(missed, FILLED_MAX); i++) this.record(longest - i * step, slot)
  }

  sinceOpen(): LatencySummary {
    return summarize(this.#before === undefined ? this.#slots : [this.#before, ...this.#slots])
  }

  recent(slot: number): LatencySummary {
    return summarize(this.#slots.filter(({ number }) => number > slot - this.#slotsMax))
  }

  reset(): void {
    this.#slots = []
    this.#before = undefined
    this.#newest = undefined
  }

  #open(number: number): Slot {
    let spare: Slot | undefined
    while ((this.#slots[0]?.number ?? number) <= number - this.#slotsMax) {
      spare = this.#slots.shift()
      if (spare !== undefined) this.#settle(spare)
    }
    const slot = spare ?? newSlot(number, Int32Histogram)
    slot.number = number
    this.#slots.push(slot)
    this.#newest = slot
    return slot
  }

  /** Adds a slot to all that came before, and empties it. */
  #settle(slot: Slot): void {
    this.#before ??= newSlot(-1, Float64Histogram)
    this.#before.histogram.add(slot.histogram)
    this.#before.sumNs += slot.sumNs
    this.#before.maxNs = Math.max(this.#before.maxNs, slot.maxNs)
    slot.histogram.reset()
    slot.sumNs = 0
    slot.maxNs = 0
  }
}

function newSlot(number: number, Histogram: typeof Int32Histogram | typeof Float64Histogram): Slot {
  return { number, histogram: new Histogram(1, LONGEST_NS, DIGITS), sumNs: 0, maxNs: 0 }
}

/** Percentiles of several histograms together, in one walk over their buckets. */
function summarize(slots: readonly Slot[]): LatencySummary {
  const count = slots.reduce((sum, { histogram }) => sum + histogram.totalCount, 0)
  const maxNs = slots.reduce((max, slot) => Math.max(max, slot.maxNs), 0)
  const sumNs = slots.reduce((sum, slot) => sum + slot.sumNs, 0)
  const [p50Us = 0, p95Us = 0, p99Us = 0, p999Us = 0] = percentiles(slots, count, maxNs)
  const meanUs = count === 0 ? 0 : sumNs / count / NS_PER_US
  return { count, meanUs, p50Us, p95Us, p99Us, p999Us, maxUs: maxNs / NS_PER_US }
}

const SHARES = [0.5, 0.95, 0.99, 0.999]
/** The product of a share and a count may be a little above the whole number that it is. */
const ROUNDING = 1 - 1e-12

function percentiles(slots: readonly Slot[], count: number, maxNs: number): number[] {
  const [first] = slots
  if (first === undefined || count === 0) return []
  const histograms = slots.map(({ histogram }) => histogram)
  let seen = 0
  let index = -1
  return SHARES.map((share) => {
    const rank = Math.max(1, Math.ceil(share * count * ROUNDING))
    while (seen < rank) {
      index += 1
      for (const histogram of histograms) seen += histogram.getCountAtIndex(index)
    }
    // A bucket reports its upper edge, which may lie above the largest value recorded.
    const edge = first.histogram.highestEquivalentValue(first.histogram.valueFromIndex(index))
    return Math.min(edge, maxNs) / NS_PER_US
  })
}
