/**
 * The types of the public API. API.md of the project is their contract. Long, because a caller reads them
 * as one page; events, projections and subscriptions have pages of their own.
 */
import type { Observable } from 'rxjs'
import type { EventsOptions, ReadOptions, StoredEvent } from './event-types.ts'
import type { ConceptId, IdInput } from './ids.ts'
import type { Limits, StoreOptions } from './options.ts'
import type {
  BoundQueries,
  ProjectionReadOptions,
  Projections,
  QueriedProjection
} from './projection-types.ts'
import type {
  BatchHandler,
  EventHandler,
  SubscribeOptions,
  Subscription,
  SubscriptionInfo
} from './subscription-types.ts'
import type { RecallReport, Stats, TelemetryEvent } from './telemetry/types.ts'

export type * from './event-types.ts'
export type * from './projection-types.ts'
export type * from './subscription-types.ts'

/** Narrows the names and the metadata that a program uses in one store. */
export interface Schema {
  metadata?: object
  type?: string
  association?: string
}

export type Durability = 'fsync' | 'interval' | 'os'
export type IfExists = 'merge' | 'replace' | 'keep' | 'fail'
export type Change = number | { by: number }
export type Metadata<S extends Schema = Schema> = NonNullable<S['metadata']>
type TypeName<S extends Schema> = NonNullable<S['type']>
type AssociationName<S extends Schema> = NonNullable<S['association']>

// ---- Writing

export interface NewConcept<S extends Schema = Schema> {
  id?: IdInput
  type?: TypeName<S> | null
  content: string
  data?: Uint8Array | null
  metadata?: Metadata<S> | null
  embedding?: Float32Array | readonly number[] | null
  strength?: number
  confidence?: number
  ifExists?: IfExists
  /**
   * Stands in for a concept that is not known yet, as `createMissing` of an import makes them: its
   * content may be empty, it changes nothing that was learned, and gives way to what is learned.
   */
  stub?: boolean
}

export interface AssociationRef<S extends Schema = Schema> {
  source: IdInput
  target: IdInput
  type: AssociationName<S>
  /** Tells parallel associations of one type apart. */
  key?: string
}

export interface NewAssociation<S extends Schema = Schema> extends AssociationRef<S> {
  strength?: number
  confidence?: number
  metadata?: object | null
  ifExists?: IfExists
}

export interface Reinforcement {
  strength?: Change
  confidence?: Change
}

/** Absent keeps, `null` clears, metadata is a JSON merge patch. */
export interface ConceptPatch<S extends Schema = Schema> {
  content?: string
  data?: Uint8Array | null
  embedding?: Float32Array | readonly number[] | null
  type?: TypeName<S> | null
  metadata?: object | null
}

export interface AssociationPatch {
  metadata?: object | null
}

export type Target<S extends Schema = Schema> = IdInput | AssociationRef<S>

export type Command<S extends Schema = Schema> =
  | ({ do: 'learn' } & NewConcept<S>)
  | ({ do: 'associate' } & NewAssociation<S>)
  | ({ do: 'reinforce'; target: Target<S> } & Reinforcement)
  | ({ do: 'revise'; target: Target<S> } & ConceptPatch<S>)
  | { do: 'forget'; id: IdInput }
  | ({ do: 'dissociate' } & AssociationRef<S>)

/** `version: 0` means: must not exist. */
export type Expectation =
  | { concept: IdInput; version: number }
  | { association: AssociationRef; version: number }
  | { head: number }

export interface CommitOptions {
  expect?: readonly Expectation[]
  /** Never expires: the same commands under the same key are appended once, ever. */
  idempotencyKey?: string
  subject?: string
  causation?: string
  correlation?: string
  headers?: Record<string, string>
  durability?: Durability
  /**
   * Belongs to a large load, such as many commits under way at once: it yields to commits that do
   * not, and leaves the last part of the queue to them. Bulk commits keep their order among
   * themselves, as the others do among themselves, but others pass them. Imports are bulk anyway.
   * Default `false`.
   */
  bulk?: boolean
  signal?: AbortSignal
}

export interface CommandResult {
  id?: ConceptId
  key?: string
  version: number
  created: boolean
}

