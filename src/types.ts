/** The types of the public API. API.md of the project is their contract. */
import type { Observable } from 'rxjs'
import type { ConceptId, IdInput } from './ids.ts'
import type { Limits, StoreOptions } from './options.ts'
import type {
  RecallReport,
  Stats,
  SubscriptionState,
  SubscriptionStats,
  TelemetryEvent
} from './telemetry/types.ts'

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

export interface ReadOptions {
  signal?: AbortSignal
}

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

// ---- Events

export type EventType =
  | 'concept-learned'
  | 'concept-reinforced'
  | 'concept-revised'
  | 'concept-forgotten'
  | 'association-created'
  | 'association-reinforced'
  | 'association-revised'
  | 'association-removed'
  | 'vectors-declared'
  | 'commit-noted'
  | 'event-quarantined'
  | 'event-released'

export interface StoredEvent {
  position: number
  /** Milliseconds since 1970; never decreases along the log. */
  time: number
  type: EventType | (string & {})
  /** Version of the event's shape. */
  version: number
  data: Record<string, unknown>
  commit: { first: number; last: number }
  subject?: string
  causation?: string
  correlation?: string
  headers?: Record<string, string>
}

export interface EventsOptions extends ReadOptions {
  /** First position wanted; default 1. */
  from?: number
  /** Last position wanted. */
  to?: number
  types?: readonly string[]
  concept?: IdInput
  /** Goes on with what is committed later. Default `false` for `events`, `true` for `events$`. */
  live?: boolean
}

// ---- Projections of your own

export interface ConceptEventData {
  id: ConceptId
  /** Of the concept, from 1 on. */
  version: number
  /** Whether it was not there before, or had been forgotten. */
  created: boolean
  /** What is absent was not changed; `null` was cleared. */
  key?: string
  type?: string | null
  content?: string
  data?: Uint8Array | null
  strength?: number
  confidence?: number
  /** All of it, after any merge. */
  metadata?: Record<string, unknown> | null
  embedding?: Float32Array | null
  space?: string
  stub?: boolean
}

export interface AssociationRemovedData {
  source: ConceptId
  sourceKey?: string
  target: ConceptId
  targetKey?: string
  type: string
  key?: string
  version: number
}

export interface AssociationEventData extends AssociationRemovedData {
  created: boolean
  strength?: number
  confidence?: number
  metadata?: Record<string, unknown> | null
}

/** What `data` of an event holds, by the event's type. */
export interface EventDataByType {
  'concept-learned': ConceptEventData
  'concept-reinforced': ConceptEventData
  'concept-revised': ConceptEventData
  'concept-forgotten': { id: ConceptId; version: number; key?: string }
  'association-created': AssociationEventData
  'association-reinforced': AssociationEventData
  'association-revised': AssociationEventData
  'association-removed': AssociationRemovedData
}

/** A stored event with the data of its type. */
export type TypedEvent<T extends EventType = EventType> = {
  [K in T]: Omit<StoredEvent, 'type' | 'data'> & {
    type: K
    data: K extends keyof EventDataByType ? EventDataByType[K] : Record<string, unknown>
  }
}[T]

export type RowKeyPart = string | number

/**
 * Numbers come before strings, strings before arrays. Strings are in the order of their code
 * points; arrays in that of their members. At most 1 KiB, encoded.
 */
export type RowKey = RowKeyPart | readonly RowKeyPart[]

export interface RowRange<K extends RowKey = RowKey> {
  gt?: K
  gte?: K
  lt?: K
  lte?: K
  /** Of arrays that begin with these members, or of strings that begin so. */
  prefix?: string | readonly RowKeyPart[]
  reverse?: boolean
  limit?: number
}

/** The rows of a projection, for as long as the call lasts that got them. */
export interface RowReader<K extends RowKey = RowKey, V = unknown> {
  /** A copy. Sync: 5 to 10 µs for a row in a cache. */
  get(key: K): V | undefined
  /** In the order of keys, as they were when the first was asked for. */
  range(range?: RowRange<K>): AsyncIterable<[key: K, value: V]>
}

export interface Rows<K extends RowKey = RowKey, V = unknown> extends RowReader<K, V> {
  /** The value is copied. Whatever MessagePack holds but `undefined`; at most 1 MiB, encoded. */
  put(key: K, value: V): void
  del(key: K): void
}

export type ProjectionQueries<K extends RowKey = RowKey, V = unknown> = Readonly<
  Record<string, (rows: RowReader<K, V>, ...args: never[]) => unknown>
>

/** The same queries without their first parameter: each answers at one position. */
export type BoundQueries<Q> = {
  readonly [N in keyof Q]: Q[N] extends (rows: never, ...args: infer A) => infer R
    ? (...args: A) => Promise<Awaited<R>>
    : never
}

/**
 * Rows that follow from the events of the log, and the questions that they answer. Whoever names
 * `rows` in `apply` as `Rows<[day: string, type: string], number>` says what the rows are.
 */
export interface ProjectionDefinition<
  T extends EventType = EventType,
  K extends RowKey = RowKey,
  V = unknown,
  Q = ProjectionQueries<K, V>
