import type { ResolvedPipeline } from '../options.ts'
import { BatchCost } from './batch-cost.ts'
import { MovingAverage } from './moving-average.ts'
import { RecentPeak } from './recent-peak.ts'
import { Trend } from './trend.ts'

/** What happened since the sample before. The controller has no clock: time comes with it. */
interface LoadSample {
  /** Milliseconds, monotonic. */
  now: number
  /** Acknowledged events that the projection does not hold yet. */
  depth: number
  /** The depth at which writers have to wait. */
  capacity: number
  appended: number
  processed: number
  /** Duration of the batch that ended now; 0 for none. */
  batchMs: number
  /** Age of the oldest of them. */
  lagMs: number
}

/** What the controller makes of the load. */
export interface LoadReading {
  /** How long the first unprojected event may wait for company, … */
  intervalMs: number
  /** … unless so many are there: they are enough for a batch, more would save next to nothing. */
  batchEvents: number
  /** Of the queue, of the projection's speed or of its lag: the highest one; 1 is all there is. */
  load: number
  /** 0 while writers are welcome, 1 when they have to wait; from the warning on in between. */
  pressure: number
  /** Share of the capacity that the queue holds or is about to hold. */
  fill: number
  capacity: number
  averageDepth: number
  predictedDepth: number
  arrivalRatePerSec: number
  processingRatePerSec: number
  estimatedLagMs: number
  timeToFullMs: number
}

type ControllerOptions = Pick<
  ResolvedPipeline,
  'intervalMs' | 'batchEventsMax' | 'emaAlpha' | 'warnAt'
>
type Band = 'idle' | 'base' | 'busy'

/** Below this load, saving CPU is worth more than a short lag. */
export const IDLE_BELOW = 0.2
/** A band is left downwards this far below the load it is entered at, lest it flutter, … */
const LEAVE_AT = 0.9
/** … and once the load has been below that for so long, at most twice. Upwards it is left at once. */
const HOLD_MS = 500
/** The longest interval under high load. */
const BUSY_MS = 5
/** One weight of `emaAlpha` belongs to this time. */
const PERIOD_MS = 10
/** Rates over less time than this are noise: what happened is kept for the next sample. */
const SHORTEST_MS = 1
const TREND_SAMPLES = 16
const TREND_AGE_MS = 2000
/** The depth goes up and down with each batch: a trend of it must see more than that. */
const DEPTH_EVERY_MS = 5
/** A burst is seen against what was just before it, not against the quiet of a second ago. */
const SURGE_AGE_MS = 25
/** How far ahead depth and arrivals are predicted. */
const HORIZON_MS = 100
/** A line that explains less of the samples than this is no trend. */
const FIT_MIN = 0.5
/** Below this load, more events than before are no burst that would be worth a thought. */
const SURGE_FROM = 0.05
/** So much later than interval and batches account for is as bad as a full queue. */
const LAG_FULL_MS = 2000
/** Enough have gathered when the fixed part of a batch is this share of its cost. */
const FIXED_SHARE = 0.2
/** Fewer are never enough: what a few odd batches say of their cost must not wake us all the time. */
const BATCH_MIN = 64

/**
 * Decides how long events may gather before they are projected in one batch, and how many are
 * enough for one. Load is the highest one of how full the queue is (or will be in 100 ms, where its
 * depth follows a line), of how fast events come (or will come) against how fast batches of full
 * size take them away, and of how late they are. Pure, apart from memory.
 */
export class IntervalController {
  readonly #options: ControllerOptions
  readonly #depth: MovingAverage
  readonly #arrivals: MovingAverage
  readonly #processing: MovingAverage
  readonly #depthTrend = new Trend(TREND_SAMPLES, TREND_AGE_MS)
  readonly #arrivalTrend = new Trend(TREND_SAMPLES, SURGE_AGE_MS)
  readonly #cost = new BatchCost()
  readonly #peak = new RecentPeak(HOLD_MS)
  /** With one interval for all loads nothing adapts: what comes gathers for just as long. */
  readonly #isFixed: boolean
  #band: Band = 'idle'
  #sampledAt: number | undefined
  #depthAt = Number.NEGATIVE_INFINITY
  #appended = 0
  #processed = 0
  #reading: LoadReading

