import type { ResolvedPipeline } from '../options.ts'
import { BatchCost } from './batch-cost.ts'
import { MovingAverage } from './moving-average.ts'
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
}

/** What the controller makes of the load. */
export interface LoadReading {
  /** How long the first unprojected event may wait for company. */
  intervalMs: number
  /** Of the queue (average or predicted depth) or of the projection's speed: the higher one. */
  load: number
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
const ORDER: Readonly<Record<Band, number>> = { idle: 0, base: 1, busy: 2 }

/** Below this load, saving CPU is worth more than a short lag. */
export const IDLE_BELOW = 0.2
/** A band is left downwards this far below the load it is entered at, lest it flutter, … */
const LEAVE_AT = 0.9
/** … and once the load has been below that for so long. Upwards it is left at once. */
const HOLD_MS = 250
/** The longest interval under high load. */
const BUSY_MS = 5
/** One weight of `emaAlpha` belongs to this time. */
const PERIOD_MS = 10
/** Rates over less time than this are noise: what happened is kept for the next sample. */
const SHORTEST_MS = 1
const TREND_SAMPLES = 16
const TREND_AGE_MS = 2000
/** How far ahead the depth is predicted. */
const HORIZON_MS = 100
/** A line that explains less of the depth than this is no trend. */
const FIT_MIN = 0.5

/**
 * Decides how long events may gather before they are projected in one batch. Load is the higher
 * one of how full the queue is (or will be in 100 ms, where its depth follows a line), and of how
 * fast events come against how fast batches of full size take them away. Pure, apart from memory.
 */
export class IntervalController {
  readonly #options: ControllerOptions
  readonly #depth: MovingAverage
  readonly #arrivals: MovingAverage
  readonly #processing: MovingAverage
  readonly #trend = new Trend(TREND_SAMPLES, TREND_AGE_MS)
  readonly #cost = new BatchCost()
  #band: Band = 'idle'
  /** When the load last asked for this band. */
  #bandAskedAt = 0
  #sampledAt: number | undefined
  #appended = 0
  #processed = 0
  #reading: LoadReading

  constructor(options: ControllerOptions) {
    const average = (): MovingAverage => new MovingAverage(options.emaAlpha, PERIOD_MS)
    this.#options = options
    this.#depth = average()
    this.#arrivals = average()
    this.#processing = average()
    this.#reading = {
      intervalMs: options.intervalMs.max,
      load: 0,
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
    this.#trend.add(now, depth)
    this.#sampledAt = now
    this.#appended = 0
    this.#processed = 0
  }

  #read({ now, depth, capacity }: LoadSample): LoadReading {
    const line = this.#trend.line()
    const trending = line.fit >= FIT_MIN
    const ahead = trending ? line.value + line.slope * HORIZON_MS : this.#depth.value
    // Writers wait at the capacity, so the depth will not pass it.
    const predictedDepth = Math.min(Math.max(ahead, 0), capacity)
    const fill = Math.max(this.#depth.value, predictedDepth) / capacity
    const load = Math.max(fill, this.#speedUsed())
    this.#chooseBand(load, now)
    const intervalMs = this.#interval(load)
    const growing = trending && line.slope > 0 && depth > 0
    return {
      intervalMs,
      load,
      fill,
      capacity,
      averageDepth: this.#depth.value,
      predictedDepth,
      arrivalRatePerSec: this.#arrivals.value * 1000,
      processingRatePerSec: this.#processing.value * 1000,
      estimatedLagMs: depth === 0 ? 0 : intervalMs + this.#cost.of(depth),
      timeToFullMs: growing ? Math.max(capacity - depth, 0) / line.slope : Number.POSITIVE_INFINITY
    }
  }

  /** Events that come, against those that batches of full size would take in the same time. */
  #speedUsed(): number {
    const { batchEventsMax } = this.#options
    return (this.#arrivals.value * this.#cost.of(batchEventsMax)) / batchEventsMax
  }

  #chooseBand(load: number, now: number): void {
    const { warnAt } = this.#options
    const busyAt = this.#band === 'busy' ? warnAt * LEAVE_AT : warnAt
    const baseAt = this.#band === 'idle' ? IDLE_BELOW : IDLE_BELOW * LEAVE_AT
    const asked = load >= busyAt ? 'busy' : load >= baseAt ? 'base' : 'idle'
    const lower = ORDER[asked] < ORDER[this.#band]
    if (lower && now - this.#bandAskedAt < HOLD_MS) return
    this.#band = asked
    this.#bandAskedAt = now
  }

  #interval(load: number): number {
    const { intervalMs, warnAt } = this.#options
    if (this.#band === 'idle') return intervalMs.max
    if (this.#band === 'base') return intervalMs.base
    const longest = Math.max(Math.min(BUSY_MS, intervalMs.base), intervalMs.min)
    const urgency = Math.min(Math.max((load - warnAt) / (1 - warnAt), 0), 1)
    return longest - (longest - intervalMs.min) * urgency
  }
}
