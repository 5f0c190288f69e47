/**
 * Micro-benchmark harness.
 *
 * Goals: compare the store with the bare engine underneath, and two revisions with each other, on
 * one machine; keep every benchmark compiling and correct.
 * Non-goals: absolute claims, comparison across machines, detecting regressions by itself.
 *
 * Smoke mode runs each benchmark with small sizes inside the test run, so none can rot.
 */
import { createHistogram, monitorEventLoopDelay, type RecordableHistogram } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { seededRandom } from './support.ts'

export type BenchMode = 'smoke' | 'full'

export type Benchmark = (bench: BenchContext) => Promise<void>

/** One line of a report: the same work, done by one of those that are compared. */
export interface Lane {
  /** Operations a second. */
  readonly rate: number
  /** Adds a stretch of work to the lane's clock, and a number of operations to its count. */
  run<T>(work: () => Promise<T>, operations?: number): Promise<T>
  /** Adds a stretch that was timed elsewhere: one phase of something longer. */
  took(ms: number, operations: number, cpuUs?: number): void
  /** Counts one operation that was timed elsewhere, such as in another thread. */
  timed(ms: number): void
  /** Times one operation and counts it. Beside `run` when several are under way at once. */
  measure<T>(operation: () => Promise<T>): Promise<T>
  /** As `measure`, for an operation that takes less time than a promise would. */
  measureSync<T>(operation: () => T): T
}

export interface Latency {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

/** What is no rate: milliseconds, bytes, a share. */
export interface Figure {
  readonly name: string
  readonly value: number
  readonly unit: string
  /** The value as a multiple of the one it is compared with. */
  readonly ratio: number | undefined
}

export interface LaneResult {
  readonly name: string
  readonly operations: number
  readonly seconds: number
  readonly cpuSeconds: number
  /** In microseconds; `undefined` where only stretches were timed. */
  readonly latency: Latency | undefined
  /** Operations a second as a multiple of those of the lane it is compared with. */
  readonly ratio: number | undefined
  /** Its median as a multiple of the other's, where both were timed one by one. */
  readonly p50Ratio: number | undefined
}

export interface BenchReport {
  readonly title: string
  readonly seed: number
  readonly lanes: readonly LaneResult[]
  readonly figures: readonly Figure[]
  readonly notes: readonly string[]
  readonly fingerprint: number
}

export class BenchContext {
  readonly mode: BenchMode
  /** Fixed in full mode so runs compare; random in smoke mode so tests explore. */
  readonly seed: number
  readonly random: () => number
  readonly #lanes: TimedLane[] = []
  readonly #figures: Figure[] = []
  readonly #notes: string[] = []
  #title = ''
  #fingerprint = 0

  constructor(mode: BenchMode, seed: number) {
    this.mode = mode
    this.seed = seed
    this.random = seededRandom(seed)
  }

  /** Says what is measured, with its sizes and what is fsynced. */
  title(text: string): void {
    this.#title = text
  }

  /** Picks the size for this mode. Both are stated where the benchmark is written. */
  size(smoke: number, full: number): number {
    return this.mode === 'smoke' ? smoke : full
  }

  /** @param baseline What the engine underneath does in its place. */
  lane(name: string, baseline?: Lane): Lane {
    // There is no other kind of lane: the interface says what a benchmark may do with one.
    const lane = new TimedLane(name, baseline as TimedLane | undefined)
    this.#lanes.push(lane)
    return lane
  }

  /** @param baseline What the same takes where it is done otherwise. */
  figure(name: string, value: number, unit: string, baseline?: Figure): Figure {
    const ratio = baseline === undefined ? undefined : value / baseline.value
    const figure = { name, value, unit, ratio }
    this.#figures.push(figure)
    return figure
  }

  note(text: string): void {
    this.#notes.push(text)
  }

  /** A number computed from the results. It proves that the work was done, and done the same. */
  fingerprint(value: number): void {
    // Small enough that adding stays exact.
    this.#fingerprint = (this.#fingerprint * 31 + value) % 0x1_0000_0000
  }

