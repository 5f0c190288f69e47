// What a batch is taken to cost until batches have been seen: 1 ms and 170 000 events a second.
const FIXED_MS = 1
const EVENT_MS = 0.006
/** Weight of the newest batch. */
const ALPHA = 0.1
/** Spread of batch sizes, in events, from which on their differences are believed. */
const SPREAD = 200

/**
 * What a batch of n events costs: a fixed part and a part for each event, learned from batches.
 *
 * The two must be told apart. Were the rate of processing taken from small batches, whose cost is
 * nearly all fixed, a trickle of single commits would look like a load near the limit, call for
 * shorter intervals, thus for smaller batches still, and never come back.
 */
export class BatchCost {
  #events = 0
  #ms = FIXED_MS
  #eventsVariance = 0
  #covariance = 0
  /** What sizes that differed have proved. */
  #proved = EVENT_MS
  #perEvent = EVENT_MS

  add(events: number, ms: number): void {
    const events0 = events - this.#events
    const ms0 = ms - this.#ms
    this.#events += ALPHA * events0
    this.#ms += ALPHA * ms0
    this.#eventsVariance = (1 - ALPHA) * (this.#eventsVariance + ALPHA * events0 ** 2)
    this.#covariance = (1 - ALPHA) * (this.#covariance + ALPHA * events0 * ms0)

    // Batches of one size say nothing about the part of each event: it is then what others proved. Of
    // sizes that differ by a few, a batch that was held up would move it a little, another one further:
    // without the proof to come back to, a trickle ends up looking like more than the disk can take.
    const doubt = SPREAD ** 2
    const slope = (this.#covariance + doubt * this.#proved) / (this.#eventsVariance + doubt)
    const evidence = this.#eventsVariance / (this.#eventsVariance + doubt)
    this.#proved = Math.max(this.#proved + ALPHA * evidence * (slope - this.#proved), 0)
    // Neither part can be negative.
    const most = this.#events > 0 ? this.#ms / this.#events : this.#perEvent
    this.#perEvent = Math.min(Math.max(slope, 0), most)
  }

  /** Milliseconds that each event adds. */
  get perEvent(): number {
    return this.#perEvent
  }

  /** Milliseconds that a batch of so many events takes. */
  of(events: number): number {
    const fixed = Math.max(this.#ms - this.#perEvent * this.#events, 0)
    return fixed + this.#perEvent * events
  }
}