export interface Receipt {
  outcome: 'appended' | 'duplicate'
  /** Position of the commit's first event. A commit that changed nothing has `last = first - 1`. */
  first: number
  last: number
  durability: Durability
  /**
   * Acknowledged events that the tables did not hold yet at the acknowledgement, those of this
   * commit included. Reads see them all the same; at `pipeline.queueEventsMax` writers have to wait.
   */
  backlog: number
  /** In the order of the commands. */
  results: CommandResult[]
}

// ---- Reading

export interface Concept<S extends Schema = Schema> {
  id: ConceptId
  key?: string
  type?: TypeName<S>
  content: string
  data?: Uint8Array
  strength: number
  confidence: number
  metadata: Metadata<S>
  hasVector: boolean
  version: number
  /** Milliseconds since 1970. */
  createdAt: number
  updatedAt: number
  /** Position of the event that made this version. */
  position: number
  /** Made by `createMissing` of an import and not learned yet. */
  stub?: true
  vector?: Float32Array
}

export interface Association<S extends Schema = Schema> {
  source: ConceptId
  target: ConceptId
  type: AssociationName<S>
  key?: string
  /** The end that is not the concept asked about. */
  other: { id: ConceptId; key?: string }
  strength: number
  confidence: number
  metadata: Record<string, unknown>
  version: number
  createdAt: number
  updatedAt: number
  position: number
  /** Opaque; hand it to `after` to go on behind this association. */
  cursor: string
  concept?: Concept<S>
}

export interface Path<S extends Schema = Schema> {
  concepts: ConceptId[]
  keys: (string | undefined)[]
  associations: Association<S>[]
  /** Product of the confidences of its associations. */
  confidence: number
}

export interface Match<S extends Schema = Schema> {
  id: ConceptId
  key?: string
  /** What matches are ranked by: the similarity, or what `score` of the search makes of it. */
  score: number
  similarity?: number
  distance?: number
  concept?: Concept<S>
  /** With `expand`: what it is associated with, fewest hops first, then strongest first. */
  related?: Related<S>[]
}

/** A concept that a match is associated with, and how. */
export interface Related<S extends Schema = Schema> {
  id: ConceptId
  key?: string
  hops: number
  /** Product of the strengths of `via`. */
  strength: number
  /** From the match to this concept; each as seen from where its step begins. */
  via: Association<S>[]
  /** With `include: ['concept']`. */
  concept?: Concept<S>
}

export type Scalar = string | number | boolean | null
export interface WhereOperators {
  eq?: Scalar
  ne?: Scalar
  in?: readonly Scalar[]
  nin?: readonly Scalar[]
  gt?: string | number
  gte?: string | number
  lt?: string | number
  lte?: string | number
  exists?: boolean
  contains?: Scalar
}
/** Paths name metadata fields (`lang`, `a.b`) and `@type`, `@strength`, `@confidence`, `@createdAt`, `@updatedAt`. */
export type Where =
  | { [path: string]: Scalar | WhereOperators }
  | { and: readonly Where[] }
  | { or: readonly Where[] }
  | { not: Where }

export type Include = readonly ('concept' | 'vector')[]
export type Direction = 'out' | 'in' | 'both'

export interface GetOptions extends ReadOptions {
  include?: Include
}

export interface NeighborOptions extends ReadOptions {
  direction?: Direction
  types?: readonly string[]
  where?: Where
  minStrength?: number
  limit?: number
  after?: string
  include?: Include
}

export interface PathOptions extends ReadOptions {
  maxDepth?: number
  direction?: Direction
  types?: readonly string[]
  where?: Where
  minStrength?: number
  order?: 'hops' | 'confidence'
}

export type SearchQuery =
  | Float32Array
  | readonly number[]
  | string
  | { vector?: Float32Array | readonly number[]; like?: IdInput; text?: string }

/**
 * Weights of what a match is ranked by; each at least 0, one above. The score is their weighted
 * mean, every part being in [0, 1].
 */
export interface ScoreWeights {
  similarity?: number
  strength?: number
  confidence?: number
  /** Halves with every half-life (default: 30 days) since the concept was last changed. */
  recency?: number | { weight: number; halfLifeMs?: number }
}

