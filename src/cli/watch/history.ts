import type { ProcessStats, Stats } from '../../index.ts'

/** One look at a store. */
export interface Look {
  /** Milliseconds since 1970, on this side's clock. */
  readonly time: number
  readonly stats: Stats
  /** `undefined`: nobody has the store open. */
  readonly process: ProcessStats | undefined
}

/** What has come of one interval. */
export interface Sample {
  readonly commitsPerSec: number
  readonly eventsPerSec: number
  readonly projectedPerSec: number
  /** Of one processor. */
  readonly cpu: number
  readonly queueDepth: number
  readonly intervalMs: number
  readonly lateMs: number
  /** By name, each in a second. */
  readonly operations: Readonly<Record<string, number>>
  readonly lags: Readonly<Record<string, number>>
}

/** As many bars as the widest terminal has room for. */
const SAMPLES_MAX = 300
/** Rates are told over about so long, so that they can be read. */
const CALM_MS = 3000
const MS_PER_SECOND = 1000

/** The looks of one process, and what happened between them. */
export class History {
  readonly #looks: Look[] = []
  readonly #samples: Sample[] = []

  get last(): Look | undefined {
    return this.#looks.at(-1)
  }

  /** A bar each, the newest last. */
  get samples(): readonly Sample[] {
    return this.#samples
  }

  add(look: Look): void {
    const before = this.last
    if (before === undefined || !isSameRun(before, look)) {
      this.#looks.length = 0
      this.#samples.length = 0
    } else if (elapsed(before, look) > 0) {
      this.#samples.push(between(before, look))
    }
    this.#looks.push(look)
    if (this.#looks.length > SAMPLES_MAX) this.#looks.shift()
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift()
  }

  /** Over the last few seconds. `undefined` before the second look. */
  recent(): Sample | undefined {
    const { last } = this
    if (last === undefined) return undefined
    const from = this.#looks.findLast((one) => elapsed(one, last) >= CALM_MS) ?? this.#looks[0]
    if (from === undefined || elapsed(from, last) <= 0) return undefined
    return between(from, last)
  }

  /** Share of the look-ups of a cache that it answered, as far back as the looks go. */
  hitShare(cache: string): number | undefined {
    const now = this.last?.stats.caches[cache]
    const before = this.#looks[0]?.stats.caches[cache]
    if (now === undefined || before === undefined) return undefined
    const isAlone = this.#looks.length === 1
    const hits = isAlone ? now.hits : now.hits - before.hits
    const misses = isAlone ? now.misses : now.misses - before.misses
    return hits + misses > 0 ? hits / (hits + misses) : undefined
  }

  /** Of the time in the last few seconds, how much writers waited for room, each for itself. */
  waitedShare(): number {
    const { last } = this
    const before = this.#looks.at(-2)
    if (last === undefined || before === undefined) return 0
    const ms = elapsed(before, last)
    const waited = last.stats.pipeline.backPressureMs - before.stats.pipeline.backPressureMs
    return ms > 0 ? waited / ms : 0
  }
}

/** Another process, or another opening of the store, begins to count anew. */
function isSameRun(before: Look, after: Look): boolean {
  return (
    before.process?.pid === after.process?.pid &&
    elapsed(before, after) >= 0 &&
    before.stats.commits.commits <= after.stats.commits.commits
  )
}

/** By the clock of the process, whatever time the answers took. */
function elapsed(before: Look, after: Look): number {
  return (after.process?.uptimeMs ?? 0) - (before.process?.uptimeMs ?? 0)
}

function between(before: Look, after: Look): Sample {
  const ms = elapsed(before, after)
  const perSec = (now: number, then: number): number =>
    (Math.max(0, now - then) / ms) * MS_PER_SECOND
  const { commits, pipeline, latency } = after.stats
  const old = before.stats
  const operations = Object.entries(latency).map(([name, { count }]) => {
    // An older process may know fewer of them.
    const then = old.latency[name as keyof typeof latency]?.count ?? 0
    return [name, perSec(count, then)] as const
  })
  const followers = { ...pipeline.projections, ...after.stats.subscriptions }
  const lags = Object.entries(followers).map(([name, one]) => [name, one.lagEvents])
  return {
    commitsPerSec: perSec(commits.commits, old.commits.commits),
    eventsPerSec: perSec(commits.events, old.commits.events),
    projectedPerSec: perSec(tablesPosition(after.stats), tablesPosition(old)),
    cpu: Math.max(0, (after.process?.cpuMs ?? 0) - (before.process?.cpuMs ?? 0)) / ms,
    queueDepth: pipeline.queueDepth,
    intervalMs: pipeline.intervalMs,
    lateMs: after.process?.eventLoop.p99Ms ?? 0,
    operations: Object.fromEntries(operations),
    lags: Object.fromEntries(lags)
  }
}

function tablesPosition({ pipeline }: Stats): number {
  return pipeline.projections['tables']?.position ?? 0
}
