/** What the store tells about itself. Telemetry is never part of the log. */
import type { Alert } from './alert-types.ts'

export type { NewTelemetryEvent, TelemetryEvent, TelemetryKind } from './events.ts'

/** Times in microseconds. */
export interface LatencySummary {
  count: number
  meanUs: number
  p50Us: number
  p95Us: number
  p99Us: number
  p999Us: number
  maxUs: number
}

/** Of the last `telemetry.windowMs`, which slide along in sixths. */
export interface RecentLatency extends LatencySummary {
  /** How much of the past it covers: five to six sixths of it, once the store is open for so long. */
  windowMs: number
}

/** Since the store was opened, and lately. */
export interface LatencyStats extends LatencySummary {
  recent: RecentLatency
}

/**
 * What is timed. A `commit` begins with the call and ends with the acknowledgement, so that waiting in line
 * and for room counts. `import` is one batch of an import, by the same clock. `projection` is the work
 * of one batch; `lag` is how old the oldest event of a batch was when reads of the tables saw it.
 * `fsync` is a synced write of the log; `embed` is one call of the program's own function.
 */
export type Operation =
  | 'commit'
  | 'get'
  | 'getMany'
  | 'neighbors'
  | 'path'
  | 'search'
  | 'projection'
  | 'concepts'
  | 'view'
  | 'fsync'
  | 'lag'
  | 'import'
  | 'embed'

/** Through the graph, among the concepts that a filter selected, or over all vectors. */
export type SearchStrategy = 'graph' | 'among' | 'scan'

/**
 * By fewest hops from both ends, by greatest confidence from both ends, one path after the other
 * in either order; or nowhere to go, because both ends are the same concept.
 */
export type PathStrategy = 'breadth-first' | 'best-first' | 'k-shortest' | 'none'

export type ProjectionState = 'running' | 'stopped' | 'rebuilding'

export interface ProjectionStats {
  state: ProjectionState
  /** Checkpoint: the position up to which it is complete. */
  position: number
  lagEvents: number
  lagMs: number
  error?: string
}

/** `retrying`: its handler failed and gets the event again after a while. */
export type SubscriptionState = 'running' | 'paused' | 'retrying' | 'stopped'

export interface SubscriptionStats {
  state: SubscriptionState
  /** Everything up to here is handled, passed over or in quarantine. */
  position: number
  /** Events behind it, those that will be passed over included. */
  lagEvents: number
  /** Age of the first of them. */
  lagMs: number
  /** How often the handler was given what it has in its hands; 0 between two. */
  attempts: number
  /** Events in quarantine now. */
  quarantined: number
  /** Since it began: events that were handled, and times that the handler was given some again. */
  delivered: number
  retries: number
  /** Why it stopped. */
  error?: string
}

export interface PipelineStats {
  queueDepth: number
  queueUtilization: number
  predictedQueueDepth: number
  /** How long the first event that waits may wait for others, unless `batchEvents` are there. */
  intervalMs: number
  batchEvents: number
  /** Of the queue, of the projection's speed or of its lag: the highest one; 1 is all there is, more is overload. */
  load: number
  /** 0 while writers are welcome, rising from the warning on to 1, where they have to wait. */
  pressure: number
  healthScore: number
  recommendation: string
  arrivalRatePerSec: number
  processingRatePerSec: number
  estimatedLagMs: number
  /** `Infinity` while the queue is not growing. */
  timeToFullMs: number
  batches: number
  backPressureMs: number
  projections: Record<string, ProjectionStats>
}

export interface VectorStats {
  declared: boolean
  dimensions: number
  /**
   * Vectors in a graph, or replaced before they needed one; and those that wait to be in one. Writers
   * wait for room where theirs would make these more than `pendingMax`.
   */
  indexed: number
  pending: number
  pendingMax: number
  /** Vectors that each search compares one by one: graphs are written anew now and then. */
  scanned: number
  segments: number
  position: number
  /** Checkpoint of the files: a crash loses nothing, but what is behind it is read from the log. */
  savedPosition: number
  /** Threads that answer searches, and those of the process that died and were replaced. */
  readers: number
  workerRestarts: number
  /** Why no graph grows at present; searches compare what is in none. Absent while all is well. */
  buildError?: {
    reason: string
    /** Attempts that failed since one succeeded. */
    failures: number
    /** When it is tried again, in milliseconds since 1970. */
    retryAt: number
  }
  /** What `checkVectors` found the last time; absent before. */
  recall?: RecallReport
}

/** How much of the exact answer a search through the index finds, and how fast. */
export interface RecallReport {
  /** The state that was searched. */
  position: number
  vectors: number
  /** Stored vectors that were searched for, drawn in an order that follows from `seed`. */
  sample: number
  seed: number
  k: number
  /** By increasing `ef`. Times are those of whole searches, one after the other. */
  recalls: { ef: number; recall: number; p50Us: number; p99Us: number }[]
  /** The exact searches that these were compared with. */
  exact: { p50Us: number; p99Us: number }
  /** Milliseconds since 1970. */
  checkedAt: number
}

export interface Stats {
  position: number
  durableHead: number
  poisoned: boolean
  pipeline: PipelineStats
  latency: Record<Operation, LatencyStats>
  vectors: VectorStats
  /** Indexes of metadata fields that are declared, by field. */
  indexes: Record<string, FieldIndexStats>
  caches: Record<string, { entries: number; bytes: number; hits: number; misses: number }>
  disk: {
    logBytes: number
    tablesBytes: number
    vectorsBytes: number
    /** Of projections of the program's own, those that are not declared included. */
    projectionsBytes: number
    /**
     * Telemetry that is kept, wherever its directory is; 0 where none is. While none is being kept,
     * what lies in the directory of the store, looked at once a minute.
     */
    telemetryBytes: number
    /** Of the file system, when a write last asked, and what is kept free of it; 0 before. */
    freeBytes: number
    reserveBytes: number
    /** Writes are refused with `DISK_LOW`. */
    low: boolean
  }
  scrub: ScrubStats
  memory: {
    rssBytes: number
    overlayEvents: number
    idTableBytes: number
    idTableComplete: boolean
  }
  commits: { commits: number; events: number; frames: number; waiting: number }
  views: number
  /** By name: those that were begun since the store was opened. */
  subscriptions: Record<string, SubscriptionStats>
  /** Those that are raised now. */
  alerts: Alert[]
  /** Absent unless telemetry is kept (`telemetry.store`). */
  telemetry?: TelemetryStoreStats
}

/** Telemetry that is kept. */
export interface TelemetryStoreStats {
  /** Events that were written since the store was opened; sums count as one. */
  stored: number
  /** Events that are lost, because keeping them failed or fell behind. */
  dropped: number
  /** On disk, when last looked at. */
  bytes: number
  /** When the oldest segment begins, in milliseconds since 1970; 0 while there is none. */
  oldest: number
  segments: number
  /** Why nothing is kept at present. */
  error?: string
}

export interface FieldIndexStats {
  type: 'string' | 'number' | 'boolean'
  /** Filters use it. */
  built: boolean
  /** 0 to 1. */
  progress: number
}

/** What the background check of the files has seen since the store was opened. */
export interface ScrubStats {
  /** Rounds through all files. */
  rounds: number
  files: number
  bytes: number
  /** End of the last round, in milliseconds since 1970; 0 before. */
  finishedAt: number
  problems: { part: string; reason: string; from?: number; to?: number }[]
}