export interface ExpandOptions {
  /** Steps away from a match, 1 to 3. Default 1. */
  hops?: number
  types?: readonly string[]
  /** Default `'both'`. */
  direction?: Direction
  minStrength?: number
  /** Related concepts for each match, at most. Default 10. */
  limit?: number
}

export interface SearchOptions extends ReadOptions {
  k?: number
  /** Candidates that the index considers; or as many as reached a recall in the last check. */
  ef?: number | { recall: number }
  minSimilarity?: number
  where?: Where
  exact?: boolean
  score?: ScoreWeights
  expand?: ExpandOptions
  include?: Include
}

export interface CheckVectorsOptions extends LongOptions {
  /** Stored vectors to search for. Default 200. */
  sample?: number
  /** Matches of each search. Default 10. */
  k?: number
  /** Values of `ef` to try, at most 32. */
  efs?: readonly number[]
  /** Decides which vectors are drawn. Default 1. */
  seed?: number
}

export interface ConceptsOptions extends ReadOptions {
  type?: string
  where?: Where
  after?: string
  limit?: number
  include?: Include
}

export interface Counts {
  concepts: number
  associations: number
  vectors: number
  types: Record<string, number>
}

/** Reads one state of the store. `Store` reads the latest, `View` a pinned one. */
export interface Reader<S extends Schema = Schema> {
  /** The position whose state is read. Sync. */
  readonly position: number
  counts(options?: ReadOptions): Promise<Counts>
  has(id: IdInput, options?: ReadOptions): Promise<boolean>
  get(id: IdInput, options?: GetOptions): Promise<Concept<S> | undefined>
  getMany(ids: readonly IdInput[], options?: GetOptions): Promise<(Concept<S> | undefined)[]>
  association(ref: AssociationRef<S>, options?: ReadOptions): Promise<Association<S> | undefined>
  vector(id: IdInput, options?: ReadOptions): Promise<Float32Array | undefined>
  neighbors(id: IdInput, options?: NeighborOptions): Promise<Association<S>[]>
  associations(id: IdInput, options?: NeighborOptions): AsyncIterable<Association<S>>
  findPath(source: IdInput, target: IdInput, options?: PathOptions): Promise<Path<S> | undefined>
  findPaths(
    source: IdInput,
    target: IdInput,
    options?: PathOptions & { limit?: number }
  ): Promise<Path<S>[]>
  search(query: SearchQuery, options?: SearchOptions): Promise<Match<S>[]>
  concepts(options?: ConceptsOptions): AsyncIterable<Concept<S>>
  stateHash(options?: ReadOptions): Promise<string>
  contentHash(options?: ReadOptions): Promise<string>
  /** All of this state as a file, in chunks, made as they are asked for. An import takes it back. */
  export(options?: ExportOptions): AsyncIterable<Uint8Array>
  /** The queries of a projection of the program's own, each at the position that is read. Sync. */
  projection<Q>(definition: QueriedProjection<Q>, options?: ProjectionReadOptions): BoundQueries<Q>
}

export interface View<S extends Schema = Schema> extends Reader<S>, AsyncDisposable {
  close(): Promise<void>
}

// ---- Long work

export interface Progress {
  phase: string
  done: number
  total?: number
}

export interface LongOptions extends ReadOptions {
  onProgress?: (progress: Progress) => void
}

export interface BackupOptions extends LongOptions {
  /**
   * `false` reads no state: the backup is made in the time that copying takes, and a restore has
   * checksums and positions to compare, but no hash. Default `true`.
   */
  stateHash?: boolean
  /**
   * `false` does not read what an older backup holds before going on with it: damage of it is then met
   * by `verifyBackup` or a restore. Default `true`: frames that are damaged refuse the backup with
   * `BACKUP_DAMAGED`, files of the vector index are copied again.
   */
  check?: boolean
}

export interface BackupReport {
  /** The backup holds the store as it was at this position. */
  position: number
  /** Position of the older backup that was gone on with; 0 when everything was copied. */
  from: number
  /** What was copied this time. */
  frames: number
  events: number
  bytes: number
  /** Whether the vector index is in it; otherwise a restored store builds it from the log. */
  vectors: boolean
  /** Absent where vectors are declared but cannot be read, or where it was not asked for. */
  stateHash?: string
  seconds: number
}

