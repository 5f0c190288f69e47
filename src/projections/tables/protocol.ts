/** What the main thread and the tables' worker say to each other. */
import type { BatchApplied } from '../projection.ts'

export interface TablesWorkerData {
  directory: string
  storeId: Uint8Array
  generation: number
  batchEventsMax: number
  cacheBytes: number
}

export type TablesRequest = { do: 'project'; to: number } | { do: 'close'; flush: boolean }

export type ProjectedBatch = BatchApplied

/** Told after every step that erased associations of a forgotten concept. */
export interface SweepNotice {
  ordinal: number
  erased: number
  done: boolean
  checkpoint: number
}
