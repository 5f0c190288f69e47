/** What the main thread and the tables' worker say to each other. */
import type { BatchApplied } from '../projection.ts'
import type { Indexes } from './index-states.ts'

export interface TablesWorkerData {
  directory: string
  storeId: Uint8Array
  generation: number
  batchEventsMax: number
  cacheBytes: number
  indexes: Indexes | undefined
}

export type TablesRequest = { do: 'project'; to: number } | { do: 'close'; flush: boolean }

export type ProjectedBatch = BatchApplied

/** Told after every step that erased associations of a forgotten concept. */
export interface SweepNotice {
  about: 'sweep'
  ordinal: number
  erased: number
  done: boolean
  checkpoint: number
}

/** Told after every step that built or removed some of an index of metadata. */
export interface IndexNotice {
  about: 'index'
  /** Those that are built with it; mostly none. */
  fields: string[]
  /** Of each field, from 0 to 1. */
  progress: Record<string, number>
  /** Since the worker began to build or to remove indexes. */
  ms: number
}

export type TablesNotice = SweepNotice | IndexNotice