> {
  /** Names its directory: lower-case letters, digits and `-`, at most 64. */
  readonly name: string
  /** A whole number from 1. With another one than the rows were made by, they are made anew. */
  readonly version: number
  /** Events that `apply` is given. Default: all of them. */
  readonly types?: readonly T[]
  /** The rows there are before the first event. */
  init?(rows: Rows<K, V>): void | Promise<void>
  /**
   * Changes rows by one event, in the order of the log. Must follow from the event and the rows
   * alone: no clock, no chance, nothing from outside. Async only to read ranges: one that never
   * settles holds up `close`. When it throws, the projection stops in front of that event, visibly;
   * the store and others go on.
   */
  apply(event: TypedEvent<T>, rows: Rows<K, V>): void | Promise<void>
  readonly queries?: Q
  /**
   * The definition of an older version: it answers until this one has caught up, queries of the
   * same name in place of those here.
   */
  readonly previous?: PreviousProjection<Q>
  /** Whether this one takes over once it has caught up, or when it is told to. Default `'auto'`. */
  readonly promote?: 'auto' | 'manual'
}

/** What it shares with the newer one answers alike. */
export interface PreviousProjection<Q> {
  readonly name: string
  readonly version: number
  readonly queries?: { readonly [N in keyof Q]?: AnswersAlike<Q[N]> } & Readonly<
    Record<string, unknown>
  >
}

type AnswersAlike<F> = F extends (rows: never, ...args: infer A) => infer R
  ? (rows: never, ...args: A) => Awaited<R> | Promise<Awaited<R>>
  : never

/** A definition, whatever its events and rows are. */
export interface QueriedProjection<Q> {
  readonly name: string
  readonly version: number
  readonly queries?: Q
}

export interface ProjectionReadOptions extends ReadOptions {
  /**
   * What a query does while the rows are being built for the first time or are far behind: waits
   * until they are there, or fails with `PROJECTION_BUILDING`. Default `'wait'`.
   */
  building?: 'wait' | 'fail'
}

export interface ProjectionBuild {
  version: number
  /** `ready`: it has caught up and waits for `promote`. */
  state: 'building' | 'ready' | 'stopped'
  position: number
  /** 0 to 1. */
  progress: number
  error?: string
}

export interface ProjectionStatus {
  name: string
  /** Of the rows that answer; absent in a read-only store without any. */
  version?: number
  state: 'running' | 'building' | 'stopped' | 'missing'
  position: number
  head: number
  /** 0 to 1. */
  progress: number
  error?: string
  /** The next generation of the rows, which is built beside the one that answers. */
  build?: ProjectionBuild
}

export interface ProjectionDifference {
  key: RowKey
  /** Absent where there is no such row. */
  before?: unknown
  after?: unknown
}

export interface ProjectionComparison {
  /** Both sides were read at this position. */
  position: number
  /** Versions of the definitions. */
  before: number
  after: number
  same: number
  added: number
  removed: number
  changed: number
  /** The first of them, in the order of keys. */
  differences: ProjectionDifference[]
}

export interface CompareOptions extends ReadOptions {
  /** How many differences are told. Default 100. */
  limit?: number
}

/** What is done to projections as a whole. They are named as they were declared. */
export interface Projections {
  /** Sync. */
  list(): ProjectionStatus[]
  /** Equal for equal rows of one version, however and whenever they were made. */
  hash(name: string, options?: ReadOptions): Promise<{ position: number; hash: string }>
  /** The rows that answer beside those of the build, at one position. Waits for the build. */
  compare(name: string, options?: CompareOptions): Promise<ProjectionComparison>
  /** Resolves when the build has caught up and answers. */
  promote(name: string, options?: ReadOptions): Promise<void>
  /** Ends the build and removes it. One of another version begins again at the next open. */
  cancel(name: string): Promise<void>
  /** Removes the rows of a projection that was not declared when the store was opened. */
  drop(name: string): Promise<void>
}

// ---- Subscriptions

export interface SubscribeOptions {
  /**
   * Where a subscription of this name begins the first time: with the first event, with what comes
   * from now on, or with a position. Later it goes on where it was. Default `'start'`.
   */
  from?: 'start' | 'now' | number
  /**
   * Types of events to deliver. Default: all but `event-quarantined` and `event-released`. Like
   * `concept`, it may differ at every call: what was passed over before does not come back.
   */
  types?: readonly string[]
  /** Events about this concept alone: it, and its associations. */
  concept?: IdInput
  /** Absent: the handler gets one event. Else a list of so many at most, 1 to 1000. */
  batch?: number | undefined
  /**
   * The last position that the handler's own storage holds; `undefined` where it holds none yet. It
   * counts for more than the checkpoint of the store: with it, a handler that writes its effect and
   * the position in one transaction has each event exactly once.
   */
  resumeAfter?: () => number | undefined | Promise<number | undefined>
  /**
   * After how many events handled the checkpoint is written, so that it survives the process (default
   * 1), and after how many milliseconds it survives a power cut (default 1000).
   */
  checkpointEvery?: { events?: number; ms?: number }
  /**
   * How often (default 10, or `Infinity`) and how long after a failure the handler gets the event
   * again: `firstMs` (100), then twice as long each time up to `maxMs` (30 000), less a share by chance
   * of up to `jitter` (0.2). Without jitter, ten retries take 81 seconds.
   */
  retry?: { times?: number; firstMs?: number; maxMs?: number; jitter?: number }
  /**
   * Events that may be in quarantine, 0 to 1000, default 100. One more stops the subscription in front
   * of it. 0: it stops at the first event that its handler cannot do.
   */
  quarantineMax?: number
  /** Ends the subscription, as `close` does. */
  signal?: AbortSignal
}