export interface BackupCheckReport {
  /** `false`: a restore would fail, or would have to make the vector index anew. */
  ok: boolean
  /** What the backup says it reaches to; 0 where it cannot be read. */
  position: number
  /** What was found whole. */
  frames: number
  events: number
  bytes: number
  /** In the order of the files. */
  problems: { file: string; reason: string }[]
  seconds: number
}

export interface MigrateOptions extends LongOptions {
  /** An empty directory, or none yet, that the log is copied into first; `false` for no copy. */
  backup: string | false
  /** Reads and checks everything and changes nothing. */
  dryRun?: boolean
}

export interface MigrationReport {
  /** `false`: the store has the newest format already, or it was a dry run. */
  changed: boolean
  /** Numbers of the format before and after. */
  from: number
  to: number
  /** What each step between them does. */
  steps: string[]
  /** Whether a migration that was cut short was gone on with. */
  resumed: boolean
  backup: string | undefined
  position: number
  frames: number
  events: number
  seconds: number
}

export interface RestoreOptions extends LongOptions {
  /** Leaves out what was committed later. A commit that reaches beyond is left out whole. */
  toPosition?: number
  /** Milliseconds since 1970, or a date: leaves out what was committed later. */
  toTime?: number | Date
  /**
   * Also opens the store, which makes its tables, and compares the hash of its state with the one in
   * the backup. Until that has ended, the directory does not open as a store. Default `false`.
   */
  compare?: boolean
}

export interface RestoreReport {
  /** The head of the restored store. */
  position: number
  /** Position of the backup; beyond `position` when less was asked for. */
  backupPosition: number
  frames: number
  events: number
  bytes: number
  vectors: boolean
  /** What `stateHash()` of the restored store gives. Absent when only a part was restored. */
  stateHash?: string
  /** What it gave, where `compare` was asked for: another one than `stateHash` if something is wrong. */
  restoredHash?: string
  seconds: number
}

export interface VerifyReport {
  ok: boolean
  position: number
  frames: number
  events: number
  /** Of the files that were checked, beside frames and rows. */
  bytes: number
  problems: { part: string; reason: string; from?: number; to?: number }[]
  seconds: number
}

export interface RepairOptions extends LongOptions {
  /** Finds out what is lost and changes nothing. */
  dryRun?: boolean
}

export interface RepairReport {
  /** `false`: the log was whole, or it was a dry run. */
  changed: boolean
  /** The head behind the repair. */
  position: number
  /** Intact frames, and the events in them. */
  frames: number
  events: number
  eventsLost: number
  /** Positions whose events are lost. A gap frame stands for each in the log. */
  lost: { from: number; to: number; reason: string }[]
  /**
   * Files of the log with damaged parts; and derived files and directories that are not what they should
   * be, with their path, such as a directory in the place of `tables/CURRENT`.
   */
  files: { file: string; reason: string }[]
  /**
   * Set if the declaration of vectors was lost: where it was found before it was put at the end of
   * the log. The files of `vectors` name no model. `lost`: found nowhere, declare it at the next open.
   */
  declaration: 'tables' | 'vectors' | 'lost' | undefined
  /**
   * Checkpoints of subscriptions that were damaged, or that a subscription would refuse, by `name`; by
   * their file where that cannot be read. One that is `kept` goes on from what is whole of it, and
   * events may be delivered again. The others were put aside: subscribe from where the handler has come.
   */
  subscriptions: { name: string; file: string; reason: string; kept: boolean }[]
  /** Where the damaged log, HEAD, tables, vectors and checkpoints were put. */
  aside: string | undefined
  seconds: number
}

export interface ConceptRecord {
  kind: 'concept'
  id?: string
  key?: string
  type?: string | null
  /** May be absent for a stub. */
  content?: string
  data?: Uint8Array | string | null
  metadata?: object | null
  embedding?: Float32Array | readonly number[] | null
  strength?: number
  confidence?: number
  stub?: boolean
}

