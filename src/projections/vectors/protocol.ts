/** What the main thread and the workers of the pool say to each other about vectors. */
import type { BlockRange, FileSeal } from './index-files.ts'
import type { Candidates } from './nearest.ts'
import type { GraphFile, GraphShape } from './vector-index.ts'

/** A segment as workers see it. */
export interface PartDescription {
  /** Number of the segment in this process, never used twice. */
  segment: number
  /** Of its files, without their extensions. */
  path: string
  ids: SharedArrayBuffer
  /** See `Deaths`. */
  deaths: SharedArrayBuffer
  /** By slab: memory with its rows or with room for them; `null`: they are read from the file. */
  slabs: readonly (SharedArrayBuffer | null)[]
  /** The first rows are in the graph. */
  graph: GraphDescription | undefined
}

export interface GraphDescription {
  /** Number of the graph in this process, never used twice. */
  graph: number
  path: string
  rows: number
  /** How many of the rows are in it: those that were dead are not. */
  vectors: number
  /** See `GraphFactory.scaleOf`. */
  scale: number
}

/** Everything that a search may read. Does not change: another one takes its place. */
export interface SetDescription {
  /** Never used twice in this process. */
  set: number
  shape: GraphShape
  parts: readonly PartDescription[]
}

/** One piece of a search: the graph of a part, or some of its rows, which are compared exactly. */
export type Item = { part: number; graph: true } | { part: number; from: number; to: number }

export interface SearchTask {
  set: number
  /** Rows that are dead there are passed over. */
  position: number
  query: Float32Array
  items: readonly Item[]
  /** Candidates wanted back. */
  k: number
  /** Candidates that each graph is asked for. */
  wanted: number
}

export interface SearchFound {
  candidates: Candidates
  /** Beyond this distance a graph may have more that is alive: it was not asked for it. */
  horizon: number
}

export interface AmongTask {
  set: number
  /** Rows that count, by part. */
  rows: readonly number[]
  query: Float32Array
  ordinals: Uint32Array
  revisions: Uint32Array
  k: number
}

export interface AmongFound {
  candidates: Candidates
  /** How many of the pairs exist. */
  found: number
}

export interface VectorsTask {
  set: number
  rows: readonly number[]
  revisions: Uint32Array
}

export interface VectorsReply {
  /** `dimensions` numbers for each revision asked for. */
  vectors: Float32Array
  /** 1 where the revision exists. */
  found: Uint8Array
}

/** Rows that were ingested from the log go to this place. */
export interface IngestTask {
  /** `log/` of the store, spelled as the main thread spells it: LevelDB is shared by that name. */
  log: string
  storeId: Uint8Array
  space: string
  dimensions: number
  /** The first position wanted, and the last. */
  from: number
  to: number
  ids: SharedArrayBuffer
  /** The first row free, and the row behind the last one that there is room for. */
  row: number
  end: number
  /** Memory of the slab that `row` lies in. */
  slab: SharedArrayBuffer
  cancel: SharedArrayBuffer
}

export interface Ingested {
  /** Every vector up to here was taken. */
  position: number
  row: number
  /** In turns: a position, and the row that follows the vectors up to there. */
  ends: Float64Array
}

/** Vectors of the log that are compared with rows. */
export interface CompareTask {
  set: number
  /** Rows that count, by part. */
  rows: readonly number[]
  /** As in `IngestTask`. */
  log: string
  storeId: Uint8Array
  space: string
  from: number
  to: number
  cancel: SharedArrayBuffer
}

export interface Compared {
  /** Every vector up to here was compared. */
  position: number
  /** Revisions whose rows say something else. */
  wrong: Uint32Array
  /** Pairs of ordinal and revision that are in no row: dead ones, if all is well. */
  missing: Uint32Array
}

export interface FlushTask {
  path: string
  ids: SharedArrayBuffer
  dimensions: number
  slabs: readonly { slab: SharedArrayBuffer; from: number; to: number }[]
}

/** Which files of a segment a manifest is about to name, and what is known of their seals. */
export interface SealTask {
  path: string
  rows: number
  dimensions: number
  /** Of the first rows, as the manifest before had them. */
  vectors: FileSeal | undefined
  /** A directory whose names are to be durable. */
  directory: string
}

export interface Sealed {
  vectors: FileSeal
  ids: FileSeal
}

export interface BuildTask {
  set: number
  part: number
  /** The graph in memory is told apart by its segment; it goes on from this file if it is gone. */
  rows: number
  cancel: SharedArrayBuffer
}

export interface Built {
  /** The first rows went into the graph in memory: fewer than asked for if it was cancelled. */
  rows: number
  /** How many of them are in it. */
  vectors: number
}

export interface SaveGraphTask {
  segment: number
  path: string
}

export interface SavedGraph {
  rows: number
  vectors: number
  scale: number
  /** How long the builder's thread was held up. */
  ms: number
}

export interface MergeTask {
  set: number
  part: number
  rows: number
  /** A bit for each row: whether it goes along. */
  keep: Uint8Array
  to: { path: string; ids: SharedArrayBuffer; row: number }
  cancel: SharedArrayBuffer
}

/** What reading the files of the index from one end to the other found. */
export interface FilesChecked {
  bytes: number
  problems: string[]
}

/** Each task, what goes with it and what comes back. */
export interface Tasks {
  /** Loads the graph engine. */
  hello: { ask: { shape: GraphShape }; reply: undefined }
  /** Maps a graph that was checked, ahead of the first search. */
  view: { ask: { shape: GraphShape; graph: GraphDescription }; reply: undefined }
  search: { ask: SearchTask; reply: SearchFound }
  among: { ask: AmongTask; reply: AmongFound }
  vectors: { ask: VectorsTask; reply: VectorsReply }
  ingest: { ask: IngestTask; reply: Ingested }
  compare: { ask: CompareTask; reply: Compared }
  flush: { ask: FlushTask; reply: undefined }
  seal: { ask: SealTask; reply: Sealed }
  build: { ask: BuildTask; reply: Built }
  'save-graph': { ask: SaveGraphTask; reply: SavedGraph }
  'seal-graph': { ask: { shape: GraphShape; graph: GraphFile }; reply: FileSeal }
  merge: { ask: MergeTask; reply: { row: number } }
  /** Compares a file, or some blocks of it, with its seal; `ids` takes its bytes. */
  check: {
    ask: { path: string; seal: FileSeal; ids?: SharedArrayBuffer; blocks?: BlockRange }
    reply: undefined
  }
}

export type TaskKind = keyof Tasks

export type Task = { [K in TaskKind]: { do: K; ask: Tasks[K]['ask'] } }[TaskKind]

/** Told without an answer, before the tasks that need it and after those that did. */
export type Notice =
  | { do: 'set'; set: SetDescription }
  | {
      do: 'forget'
      sets: readonly number[]
      segments: readonly number[]
      graphs: readonly number[]
    }
