/** What the main thread and the worker of the vector index say to each other. */
import type { VectorsDeclared } from '../../log/event.ts'
import type { BatchApplied } from '../projection.ts'
import type { Candidates } from './nearest.ts'

/** `workerData`. */
export interface VectorsWorkerData {
  /** Of the store, spelled as the main thread spells it: LevelDB is shared by that name. */
  directory: string
  storeId: Uint8Array
  declaration: VectorsDeclared
  readOnly: boolean
  expansionSearch: number
  sealRows: number | undefined
}

export interface SearchRequest {
  query: Float32Array
  k: number
  ef: number | undefined
  exact: boolean
  /** Vectors up to here are found. */
  position: number
}

export interface AmongRequest {
  query: Float32Array
  ordinals: Uint32Array
  revisions: Uint32Array
  k: number
  position: number
}

/** What reading the files of the index from one end to the other found. */
export interface FilesChecked {
  bytes: number
  problems: string[]
}

export interface VectorsReply {
  /** `dimensions` numbers for each revision asked for. */
  vectors: Float32Array
  /** 1 where the revision exists. */
  found: Uint8Array
}

/** Each question, what goes with it and what comes back. */
export interface Questions {
  open: { ask: undefined; reply: undefined }
  project: { ask: { to: number }; reply: BatchApplied }
  search: { ask: SearchRequest; reply: Candidates }
  among: { ask: AmongRequest; reply: Candidates }
  vectors: { ask: { revisions: Uint32Array; position: number }; reply: VectorsReply }
  save: { ask: { durableHead: number }; reply: undefined }
  check: { ask: undefined; reply: FilesChecked }
  /** Stops the question that was asked under this ticket. */
  cancel: { ask: { ticket: number }; reply: undefined }
  close: { ask: undefined; reply: undefined }
}

export type QuestionKind = keyof Questions

export type Question = {
  [K in QuestionKind]: { do: K; ticket: number; ask: Questions[K]['ask'] }
}[QuestionKind]

/** The worker's figures. */
export interface EngineReport {
  position: number
  savedPosition: number
  indexed: number
  pending: number
  segments: number
  diskBytes: number
}

export interface Answer<K extends QuestionKind = QuestionKind> {
  reply: Questions[K]['reply']
  report: EngineReport
}