export interface AssociationRecord {
  kind: 'association'
  source?: string
  sourceKey?: string
  target?: string
  targetKey?: string
  type: string
  key?: string
  strength?: number
  confidence?: number
  metadata?: object | null
}

export type ImportRecord = ConceptRecord | AssociationRecord

export interface ImportProgress {
  records: number
  concepts: number
  associations: number
  rejected: number
  /** Bytes read of all sources; `bytesTotal` is known for files alone. */
  bytes: number
  bytesTotal?: number
  /** Lately; `seconds` tells the average. */
  recordsPerSecond: number
  /** About how long it will take; known once something of sources of known size was read. */
  secondsLeft?: number
  seconds: number
}

export interface CsvImportOptions {
  /** One character. Default: a tab for files named `.tsv`, else a comma. */
  delimiter?: string
  /** One character, or empty where quotes are text like any other. Default `"`. */
  quote?: string
  /** The field that a column holds, by the column's name; `null` leaves the column out. */
  columns?: Record<string, string | null>
  /** Default `true`: the first row names the columns. Names: there is no such row. */
  header?: boolean | readonly string[]
  /** What becomes of columns that name no field. Default `'metadata'`. */
  other?: 'metadata' | 'ignore' | 'refuse'
}

export interface NTriplesImportOptions {
  /** Predicates whose literals may become the content, the preferred first. */
  content?: readonly string[]
  /** Languages of the content, the preferred first; '' is a literal without one. */
  languages?: readonly string[]
  /** Namespaces by the prefix that shortens them, besides those that everybody knows. */
  prefixes?: Record<string, string>
  /** Type of concepts that have no `rdf:type`. */
  type?: string
  /** Where triples wait until all of them are read. Default: the system's own place. */
  tempDirectory?: string
}

export interface ImportOptions extends ReadOptions {
  format?: 'jsonl' | 'csv' | 'ntriples' | 'parquet' | 'arrow'
  csv?: CsvImportOptions
  ntriples?: NTriplesImportOptions
  map?: (row: unknown) => ImportRecord | ImportRecord[] | undefined
  createMissing?: boolean
  ifExists?: IfExists
  /** Stops at the first bad line with `IMPORT_LINE_INVALID`. */
  strict?: boolean
  /** Gets every rejected line, with its number and reason, as JSON Lines. */
  rejectFile?: string
  /** Checks everything and writes nothing but the `rejectFile`. */
  dryRun?: boolean
  durability?: Durability
  onProgress?: (progress: ImportProgress) => void
  /**
   * How many records an association waits for the concepts at its ends. Default 100 000, or 0 when
   * `strict`; never longer than for 64 MiB of the source. What waits is held in memory, and takes
   * effect behind the records it waited for. Then it is rejected, or its ends are made by
   * `createMissing`.
   */
  window?: number
  /**
   * Names this import, so that one that was cut off, by whatever, goes on where it was when it is
   * started again with the same source and options: nothing twice, nothing left out. Once it is
   * through, starting it again does nothing. Another source is `IMPORT_SOURCE_CHANGED`.
   */
  resumeKey?: string
}

export interface ExportOptions extends ReadOptions {
  /** Default `'jsonl'`. */
  format?: 'jsonl' | 'csv' | 'ntriples' | 'parquet' | 'arrow'
  /** Namespaces by the prefix that names begin with, as the import that made them was told. */
  ntriples?: Pick<NTriplesImportOptions, 'prefixes'>
  /** Concepts of these types alone, and the associations among them. */
  types?: readonly string[]
  /** `false` leaves out associations. Default `true`. */
  associations?: boolean
  /** `false` leaves out embeddings. Default `true`. */
  vectors?: boolean
  onProgress?: (progress: ExportProgress) => void
}

export interface ExportProgress {
  /** Concepts and associations. */
  records: number
  /** Unknown where only some types are exported. */
  recordsTotal?: number
  concepts: number
  associations: number
  /** Written so far, before any compression. */
  bytes: number
  seconds: number
}

export type ImportSource =
  | string
  | readonly string[]
  | AsyncIterable<ImportRecord | Uint8Array>
  | Iterable<ImportRecord>

