import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { LOG_DIRECTORY } from '../log/level-log.ts'
import { TABLES_DIRECTORY } from '../projections/tables/generation.ts'
import { isMissing } from '../storage/files.ts'
import type { Stats, VectorStats } from '../telemetry/types.ts'
import type { Engine } from './engine.ts'

/** Looking at every file takes a moment: asked more often, the last look is told again. */
const DISK_EVERY_MS = 1000

type DiskBytes = Pick<Stats['disk'], 'logBytes' | 'tablesBytes' | 'vectorsBytes'>

export class StatsReader {
  readonly #engine: Engine
  #disk: DiskBytes = {
    logBytes: 0,
    tablesBytes: 0,
    vectorsBytes: 0
  }
  #lookedAt = Number.NEGATIVE_INFINITY

  constructor(engine: Engine) {
    this.#engine = engine
  }

  read(views: number): Stats {
    const { pipeline, writer, counters, parts, diskGuard, scrub } = this.#engine
    const { log, latency, overlay, ids, vectors, declaration } = parts
    const noVectors: VectorStats = {
      declared: declaration !== undefined,
      dimensions: declaration?.dimensions ?? 0,
      indexed: 0,
      pending: 0,
      segments: 0,
      position: 0
    }
    return {
      position: log.head,
      durableHead: log.durableHead,
      poisoned: log.poison !== undefined,
      pipeline: pipeline.stats(),
      latency: latency.summary(),
      vectors: vectors?.stats() ?? noVectors,
      caches: {},
      disk: { ...this.#readDisk(), ...diskGuard.reading },
      scrub: scrub.stats,
      memory: {
        rssBytes: process.memoryUsage.rss(),
        overlayEvents: overlay.events,
        idTableBytes: ids.bytes,
        idTableComplete: ids.complete
      },
      commits: { ...counters, waiting: writer.waiting },
      views
    }
  }

  #readDisk(): DiskBytes {
    const now = performance.now()
    if (now - this.#lookedAt < DISK_EVERY_MS) return this.#disk
    this.#lookedAt = now
    const { directory } = this.#engine.parts
    this.#disk = {
      logBytes: bytesBelow(join(directory, LOG_DIRECTORY)),
      tablesBytes: bytesBelow(join(directory, TABLES_DIRECTORY)),
      vectorsBytes: bytesBelow(join(directory, 'vectors'))
    }
    return this.#disk
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