/** What a handler is told beside the event. */
export interface Delivery {
  subscription: string
  /** 1 for the first time that this process delivers it. */
  attempt: number
  /**
   * Whether it may have been delivered before: it is tried again, was reset or taken from quarantine, or
   * the process died before and it was there then.
   */
  redelivered: boolean
  /** Fires when the subscription or the store closes. */
  signal: AbortSignal
  /** Ends the subscription behind this event. `close` must not be awaited in a handler. */
  stop(): void
}

/**
 * What it resolves with is ignored. Once it does, the event is done; if it rejects or throws, the event
 * is delivered again. One at a time, in the order of the log.
 */
export type EventHandler = (event: StoredEvent, delivery: Delivery) => unknown
export type BatchHandler = (events: StoredEvent[], delivery: Delivery) => unknown

export interface Subscription extends AsyncDisposable {
  readonly name: string
  readonly state: SubscriptionState
  /** Everything up to here is handled, passed over or in quarantine. */
  readonly position: number
  stats(): SubscriptionStats
  /**
   * Resolves when it was closed; rejects with `SUBSCRIPTION_STOPPED` when it stopped by itself. Need not
   * be looked at: the same is in `store.stats().subscriptions` and on `store.telemetry$`.
   */
  readonly done: Promise<void>
  /** No event is delivered until `resume`; a running handler goes on to its end. Not kept on disk. */
  pause(): void
  resume(): void
  /**
   * Resolves once everything up to `position` (default: the head) is handled.
   *
   * @throws StoreError `SUBSCRIPTION_STOPPED`, `OPTION_INVALID`, `ABORTED`.
   */
  caughtUp(position?: number, options?: ReadOptions): Promise<void>
  /**
   * Delivers again from a position on, from the start, or behind what `resumeAfter` says (the default; from
   * the start without it). Resolves when that is on the disk. What is in quarantine from there on
   * leaves it. Must not be awaited in a handler.
   *
   * @throws StoreError `SUBSCRIPTION_STOPPED`, `OPTION_INVALID`.
   */
  reset(to?: 'start' | 'now' | number): Promise<void>
  /** What is in quarantine, by position. */
  quarantined(): AsyncIterable<QuarantinedEvent>
  /**
   * Gives an event in quarantine to the handler once more, between two others, paused or not. Resolves
   * when it is handled and out of quarantine; rejects with what the handler rejects with.
   *
   * @throws StoreError `SUBSCRIPTION_STOPPED`, `OPTION_INVALID` where it is not in quarantine.
   */
  retry(position: number): Promise<void>
  /**
   * Takes an event out of quarantine for good, unhandled.
   *
   * @throws StoreError `SUBSCRIPTION_STOPPED`, `OPTION_INVALID` where it is not in quarantine.
   */
  discard(position: number): Promise<void>
  /** Resolves when the running handler has ended and the checkpoint is on the disk. */
  close(): Promise<void>
}

export interface QuarantinedEvent {
  position: number
  /** Position of the `event-quarantined` that says so. */
  noted: number
  /** The rest is absent where a repair of the log has lost it. In milliseconds since 1970. */
  time?: number
  attempts?: number
  error?: string
  event?: StoredEvent
}

/** What the store keeps about a subscription, whether or not it has a handler now. */
export interface SubscriptionInfo {
  /** Where its file is damaged, the name of that. */
  name: string
  /** `stopped`: it has no handler in this process. */
  state: SubscriptionState
  position: number
  lagEvents: number
  quarantined: number
  /** Why it cannot go on, if so. */
  error?: string
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
  /** Files of the log with damaged parts. */
  files: { file: string; reason: string }[]
  /**
   * Set if the declaration of vectors was lost: where it was found before it was put at the end of
   * the log. The files of `vectors` name no model. `lost`: found nowhere, declare it at the next open.
   */
  declaration: 'tables' | 'vectors' | 'lost' | undefined
  /** Where the damaged log, HEAD, tables and vectors were put. */
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
   * (`pipeline.warnAt`), vectors that wait for the index are below their limit and the disk is above
   * its reserve. Who asked first hears of it first. It reserves nothing.
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
   *   `OPTION_INVALID`, `QUERY_INVALID`, `ID_INVALID`, `STORE_READ_ONLY`, `STORE_CLOSED`, `IO_FAILED`.
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
   * (`summary`), statistics once a minute, all else as it was told.
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
