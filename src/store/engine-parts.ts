import type { Stage } from '../append/stage.ts'
import type { StoreError } from '../errors.ts'
import type { VectorsDeclared } from '../log/event.ts'
import type { LevelLog } from '../log/level-log.ts'
import type { ResolvedOptions } from '../options.ts'
import type { IdTable } from '../projections/id-table.ts'
import type { Overlay } from '../projections/overlay.ts'
import type { ReadCache } from '../projections/read-cache.ts'
import type { Tables } from '../projections/tables/client.ts'
import type { TablesSnapshot } from '../projections/tables/snapshot.ts'
import type { VectorsClient } from '../projections/vectors/client.ts'
import type { Ownership } from '../storage/owner.ts'
import type { TelemetryHub } from '../telemetry/hub.ts'
import type { LatencyRecorder } from '../telemetry/latency.ts'
import type { NewTelemetryEvent } from '../telemetry/types.ts'
import type { StoreFormat } from './format.ts'
import type { OpenedProjection } from './open-projections.ts'

/** What `openParts` found and opened. */
export interface EngineParts {
  directory: string
  format: StoreFormat
  options: ResolvedOptions
  ownership: Ownership
  hub: TelemetryHub
  latency: LatencyRecorder
  log: LevelLog
  tables: Tables
  overlay: Overlay
  ids: IdTable
  /** Rows that reads decoded. */
  cache: ReadCache
  stage: Stage
  declaration: VectorsDeclared | undefined
  vectors: VectorsClient | undefined
  /** Those that the program declares. */
  projections: readonly OpenedProjection[]
  /** Why vectors are declared but cannot be used. */
  vectorsError: StoreError | undefined
  /** The snapshot that reads begin at; replaced after every batch. */
  live: { snapshot: TablesSnapshot }
  /** What was met while opening. */
  findings: NewTelemetryEvent[]
}
