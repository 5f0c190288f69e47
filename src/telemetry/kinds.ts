import type { TelemetryKind } from './types.ts'

/** By the names of `TelemetryFields`: the compiler refuses a kind that is missing here. */
const KINDS: Readonly<Record<TelemetryKind, true>> = {
  opened: true,
  recovery: true,
  closed: true,
  commit: true,
  'commit-failed': true,
  'commit-aborted': true,
  'group-commit': true,
  'batch-applied': true,
  'projection-lag': true,
  'projection-stopped': true,
  'projection-resumed': true,
  'torn-tail-dropped': true,
  'damage-found': true,
  'heal-failed': true,
  'disk-low': true,
  'rebuild-started': true,
  rebuilt: true,
  'index-loaded': true,
  'index-saved': true,
  'index-merged': true,
  'index-save-failed': true,
  'index-build-failed': true,
  'index-built': true,
  'fields-indexed': true,
  query: true,
  path: true,
  'slow-operation': true,
  metrics: true,
  'health-changed': true,
  'alert-raised': true,
  'alert-cleared': true,
  compaction: true,
  poisoned: true,
  sweep: true,
  'subscription-retrying': true,
  'subscription-quarantined': true,
  'subscription-stopped': true,
  'subscription-caught-up': true,
  'close-gave-up': true,
  summary: true,
  'telemetry-dropped': true,
  'telemetry-store-failed': true
}

/** Every kind of telemetry that this version tells. A newer one may tell more. */
// The keys of a record are no more than its type says where it is written down in one place.
export const TELEMETRY_KINDS: readonly TelemetryKind[] = Object.keys(KINDS) as TelemetryKind[]
