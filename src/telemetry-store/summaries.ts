import { LatencySamples } from '../telemetry/latency-samples.ts'
import type { TelemetryEvent, TelemetryKind } from '../telemetry/types.ts'
import { type Measure, measureOf } from './measure.ts'

export type Summary = Extract<TelemetryEvent, { type: 'summary' }>

const NS_PER_US = 1000
/** Different things in one window, at most: each has a histogram of 17 KB while the window is open. */
const SERIES_MAX = 256
/** Under this name, all that are too many. */
const OTHERS = '…'

/** Sums of one kind of events, of one name. */
class Series {
  readonly of: TelemetryKind
  readonly name: string
  readonly #times = new LatencySamples(1)
  #count = 0
  #items = 0
  #itemsMax = 0
  #bytes = 0

  constructor(of: TelemetryKind, name: string) {
    this.of = of
    this.name = name
  }

  add({ us, items = 0, bytes = 0 }: Measure): void {
    this.#count += 1
    this.#items += items
    if (items > this.#itemsMax) this.#itemsMax = items
    this.#bytes += bytes
    if (us !== undefined) this.#times.record(us * NS_PER_US, 0)
  }

  summary(since: number, until: number): Summary {
    const { meanUs, p50Us, p95Us, p99Us, maxUs } = this.#times.sinceOpen()
    return {
      type: 'summary',
      time: until,
      v: 1,
      of: this.of,
      name: this.name,
      since,
      count: this.#count,
      items: this.#items,
      itemsMax: this.#itemsMax,
      bytes: this.#bytes,
      meanUs,
      p50Us,
      p95Us,
      p99Us,
      maxUs
    }
  }
}

/** Sums of what there is too much of to keep: one window of time after the other. */
export class Summaries {
  readonly #series = new Map<TelemetryKind, Map<string, Series>>()
  #count = 0
  #since = 0

  /** When the window began, in milliseconds since 1970; 0 while nothing is in it. */
  get since(): number {
    return this.#since
  }

  add(event: TelemetryEvent): void {
    if (this.#count === 0) this.#since = event.time
    const measure = measureOf(event)
    this.#of(event.type, measure.name).add(measure)
  }

  /** What the window holds so far. @param now Milliseconds since 1970. */
  peek(now: number): Summary[] {
    // A clock that was set back must not make a window that ends before it begins.
    const until = Math.max(now, this.#since)
    const all = [...this.#series.values()].flatMap((named) => [...named.values()])
    return all.map((series) => series.summary(this.#since, until))
  }

  /** The same, and begins the next window. */
  take(now: number): Summary[] {
    const summaries = this.peek(now)
    this.#series.clear()
    this.#count = 0
    this.#since = 0
    return summaries
  }

  #of(type: TelemetryKind, name: string): Series {
    let named = this.#series.get(type)
    if (named === undefined) {
      named = new Map()
      this.#series.set(type, named)
    }
    const known = named.get(name)
    if (known !== undefined) return known
    if (this.#count >= SERIES_MAX && name !== OTHERS) return this.#of(type, OTHERS)
    const series = new Series(type, name)
    named.set(name, series)
    this.#count += 1
    return series
  }
}
