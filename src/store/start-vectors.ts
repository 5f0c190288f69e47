import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { StoreError } from '../errors.ts'
import type { VectorsDeclared } from '../log/event.ts'
import type { LevelLog } from '../log/level-log.ts'
import type { ResolvedOptions } from '../options.ts'
import { NUMBER_RULES } from '../options.ts'
import { VectorsClient } from '../projections/vectors/client.ts'
import { EarlyChecks } from '../projections/vectors/early-checks.ts'
import { MANIFEST_FILE } from '../projections/vectors/manifest.ts'
import { VectorPool } from '../projections/vectors/pool.ts'
import type { TelemetryHub } from '../telemetry/hub.ts'
import type { NewTelemetryEvent } from '../telemetry/types.ts'
import { type StoreFormat, VECTORS_DIRECTORY } from './format.ts'

interface Setting {
  directory: string
  format: StoreFormat
  declaration: VectorsDeclared | undefined
  options: ResolvedOptions
  hub: TelemetryHub
  log: LevelLog
  /** Damage is told to whoever subscribes later, too. */
  findings: NewTelemetryEvent[]
  /** See `warmVectors`. */
  early?: EarlyChecks | undefined
  /** Whether the files there may be used. */
  isTrusted: boolean
}

/**
 * Starts a thread for the vectors, if there is an index, and checks graphs in it while the other parts
 * open: it takes as long as they do. Whoever got it calls `release`, whether they opened or not.
 */
export function warmVectors(
  directory: string
): { early: EarlyChecks; release(): Promise<void> } | undefined {
  const path = join(directory, VECTORS_DIRECTORY)
  if (!existsSync(join(path, MANIFEST_FILE))) return undefined
  const pool = VectorPool.hold()
  pool.warm()
  const early = new EarlyChecks(pool, path)
  return {
    early,
    async release() {
      await early.stop()
      await pool.release()
    }
  }
}

/** @throws StoreError `VECTORS_UNAVAILABLE` where the graph engine does not load. */
export async function startVectors(setting: Setting): Promise<VectorsClient> {
  const { directory, format, declaration, options, hub, log, findings, isTrusted, early } = setting
  if (declaration === undefined) {
    const operation = 'vectors'
    throw new StoreError('VECTORS_NOT_DECLARED', 'No vectors are declared', { operation })
  }
  const asked = options.vectors
  return VectorsClient.start({
    directory,
    log: log.databasePath,
    storeId: format.storeId,
    anchors: log.anchors,
    declaration,
    readOnly: options.readOnly,
    isTrusted,
    early,
    expansionSearch: asked?.expansionSearch ?? declaration.expansionSearch,
    cacheBytes: asked?.cacheBytes ?? NUMBER_RULES['vectors.cacheBytes'].value,
    head: () => log.head,
    onTelemetry: (event) => {
      if (event.type === 'damage-found') findings.push(event)
      if (event.type === 'index-loaded') {
        // Only while a store opens, when nobody can have subscribed.
        findings.push(event)
        return
      }
      if (hub.active) hub.emit(event)
    }
  })
}