export interface ImportReport {
  records: number
  concepts: number
  associations: number
  /** The first 1 000 rejected lines; `rejectFile` gets all of them. */
  rejected: { line: number; reason: string }[]
  rejectedCount: number
  seconds: number
  position: number
  /** With `resumeKey`: how many of the records earlier runs had done. */
  resumedFrom?: number
  /** With `resumeKey`: that there was nothing left to do. */
  alreadyImported?: boolean
}

export interface Store<S extends Schema = Schema> extends Reader<S>, AsyncDisposable {
  readonly directory: string
  /** Position of the last acknowledged event. Sync. */
  readonly head: number
  readonly limits: Readonly<Limits>
  /** What is done to projections of the program's own as a whole. */
  readonly projections: Projections

  learn(concept: NewConcept<S>, options?: CommitOptions): Promise<Receipt>
  associate(association: NewAssociation<S>, options?: CommitOptions): Promise<Receipt>
  reinforce(target: Target<S>, change: Reinforcement, options?: CommitOptions): Promise<Receipt>
  revise(
    target: Target<S>,
    patch: ConceptPatch<S> | AssociationPatch,
    options?: CommitOptions
  ): Promise<Receipt>
  forget(id: IdInput, options?: CommitOptions): Promise<Receipt>
  dissociate(ref: AssociationRef<S>, options?: CommitOptions): Promise<Receipt>
  commit(commands: readonly Command<S>[], options?: CommitOptions): Promise<Receipt>

  /**
   * Resolves once a commit would not have to wait, so that whoever can pause pauses before it does:
   * at once while the queue, with what waits for the writer, is below its early warning
   * (`pipeline.warnAt`), vectors that wait for the index, with those of commits under way, are below the
   * same share of their limit, and the disk is above its reserve. Who asked first hears of it first. It reserves nothing.
   *
   * @throws StoreError `PROJECTION_STOPPED` if it never will be, `STORE_POISONED`, `DISK_LOW`,
   *   `STORE_READ_ONLY`, `STORE_CLOSED`, `ABORTED`.
   */
  ready(options?: ReadOptions): Promise<void>

  view(): Promise<View<S>>
  /** Resolves once every projection holds the events up to `position` (default: the head). */
  caughtUp(position?: number, options?: ReadOptions): Promise<void>

  events(options?: EventsOptions): AsyncIterable<StoredEvent>
  events$(options?: EventsOptions): Observable<StoredEvent>
  /**
   * Delivers events to a handler, each at least once, in order, from where the subscription of this name
   * was before: after a restart or a crash too. Resolves when it has begun.
   *
   * @throws StoreError `SUBSCRIPTION_ACTIVE`, `SUBSCRIPTION_DAMAGED`, `SUBSCRIPTION_DIVERGED`,
   *   `OPTION_INVALID`, `QUERY_INVALID`, `ID_INVALID`, `ABORTED`, `STORE_READ_ONLY`, `STORE_CLOSED`,
   *   `IO_FAILED`.
   */
  subscribe(
    name: string,
    options: SubscribeOptions & { batch: number },
    handler: BatchHandler
  ): Promise<Subscription>
  subscribe(
    name: string,
    options: SubscribeOptions & { batch?: undefined },
    handler: EventHandler
  ): Promise<Subscription>
  /**
   * Closes a subscription and forgets how far it was. Resolves with whether there was one. Must not be
   * awaited in a handler.
   *
   * @throws StoreError `OPTION_INVALID`, `STORE_READ_ONLY`, `STORE_CLOSED`, `IO_FAILED`.
   */
  unsubscribe(name: string): Promise<boolean>
  /** Every subscription that the store knows, those without a handler too. */
  subscriptions(): Promise<SubscriptionInfo[]>
  readonly telemetry$: Observable<TelemetryEvent>
  /**
   * Telemetry that was kept (`telemetry.store`), oldest first. What happens too often is kept as sums
   * (`summary`), statistics once a minute, all else as it was told, up to a hundred of a kind in the time
   * of one sum.
   *
   * @throws StoreError `STORE_NOT_FOUND` where none is kept, `QUERY_INVALID`, `STORE_CLOSED`, `ABORTED`,
   *   and what opening a part of it throws.
   */
  storedTelemetry(options?: StoredTelemetryOptions): AsyncIterable<TelemetryEvent>
  stats(): Stats
  metrics(): string

