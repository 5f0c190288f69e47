/** What the main thread and the workers of the tables say to each other. */
import type { BatchApplied } from '../projection.ts'
import type { Indexes } from './index-states.ts'
import type { DigestSlice } from './range-digest.ts'

/** One generation of the tables, as a worker needs to know it. */
export interface SessionData {
  directory: string
  storeId: Uint8Array
  generation: number
  batchEventsMax: number
  cacheBytes: number
  indexes: Indexes | undefined
}

/** A session is one generation of one store, open in a worker. Its number is never used again. */
export type TablesRequest =
  | { do: 'open'; session: number; data: SessionData }
  | { do: 'project'; session: number; to: number }
  /** Answered with the numbers of ranges that differ: see `differingIn`. */
  | { do: 'compare'; session: number; slice: DigestSlice }
  /** Answered with its sums: see `TablesWriter`. */
  | { do: 'sums'; session: number }
  | { do: 'close'; session: number }
  /** Ends the thread. */
  | { do: 'end' }

export interface SessionOpened {
  /** Whether it works in the background: it sweeps, or builds or removes indexes. */
  busy: boolean
}

export interface ProjectedBatch extends BatchApplied, SessionOpened {}

/** Told after every step that erased associations of a forgotten concept. */
export interface SweepNotice extends SessionOpened {
  about: 'sweep'
  ordinal: number
  erased: number
  done: boolean
  checkpoint: number
}

/** Told after every step that built or removed some of an index of metadata. */
export interface IndexNotice extends SessionOpened {
  about: 'index'
  /** Those that are built with it; mostly none. */
  fields: string[]
  /** Of each field, from 0 to 1. */
  progress: Record<string, number>
  /** Since the worker began to build or to remove indexes. */
  ms: number
}

export type TablesNotice = SweepNotice | IndexNotice

export interface NoticeOfSession {
  session: number
  notice: TablesNotice
}
