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
  /** Vectors in the graph, and those found by the exact scan until they are. */
  indexed: number
  pending: number
  segments: number
  position: number
}

export interface Stats {
  position: number
  durableHead: number
  poisoned: boolean
  pipeline: PipelineStats
  latency: Record<Operation, LatencySummary>
  vectors: VectorStats
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
  | (Base<'index-built'> & { vectors: number; ms: number })
  | (Base<'query'> & { kind: Operation; us: number; results: number })
  | (Base<'health-changed'> & { healthScore: number; recommendation: string })
  | (Base<'poisoned'> & { durableHead: number; error: string })
  | (Base<'sweep'> & { ordinal: number; erased: number; done: boolean })
  | (Base<'commit-aborted'> & { commands: number })