  /** Runs the rounds of several lanes in turns, so that a noisy moment of the machine hits all. */
  async alternate(
    rounds: number,
    works: readonly ((round: number) => Promise<void>)[]
  ): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      const order = round % 2 === 0 ? works : works.toReversed()
      for (const work of order) {
        collectGarbage()
        await work(round)
      }
    }
  }

  report(): BenchReport {
    return {
      title: this.#title,
      seed: this.seed,
      lanes: this.#lanes.map((lane) => lane.result()),
      figures: this.#figures,
      notes: this.#notes,
      fingerprint: this.#fingerprint
    }
  }
}

/** Runs one benchmark. @returns What it measured. */
export async function runBenchmark(
  benchmark: Benchmark,
  mode: BenchMode,
  seed: number
): Promise<BenchReport> {
  const context = new BenchContext(mode, seed)
  await benchmark(context)
  return context.report()
}

/** The 99th percentile of what the event loop is late by while something runs, in milliseconds. */
export async function eventLoopDelay(work: () => Promise<void>): Promise<number> {
  // The timer behind it fires once a millisecond, so an idle loop shows that much.
  const resolution = 1
  const delay = monitorEventLoopDelay({ resolution })
  delay.enable()
  await work()
  delay.disable()
  return Math.max(0, delay.percentile(99) / 1e6 - resolution)
}

/** Leaves no garbage of one sample for the next to collect. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  // The flag above puts the function into new contexts alone.
  const collect = runInNewContext('gc') as () => void
  collect()
}

/** In microseconds, of a histogram in nanoseconds. */
function latencyOf(latencies: RecordableHistogram): Latency {
  const us = (percentile: number): number => latencies.percentile(percentile) / 1000
  return { p50: us(50), p90: us(90), p99: us(99), p999: us(99.9), max: latencies.max / 1000 }
}

class TimedLane implements Lane {
  readonly #name: string
  readonly #baseline: TimedLane | undefined
  readonly #latencies: RecordableHistogram = createHistogram()
  #operations = 0
  #ms = 0
  #runMs = 0
  #cpuUs = 0

  constructor(name: string, baseline: TimedLane | undefined) {
    this.#name = name
    this.#baseline = baseline
  }

  get rate(): number {
    return this.#operations / this.#seconds
  }

  async run<T>(work: () => Promise<T>, operations = 0): Promise<T> {
    const cpu = process.cpuUsage()
    const started = performance.now()
    const value = await work()
    this.#runMs += performance.now() - started
    const { user, system } = process.cpuUsage(cpu)
    this.#cpuUs += user + system
    this.#operations += operations
    return value
  }

  took(ms: number, operations: number, cpuUs = 0): void {
    this.#runMs += ms
    this.#cpuUs += cpuUs
    this.#operations += operations
  }

  timed(ms: number): void {
    this.#record(ms)
  }

  async measure<T>(operation: () => Promise<T>): Promise<T> {
    const started = performance.now()
    const value = await operation()
    this.#record(performance.now() - started)
    return value
  }

  measureSync<T>(operation: () => T): T {
    const started = performance.now()
    const value = operation()
    this.#record(performance.now() - started)
    return value
  }

  result(): LaneResult {
    const baseline = this.#baseline
    return {
      name: this.#name,
      operations: this.#operations,
      seconds: this.#seconds,
      cpuSeconds: this.#cpuUs / 1e6,
      latency: this.#latencies.count === 0 ? undefined : latencyOf(this.#latencies),
      ratio: baseline === undefined ? undefined : this.rate / baseline.rate,
      p50Ratio: baseline === undefined ? undefined : this.#p50OfThat(baseline)
    }
  }

  #p50OfThat(baseline: TimedLane): number | undefined {
    if (this.#latencies.count === 0 || baseline.#latencies.count === 0) return undefined
    return this.#latencies.percentile(50) / baseline.#latencies.percentile(50)
  }

  /** Where operations overlap or are not timed one by one, only the stretches tell. */
  get #seconds(): number {
    return (this.#runMs === 0 ? this.#ms : this.#runMs) / 1000
  }

  #record(ms: number): void {
    this.#operations += 1
    this.#ms += ms
    this.#latencies.record(Math.max(1, Math.round(ms * 1e6)))
  }
}
