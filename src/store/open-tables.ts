/** Opens the live generation of the tables, or makes an empty one that is filled from the log. */
import type { ResolvedOptions } from '../options.ts'
import { Tables } from '../projections/tables/client.ts'
import { agreeOnIndexes } from '../projections/tables/declared-indexes.ts'
import {
  createGeneration,
  currentGeneration,
  hasCurrent,
  publishGeneration,
  tablesDamaged
} from '../projections/tables/generation.ts'
import type { Indexes } from '../projections/tables/index-states.ts'
import type { TelemetryHub } from '../telemetry/hub.ts'
import type { StoreFormat } from './format.ts'

/** LevelDB's block cache gets this part of `cache.bytes`. */
export const BLOCK_CACHE_SHARE: number = 1 / 8

export type Cleanup = () => Promise<void>

export interface TablesSetting {
  directory: string
  format: StoreFormat
  options: ResolvedOptions
  hub: TelemetryHub
  /** Why the live tables must be built anew. */
  distrust: Error | undefined
}

/** Why there are no tables that can be used. */
export interface MissingTables {
  tables: undefined
  indexes: Indexes | undefined
  /** `undefined` in a store that never had any. */
  reason: string | undefined
  cause: Error | undefined
}

/** Changes nothing about which generation is live: whether the log is whole may not be known yet. */
export async function openLiveTables(
  setting: TablesSetting,
  cleanups: Cleanup[]
): Promise<{ tables: Tables; reason: undefined } | MissingTables> {
  const { directory, options, distrust } = setting
  const indexes = await agreeOnIndexes(directory, options.indexes, options.readOnly)
  const generation = await currentGeneration(directory)
  if (generation === undefined) {
    const reason = (await hasCurrent(directory)) ? 'CURRENT names no generation' : undefined
    return { tables: undefined, indexes, reason, cause: undefined }
  }
  try {
    if (distrust !== undefined) throw distrust
    const tables = await openGeneration(setting, generation, indexes)
    cleanups.push(async () => closeTables(tables))
    return { tables, reason: undefined }
  } catch (error) {
    // Derived state heals by rebuilding; the damaged files are left until that is done.
    if (!(error instanceof Error)) throw error
    return { tables: undefined, indexes, reason: error.message, cause: error }
  }
}

/** An empty generation, which is the live one from here on. The log fills it. */
export async function makeTables(
  setting: TablesSetting,
  { indexes, cause }: MissingTables,
  cleanups: Cleanup[]
): Promise<Tables> {
  const { directory, format, options } = setting
  if (options.readOnly) throw cause ?? tablesDamaged('CURRENT', 'no generation is live')
  const generation = await createGeneration(directory, format.storeId)
  const tables = await openGeneration(setting, generation, indexes)
  cleanups.push(async () => closeTables(tables))
  await publishGeneration(directory, generation)
  return tables
}

async function openGeneration(
  { directory, format, options, hub }: TablesSetting,
  generation: number,
  indexes: Indexes | undefined
): Promise<Tables> {
  return Tables.open({
    directory,
    storeId: format.storeId,
    generation,
    batchEventsMax: options.pipeline.batchEventsMax,
    cacheBytes: Math.floor(options.cacheBytes * BLOCK_CACHE_SHARE),
    readOnly: options.readOnly,
    indexes,
    onTelemetry: (event) => {
      if (hub.active) hub.emit(event)
    }
  })
}

async function closeTables(tables: Tables): Promise<void> {
  await tables.stop({ flush: false })
  await tables.close()
}