  rebuild(options?: LongOptions & { projections?: readonly string[] }): Promise<void>
  verify(options?: LongOptions): Promise<VerifyReport>
  /** Measures the recall of searches; `ef: { recall }` goes by the last report. */
  checkVectors(options?: CheckVectorsOptions): Promise<RecallReport>
  /** Copies the store as it is now, or what is new since the older backup in the directory. */
  backup(directory: string, options?: BackupOptions): Promise<BackupReport>
  import(source: ImportSource, options?: ImportOptions): Promise<ImportReport>
  /** Syncs the log, brings every projection up to the head and saves the vector index. */
  checkpoint(): Promise<void>
  /**
   * Waits for what is acknowledged, and five seconds at most for each kind of the program's own code:
   * handlers of subscriptions, then `apply` and queries of projections. What does not end by then is
   * told as `close-gave-up`; its event counts as not handled, and is given again after the next open.
   */
  close(): Promise<void>
}

// ---- Looking on from another process

/** How the process fares that has a store open. */
export interface ProcessStats {
  pid: number
  /** Milliseconds since the thread that has the store open began, on a clock that never goes back. */
  uptimeMs: number
  /** Processor time of all threads since the process began, in milliseconds. */
  cpuMs: number
  rssBytes: number
  heapUsedBytes: number
  heapTotalBytes: number
  /** Memory outside the heap that belongs to objects inside, such as buffers. */
  externalBytes: number
  /** Since this connection asked before; delays are 0 the first time. */
  eventLoop: {
    /** Share of the time that the loop was busy, 0 to 1. */
    utilization: number
    /** How late timers of the loop were. */
    p50Ms: number
    p99Ms: number
    maxMs: number
  }
}

export interface StoredTelemetryOptions extends ReadOptions {
  /** Events from then on: milliseconds since 1970, or a date. Default: as far back as is kept. */
  since?: number | Date
  /** Events until then. */
  until?: number | Date
  /**
   * Only these kinds; default: all. A name stands for the kinds that begin with it too, as `alert` for
   * `alert-raised` and `alert-cleared`; sums are found by the kind that they sum up.
   * One that stands for none is refused.
   */
  types?: readonly string[]
  /** Events at most. */
  limit?: number
  /** Goes on with what is kept later, within a second or two, until the store closes. Default `false`. */
  live?: boolean
  /** Told of a part that cannot be read, which is passed over then. Absent: reading ends with the error. */
  onUnreadable?: (segment: string, error: Error) => void
}

export interface FollowTelemetryOptions extends ReadOptions {
  /** Only these types; default: all. */
  types?: readonly TelemetryEvent['type'][]
  /** Told how many events were left out, because they were not taken as fast as they came. */
  onDropped?: (events: number) => void
}

/**
 * A store that another process has open, seen through its socket. Promises reject with what the store
 * rejects with; with `ATTACH_UNAVAILABLE` once the connection is lost, and `STORE_CLOSED` when either
 * side has closed. Streams end when the store closes.
 */
export interface Attached extends AsyncDisposable {
  readonly directory: string
  /** Of the process that has the store open. */
  readonly pid: number
  /** 32 hex digits; the store keeps them for life. */
  readonly storeId: string
  stats(options?: ReadOptions): Promise<Stats>
  process(options?: ReadOptions): Promise<ProcessStats>
  counts(options?: ReadOptions): Promise<Counts>
  /** In the text format of Prometheus. */
  metrics(options?: ReadOptions): Promise<string>
  /** As `events` of the store; what is read slowly costs the other process no memory. */
  events(options?: EventsOptions): AsyncIterable<StoredEvent>
  /** From now on. Telemetry tells of the present: what has no room to wait is dropped and counted. */
  telemetry(options?: FollowTelemetryOptions): AsyncIterable<TelemetryEvent>
  /** As `storedTelemetry` of the store. */
  storedTelemetry(options?: StoredTelemetryOptions): AsyncIterable<TelemetryEvent>
  close(): Promise<void>
}

export type OpenStore = <S extends Schema = Schema>(
  directory: string,
  options?: StoreOptions
) => Promise<Store<S>>
