/**
 * Looks at an open store once a second while somebody wants to know: a subscriber of its telemetry, or a
 * callback for alerts. Otherwise there is no timer.
 */
import { join } from 'node:path'
import { InvariantError } from '../assert.ts'
import { LOG_DIRECTORY } from '../log/level-log.ts'
import { generationPath } from '../projections/tables/generation.ts'
import { InfoLog } from '../storage/info-log.ts'
import type { Stats } from '../telemetry/types.ts'
import type { LoopReading } from './alerts.ts'
import type { Engine } from './engine.ts'

const EVERY_MS = 1000

interface WatchedLog {
  database: 'log' | 'tables'
  directory: string
  log: InfoLog
  /** It could not be read, which is told once. */
  isBroken: boolean
}

export class Watch {
  readonly #engine: Engine
  readonly #metricsMs: number
  /** Projections that were behind when last looked at. */
  readonly #behind = new Set<string>()
  #stats: (() => Stats) | undefined
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> = Promise.resolve()
  #isOver = false
  #dueAt = 0
  #metricsDueAt = 0
  #loop = performance.eventLoopUtilization()
  #infoLogs: readonly WatchedLog[] = []

  /** @param metricsMs From one snapshot of the statistics to the next; 0: none. */
  constructor(engine: Engine, metricsMs: number) {
    this.#engine = engine
    this.#metricsMs = metricsMs
  }

  /** @param stats All statistics, which only the store as a whole knows. */
  start(stats: () => Stats): void {
    this.#stats = stats
    this.#engine.hub.whenActive(() => this.#wake())
    this.#wake()
  }

  async stop(): Promise<void> {
    this.#isOver = true
    clearTimeout(this.#timer)
    this.#timer = undefined
    await this.#running
  }

  get #isWanted(): boolean {
    return !this.#isOver && (this.#engine.hub.active || this.#engine.alerts.isAwaited)
  }

  #wake(): void {
    if (!this.#isWanted || this.#timer !== undefined) return
    this.#loop = performance.eventLoopUtilization()
    this.#behind.clear()
    // A snapshot comes soon after the first subscriber.
    this.#metricsDueAt = 0
    this.#infoLogs = []
    this.#schedule()
  }

  #schedule(): void {
    this.#dueAt = performance.now() + EVERY_MS
    this.#timer = setTimeout(() => {
      this.#running = this.#look()
    }, EVERY_MS)
    this.#timer.unref()
  }

  async #look(): Promise<void> {
    const loop = this.#loopReading()
    try {
      await this.#engine.diskGuard.refresh()
      if (this.#isWanted) this.#engine.alerts.check(loop)
      if (this.#isWanted && this.#engine.hub.active) await this.#tell()
    } finally {
      this.#timer = undefined
      if (this.#isWanted) this.#schedule()
    }
  }

  #loopReading(): LoopReading {
    const { utilization } = performance.eventLoopUtilization(this.#loop)
    this.#loop = performance.eventLoopUtilization()
    return { lateMs: Math.max(0, performance.now() - this.#dueAt), utilization }
  }

  async #tell(): Promise<void> {
    this.#tellLag()
    await this.#found(() => this.#tellMetrics())
    for (const watched of this.#openInfoLogs()) {
      await this.#found(async () => this.#tellCompactions(watched))
    }
  }

  /** What only tells of work must not end it: a file that cannot be read is a finding. */
  async #found(look: () => void | Promise<void>): Promise<void> {
    try {
      await look()
    } catch (error) {
      if (error instanceof InvariantError) throw error
      const reason = error instanceof Error ? error.message : String(error)
      const { hub } = this.#engine
      if (hub.active) hub.emit({ type: 'damage-found', time: Date.now(), part: 'files', reason })
    }
  }

  #tellLag(): void {
    const { hub, pipeline } = this.#engine
    const time = Date.now()
    for (const [projection, one] of Object.entries(pipeline.stats().projections)) {
      const { state, position, lagEvents, lagMs } = one
      const isBehind = lagEvents > 0
      // The end of a lag is told too, or nobody would know how long it was.
      if (isBehind || this.#behind.has(projection)) {
        hub.emit({ type: 'projection-lag', time, projection, state, position, lagEvents, lagMs })
      }
      if (isBehind) this.#behind.add(projection)
      else this.#behind.delete(projection)
    }
  }

  #tellMetrics(): void {
    const now = performance.now()
    if (this.#metricsMs === 0 || this.#stats === undefined || now < this.#metricsDueAt) return
    this.#metricsDueAt = now + this.#metricsMs - EVERY_MS / 2
    this.#engine.hub.emit({ type: 'metrics', time: Date.now(), stats: this.#stats() })
  }

  async #tellCompactions(watched: WatchedLog): Promise<void> {
    if (watched.isBroken) return
    const { hub } = this.#engine
    const { database, log } = watched
    watched.isBroken = true
    for (const compaction of await log.read()) {
      if (hub.active) hub.emit({ type: 'compaction', database, ...compaction })
    }
    watched.isBroken = false
  }

  /** A rebuild brings tables in another directory. */
  #openInfoLogs(): readonly WatchedLog[] {
    const { directory, tables } = this.#engine.parts
    const places = [
      { database: 'log', directory: join(directory, LOG_DIRECTORY) },
      { database: 'tables', directory: generationPath(directory, tables.generation) }
    ] as const
    this.#infoLogs = places.map(
      (place) =>
        this.#infoLogs.find((one) => one.directory === place.directory) ?? {
          ...place,
          log: new InfoLog(place.directory),
          isBroken: false
        }
    )
    return this.#infoLogs
  }
}