  constructor(options: ControllerOptions) {
    const average = (): MovingAverage => new MovingAverage(options.emaAlpha, PERIOD_MS)
    this.#options = options
    this.#isFixed = options.intervalMs.min === options.intervalMs.max
    this.#depth = average()
    this.#arrivals = average()
    this.#processing = average()
    this.#reading = {
      intervalMs: options.intervalMs.max,
      batchEvents: this.#batchEvents(),
      load: 0,
      pressure: 0,
      fill: 0,
      capacity: Number.POSITIVE_INFINITY,
      averageDepth: 0,
      predictedDepth: 0,
      arrivalRatePerSec: 0,
      processingRatePerSec: 0,
      estimatedLagMs: 0,
      timeToFullMs: Number.POSITIVE_INFINITY
    }
  }

  get reading(): LoadReading {
    return this.#reading
  }

  sample(sample: LoadSample): LoadReading {
    this.#appended += sample.appended
    this.#processed += sample.processed
    if (sample.batchMs > 0) this.#cost.add(sample.processed, sample.batchMs)
    this.#average(sample)
    this.#reading = this.#read(sample)
    return this.#reading
  }

  #average({ now, depth }: LoadSample): void {
    const elapsedMs = now - (this.#sampledAt ?? now)
    this.#sampledAt ??= now
    if (elapsedMs < SHORTEST_MS) return
    this.#depth.add(depth, elapsedMs)
    this.#arrivals.add(this.#appended / elapsedMs, elapsedMs)
    this.#processing.add(this.#processed / elapsedMs, elapsedMs)
    if (now - this.#depthAt >= DEPTH_EVERY_MS) {
      this.#depthTrend.add(now, depth)
      this.#depthAt = now
    }
    this.#arrivalTrend.add(now, this.#arrivals.value)
    this.#sampledAt = now
    this.#appended = 0
    this.#processed = 0
  }

  #read({ now, depth, capacity, lagMs }: LoadSample): LoadReading {
    const line = this.#depthTrend.line()
    const trending = line.fit >= FIT_MIN
    // A line knows of a while ago: what has stopped coming since makes the queue no fuller.
    const gain = Math.max(this.#arrivals.value - this.#processing.value, 0)
    const ahead = trending
      ? Math.min(line.value + line.slope * HORIZON_MS, depth + gain * HORIZON_MS)
      : this.#depth.value
    // Writers wait at the capacity, so the depth will not pass it.
    const predictedDepth = Math.min(Math.max(ahead, 0), capacity)
    const fill = Math.max(this.#depth.value, predictedDepth) / capacity
    const load = Math.max(fill, this.#speedUsed(), this.#lateness(depth, lagMs))
    const intervalMs = this.#interval(this.#peak.add(load, now))
    const growth = trending && depth > 0 ? Math.min(line.slope, gain) : 0
    return {
      intervalMs,
      batchEvents: this.#batchEvents(),
      load,
      pressure: this.#above(Math.max(fill, depth / capacity)),
      fill,
      capacity,
      averageDepth: this.#depth.value,
      predictedDepth,
      arrivalRatePerSec: this.#arrivals.value * 1000,
      processingRatePerSec: this.#processing.value * 1000,
      estimatedLagMs: depth === 0 ? 0 : intervalMs + this.#cost.of(depth),
      timeToFullMs: growth > 0 ? Math.max(capacity - depth, 0) / growth : Number.POSITIVE_INFINITY
    }
  }

  /**
   * Events that come, against those that batches of full size would take in the same time. Where
   * more come from sample to sample, as many as will have come then: a burst is met when it begins.
   */
  #speedUsed(): number {
    const { batchEventsMax } = this.#options
    const eventMs = this.#cost.of(batchEventsMax) / batchEventsMax
    const used = this.#arrivals.value * eventMs
    const { fit, slope } = this.#arrivalTrend.line()
    const surges = fit >= FIT_MIN && slope > 0 && used >= SURGE_FROM
    return surges ? used + slope * HORIZON_MS * eventMs : used
  }

  /** A stalled disk, say, makes events late before it makes them many. */
  #lateness(depth: number, lagMs: number): number {
    const expectedMs = this.#reading.intervalMs + 2 * this.#cost.of(depth)
    return Math.max(lagMs - expectedMs, 0) / LAG_FULL_MS
  }

  #batchEvents(): number {
    const { batchEventsMax } = this.#options
    const eventMs = this.#cost.perEvent
    if (this.#isFixed || eventMs === 0) return batchEventsMax
    const enough = Math.ceil((this.#cost.of(0) * (1 / FIXED_SHARE - 1)) / eventMs)
    return Math.min(Math.max(enough, BATCH_MIN), batchEventsMax)
  }

  /** @param load The highest one of late: a burst is over when it has been over for a while. */
  #interval(load: number): number {
    const { intervalMs, warnAt } = this.#options
    const busyAt = this.#band === 'busy' ? warnAt * LEAVE_AT : warnAt
    const baseAt = this.#band === 'idle' ? IDLE_BELOW : IDLE_BELOW * LEAVE_AT
    this.#band = load >= busyAt ? 'busy' : load >= baseAt ? 'base' : 'idle'
    if (this.#band === 'idle') return intervalMs.max
    if (this.#band === 'base') return intervalMs.base
    const longest = Math.max(Math.min(BUSY_MS, intervalMs.base), intervalMs.min)
    return longest - (longest - intervalMs.min) * this.#above(load)
  }

  /** How far it is from the warning, 0, to all there is, 1. */
  #above(load: number): number {
    const { warnAt } = this.#options
    return Math.min(Math.max((load - warnAt) / (1 - warnAt), 0), 1)
  }
}
