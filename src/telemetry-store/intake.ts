import type { TelemetryEvent } from '../telemetry/types.ts'
import { isSummed } from './measure.ts'
import { Summaries, type Summary } from './summaries.ts'

/** One event as it was told, or the sums of one kind of one window. */
export type Item = TelemetryEvent | readonly Summary[]

/** Of one kind and window, so many are kept whole; of the rest only their sum. */
const WHOLE_MAX = 100
/** Items that wait to be written, at most: about a megabyte. */
const WAITING_MAX = 2000
/** Statistics are large: as many of them as a person would look at. */
const METRICS_EVERY_MS = 60_000

/** Decides what is kept of what is told, and holds it until it is written. Bounded. */
export class Intake {
  readonly #summaryMs: number
  readonly #summaries = new Summaries()
  readonly #whole = new Map<TelemetryEvent['type'], number>()
  #waiting: Item[] = []
  #metricsAt = Number.NEGATIVE_INFINITY
  #dropped = 0
  #untold = 0

  /** @param summaryMs How long a window is. */
  constructor(summaryMs: number) {
    this.#summaryMs = summaryMs
  }

  /** Events that were lost, and not by a sum. */
  get dropped(): number {
    return this.#dropped
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  /** Costs a quarter of a microsecond. */
  add(event: TelemetryEvent): void {
    if (event.type === 'metrics' && this.#isSoon(event.time)) return
    if (isSummed(event) || !this.#takeWhole(event)) this.#summaries.add(event)
    else this.push(event)
  }

  push(item: Item): void {
    if (this.#waiting.length >= WAITING_MAX) {
      const oldest = this.#waiting.shift()
      if (oldest !== undefined) this.lost([oldest])
    }
    this.#waiting.push(item)
  }

  /** Counts items that will never be written. */
  lost(items: readonly Item[]): void {
    const events = items.reduce((sum, item) => sum + (Array.isArray(item) ? item.length : 1), 0)
    this.#dropped += events
    this.#untold += events
  }

  /** Events lost since this was asked before. */
  takeLosses(): number {
    const untold = this.#untold
    this.#untold = 0
    return untold
  }

  /** Closes the window, if it was open for long enough. @param now Milliseconds since 1970. */
  turn(now: number): void {
    const { since } = this.#summaries
    // A clock that was set back must not keep it open for hours.
    if (now < since || now - since >= this.#summaryMs) this.close(now)
  }

  close(now: number): void {
    this.#whole.clear()
    for (const summaries of byKind(this.#summaries.take(now))) this.push(summaries)
  }

  /** What the open window holds so far. */
  window(now: number): readonly Summary[][] {
    return byKind(this.#summaries.peek(now))
  }

  /** The next items to be written, in the order of their times. */
  take(max: number): Item[] {
    return this.#waiting.splice(0, max)
  }

  /** Puts items back that could not be written now: they are the oldest. */
  putBack(items: readonly Item[]): void {
    this.#waiting = [...items, ...this.#waiting]
    const excess = this.#waiting.length - WAITING_MAX
    if (excess > 0) this.lost(this.#waiting.splice(0, excess))
  }

  /** Whether statistics were kept a moment ago. A clock that was set back must not end them. */
  #isSoon(time: number): boolean {
    const passed = time - this.#metricsAt
    if (passed >= 0 && passed < METRICS_EVERY_MS) return true
    this.#metricsAt = time
    return false
  }

  #takeWhole({ type }: TelemetryEvent): boolean {
    const count = (this.#whole.get(type) ?? 0) + 1
    this.#whole.set(type, count)
    return count <= WHOLE_MAX
  }
}

function byKind(summaries: readonly Summary[]): Summary[][] {
  const kinds = new Map<string, Summary[]>()
  for (const summary of summaries) {
    const same = kinds.get(summary.of)
    if (same === undefined) kinds.set(summary.of, [summary])
    else same.push(summary)
  }
  return [...kinds.values()]
}
