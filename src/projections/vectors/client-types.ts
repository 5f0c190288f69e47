/** What the main thread gives to the vector index, and asks of it. */
import type { Anchors } from '../../log/anchor.ts'
import type { VectorsDeclared } from '../../log/event.ts'
import type { NewTelemetryEvent } from '../../telemetry/types.ts'
import type { EarlyChecks } from './early-checks.ts'
import type { VectorPool } from './pool.ts'
import type { SharedSet } from './shared-set.ts'

export interface VectorsStart {
  /** Of the store. */
  directory: string
  /** The log's database, spelled as it was when it was opened in this process. */
  log: string
  storeId: Buffer
  /** Of the log. */
  anchors: Anchors
  declaration: VectorsDeclared
  readOnly: boolean
  /** Candidates that a search considers in each graph unless it asks for another number. */
  expansionSearch: number
  /** Memory for exact vectors that are in the files too. */
  cacheBytes: number
  /** The last position in the log now. */
  head(): number
  /** Vectors after which a segment is full; by default, chosen by their size. */
  segmentRows?: number
  /** Of this process, unless given. */
  pool?: VectorPool
  /** Rest after a build that failed for the first time; by default a second. */
  retryMs?: number
  /** Of the graphs there, begun before this. */
  early?: EarlyChecks | undefined
  /** Whether the files there may be used; else it begins without any. */
  isTrusted: boolean
  onTelemetry(event: NewTelemetryEvent): void
}

export interface VectorSearch {
  k: number
  ef?: number
  /** Compares with every vector instead of asking the graphs. */
  exact?: boolean
  /** Vectors of acknowledged events up to here are found. Later ones may be, too. */
  position: number
  pin?: VectorsPin
  signal?: AbortSignal
}

export interface VectorChoice {
  /** Pairs: the vector of an ordinal that has this revision. */
  ordinals: Uint32Array
  revisions: Uint32Array
  k: number
  position: number
  pin?: VectorsPin
  signal?: AbortSignal
}

/** What a view reads: segments that were merged since leave out vectors that it finds. */
export interface VectorsPin {
  readonly set: SharedSet
  readonly rows: number[]
  /** How often rows that are dead were left out. */
  readonly merges: number
  /** Every vector up to this position was there. */
  readonly ingested: number
}
