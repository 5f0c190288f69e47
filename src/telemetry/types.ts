/** What the store tells about itself. Telemetry is never part of the log. */

export interface LatencySummary {
  count: number
  meanUs: number
  p50Us: number
  p95Us: number
  p99Us: number
  p999Us: number
  maxUs: number
}

export type Operation =
  | 'commit'
  | 'get'
  | 'neighbors'
  | 'path'
  | 'search'
  | 'projection'
  | 'concepts'
  | 'view'

/** Through the graph, among the concepts that a filter selected, or over all vectors. */
export type SearchStrategy = 'graph' | 'among' | 'scan'

export type ProjectionState = 'running' | 'stopped' | 'rebuilding'

export interface ProjectionStats {
  state: ProjectionState
  /** Checkpoint: the position up to which it is complete. */
  position: number
  lagEvents: number
  lagMs: number
  error?: string
}

export interface PipelineStats {
  queueDepth: number
  queueUtilization: number
  predictedQueueDepth: number
  intervalMs: number
  healthScore: number
  recommendation: string
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
  /** Vectors in a graph, and those that wait to be; beyond `pendingMax` writers of vectors wait. */
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
  latency: Record<Operation, LatencySummary>
  vectors: VectorStats
  /** Indexes of metadata fields that are declared, by field. */
  indexes: Record<string, FieldIndexStats>
  caches: Record<string, { entries: number; bytes: number; hits: number; misses: number }>
  disk: {
    logBytes: number
    tablesBytes: number
    vectorsBytes: number
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

interface Base<T extends string> {
  type: T
  /** Milliseconds since 1970. */
  time: number
}

export type TelemetryEvent =
  | (Base<'opened'> & { position: number; ms: number; recovered: number })
  | (Base<'closed'> & { position: number })
  | (Base<'group-commit'> & {
      commits: number
      events: number
      bytes: number
      us: number
      first: number
      last: number
    })
  | (Base<'batch-applied'> & {
      projection: string
      from: number
      to: number
      events: number
      ms: number
    })
  | (Base<'projection-stopped'> & { projection: string; position: number; error: string })
  | (Base<'torn-tail-dropped'> & { position: number; frames: number; reason: string })
  | (Base<'damage-found'> & { part: string; reason: string; from?: number; to?: number })
  | (Base<'heal-failed'> & { part: string; reason: string })
  | (Base<'disk-low'> & { low: boolean; freeBytes: number; reserveBytes: number })
  | (Base<'rebuild-started'> & { projection: string; reason: string })
  | (Base<'rebuilt'> & { projection: string; position: number; ms: number })
  | (Base<'index-loaded'> & { vectors: number; ms: number })
  | (Base<'index-saved'> & { vectors: number; bytes: number; ms: number })
  | (Base<'index-merged'> & { segments: number; vectors: number; dropped: number; ms: number })
  | (Base<'index-save-failed'> & { reason: string })
  | (Base<'index-built'> & { vectors: number; ms: number })
  | (Base<'fields-indexed'> & { fields: string[]; ms: number })
  | (Base<'query'> & {
      kind: Operation
      us: number
      results: number
      /** Of a search, as are those below. */
      k?: number
      /** How the matches were found in the end. */
      strategy?: SearchStrategy
      /** Candidates that the graph considered the last time; absent where it was not asked. */
      ef?: number
    })
  | (Base<'health-changed'> & { healthScore: number; recommendation: string })
  | (Base<'poisoned'> & { durableHead: number; error: string })
  | (Base<'sweep'> & { ordinal: number; erased: number; done: boolean })
  | (Base<'commit-aborted'> & { commands: number })
