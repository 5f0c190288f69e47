export { InvariantError } from './assert.ts'
export type { StoreErrorCode, StoreErrorDetails } from './errors.ts'
export { isStoreError, StoreError } from './errors.ts'
export type { IdInput } from './ids.ts'
export { ConceptId } from './ids.ts'
export type {
  Embed,
  Limits,
  PipelineOptions,
  Quantization,
  StoreOptions,
  VectorMetric,
  VectorOptions
} from './options.ts'
export { migrate, open, repair, restore } from './store.ts'
export type {
  LatencySummary,
  Operation,
  PipelineStats,
  ProjectionState,
  ProjectionStats,
  RecallReport,
  SearchStrategy,
  Stats,
  TelemetryEvent,
  VectorStats
} from './telemetry/types.ts'
export type * from './types.ts'
