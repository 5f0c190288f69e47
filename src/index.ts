export { InvariantError } from './assert.ts'
export type { StoreErrorCode, StoreErrorDetails } from './errors.ts'
export { isStoreError, StoreError } from './errors.ts'
export { EVENT_TYPES } from './event-types.ts'
export type { IdInput } from './ids.ts'
export { ConceptId } from './ids.ts'
export {
  attach,
  defineProjection,
  migrate,
  open,
  readTelemetry,
  repair,
  restore,
  verifyBackup
} from './open.ts'
export type {
  DeclaredProjection,
  Embed,
  Limits,
  PipelineOptions,
  Quantization,
  StoreOptions,
  TelemetryOptions,
  TelemetryStoreOptions,
  VectorMetric,
  VectorOptions
} from './options.ts'
export type {
  Alert,
  AlertEvent,
  AlertMetric,
  AlertOptions,
  AlertRule,
  AlertSeverity
} from './telemetry/alert-types.ts'
export type {
  OperationGroup,
  OperationMessage,
  TelemetryMessage
} from './telemetry/channels.ts'
export { TELEMETRY_KINDS } from './telemetry/kinds.ts'
export type { OpenTelemetryOptions } from './telemetry/open-telemetry-options.ts'
export type {
  LatencyStats,
  LatencySummary,
  Operation,
  PathStrategy,
  PipelineStats,
  ProjectionState,
  ProjectionStats,
  RecallReport,
  RecentLatency,
  SearchStrategy,
  Stats,
  SubscriptionState,
  SubscriptionStats,
  TelemetryEvent,
  TelemetryKind,
  TelemetryStoreStats,
  VectorStats
} from './telemetry/types.ts'
export type * from './types.ts'
