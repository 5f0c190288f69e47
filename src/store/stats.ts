import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { isStoreError } from '../errors.ts'
import { LOG_DIRECTORY } from '../log/level-log.ts'
import { PROJECTIONS_DIRECTORY } from '../projections/custom/generation-files.ts'
import type { Tables } from '../projections/tables/client.ts'
import { TABLES_DIRECTORY } from '../projections/tables/generation.ts'
import { type IndexState, isBuilt, progressOf } from '../projections/tables/index-states.ts'
import type { TablesSnapshot } from '../projections/tables/snapshot.ts'
import { isMissing } from '../storage/files.ts'
import type { Stats, VectorStats } from '../telemetry/types.ts'
import { TELEMETRY_DIRECTORY } from '../telemetry-store/layout.ts'
import type { Engine } from './engine.ts'
import { VECTORS_DIRECTORY } from './format.ts'

/** Looking at every file takes a moment: asked more often, the last look is told again. */
const DISK_EVERY_MS = 1000
/** Nobody writes telemetry while nobody keeps it, and it may be many files. */
const IDLE_TELEMETRY_EVERY_MS = 60_000

type DiskBytes = Pick<
  Stats['disk'],
  'logBytes' | 'tablesBytes' | 'vectorsBytes' | 'projectionsBytes'
>

export class StatsReader {
  readonly #engine: Engine
  #disk: DiskBytes = {
    logBytes: 0,
    tablesBytes: 0,
    vectorsBytes: 0,
    projectionsBytes: 0
  }
  #lookedAt = Number.NEGATIVE_INFINITY
  #telemetryBytes = 0
  #telemetryAt = Number.NEGATIVE_INFINITY

  constructor(engine: Engine) {
    this.#engine = engine
  }

  read(views: number): Stats {
    const { pipeline, writer, counters, parts, diskGuard, scrub, alerts, subscriptions } =
      this.#engine
    alerts.check()
    const { log, latency, overlay, ids, vectors, declaration } = parts
    const noVectors: VectorStats = {
      declared: declaration !== undefined,
      dimensions: declaration?.dimensions ?? 0,
      indexed: 0,
      pending: 0,
      pendingMax: 0,
      scanned: 0,
      segments: 0,
      position: 0,
      savedPosition: 0,
      readers: 0,
      workerRestarts: 0
    }
    return {
      position: log.head,
      durableHead: log.durableHead,
      poisoned: log.poison !== undefined,
      pipeline: pipeline.stats(),
      latency: latency.summary(),
      vectors: { ...(vectors?.stats() ?? noVectors), ...this.#lastRecall() },
      indexes: indexStats(parts.tables, parts.live.snapshot),
      caches: parts.cache.stats,
      disk: {
        ...this.#readDisk(),
        telemetryBytes: this.#engine.recorder?.stats.bytes ?? this.#idleTelemetryBytes(),
        ...diskGuard.reading
      },
      scrub: scrub.stats,
      memory: {
        rssBytes: process.memoryUsage.rss(),
        overlayEvents: overlay.events,
        idTableBytes: ids.bytes,
        idTableComplete: ids.complete
      },
      commits: { ...counters, waiting: writer.waiting },
      views,
      subscriptions: subscriptions.stats(),
      alerts: alerts.raised,
      ...this.#kept()
    }
  }

  #kept(): Pick<Stats, 'telemetry'> {
    const { recorder } = this.#engine
    return recorder === undefined ? {} : { telemetry: recorder.stats }
  }

  #lastRecall(): Pick<VectorStats, 'recall'> {
    const recall = this.#engine.lastRecall()
    return recall === undefined ? {} : { recall }
  }

  /** What an earlier life kept still takes room. */
  #idleTelemetryBytes(): number {
    const now = performance.now()
    if (now - this.#telemetryAt < IDLE_TELEMETRY_EVERY_MS) return this.#telemetryBytes
    this.#telemetryAt = now
    const { directory } = this.#engine.parts
    this.#telemetryBytes = bytesBelow(join(directory, TELEMETRY_DIRECTORY))
    return this.#telemetryBytes
  }

  #readDisk(): DiskBytes {
    const now = performance.now()
    if (now - this.#lookedAt < DISK_EVERY_MS) return this.#disk
    this.#lookedAt = now
    const { directory } = this.#engine.parts
    this.#disk = {
      logBytes: bytesBelow(join(directory, LOG_DIRECTORY)),
      tablesBytes: bytesBelow(join(directory, TABLES_DIRECTORY)),
      vectorsBytes: bytesBelow(join(directory, VECTORS_DIRECTORY)),
      projectionsBytes: bytesBelow(join(directory, PROJECTIONS_DIRECTORY))
    }
    return this.#disk
  }
}

/** What is declared, as reads see it now: one that is not there yet is not built. */
function indexStats(tables: Tables, snapshot: TablesSnapshot): Stats['indexes'] {
  const states = statesOf(snapshot)
  const entries = Object.entries(tables.indexes).map(([field, type]) => {
    const state = states.find((one) => one.field === field && one.type === type && !one.dropping)
    const seen = state === undefined ? 0 : progressOf(state)
    const built = state !== undefined && isBuilt(state)
    // The worker may be further than the last batch that reads see.
    const progress = built ? 1 : Math.max(seen, tables.indexProgress[field] ?? 0)
    return [field, { type, built, progress }] as const
  })
  return Object.fromEntries(entries)
}

function statesOf(snapshot: TablesSnapshot): readonly IndexState[] {
  try {
    return snapshot.indexes()
  } catch (error) {
    // The tables heal from it, and are told of it by the snapshot; statistics go on meanwhile.
    if (isStoreError(error, 'TABLES_DAMAGED')) return []
    throw error
  }
}

/** Files come and go while LevelDB works, so one that has vanished counts nothing. */
function bytesBelow(path: string): number {
  try {
    const found = statSync(path)
    if (!found.isDirectory()) return found.size
    return readdirSync(path).reduce((sum, name) => sum + bytesBelow(join(path, name)), 0)
  } catch (error) {
    if (isMissing(error)) return 0
    throw error
  }
}
