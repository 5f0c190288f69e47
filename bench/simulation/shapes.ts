/** Loads that a store may be under, as functions of time. */

export interface LoadShape {
  readonly name: string
  readonly ms: number
  /** Events that are offered in the millisecond before `now`. */
  rate(now: number): number
  /** They come in commits of so many. */
  readonly commitEvents: number
  /** How many times as long as usual a batch takes; infinite while the disk stands still. */
  slowness?(now: number): number
  /** A second projection that takes so many times as long as the tables. */
  readonly slowProjection?: number
}

/** Those of the plot. Capacity, with the costs of `simulate`, is about 200 events a millisecond. */
export const SHAPES: readonly LoadShape[] = [
  { name: 'idle: 100 single commits a second', ms: 3000, rate: () => 0.1, commitEvents: 1 },
  { name: 'steady: half of the capacity', ms: 3000, rate: () => 100, commitEvents: 50 },
  { name: 'ramp: from nothing past the capacity', ms: 3000, rate: (t) => t / 12, commitEvents: 50 },
  {
    name: 'burst: 40,000 events out of the blue',
    ms: 3000,
    rate: (t) => (t > 1000 && t <= 1400 ? 100 : 0),
    commitEvents: 20
  },
  {
    name: 'square wave: on and off every 400 ms',
    ms: 3000,
    rate: (t) => (t % 800 < 400 ? 160 : 0),
    commitEvents: 50
  },
  {
    name: 'stall: the disk stands still for 600 ms',
    ms: 3000,
    rate: () => 60,
    commitEvents: 50,
    slowness: (t) => (t > 1000 && t <= 1600 ? Number.POSITIVE_INFINITY : 1)
  },
  {
    name: 'one slow projection (dashed) beside the tables',
    ms: 3000,
    rate: () => 40,
    commitEvents: 50,
    slowProjection: 8
  }
]
