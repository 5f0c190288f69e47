/** Projections of a program's own, as the public API has them. */
import type { EventType, ReadOptions, StoredEvent } from './event-types.ts'
import type { ConceptId } from './ids.ts'

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
  /**
   * The value is copied, and comes back as it was: `null`, booleans, numbers (of zeros there is
   * one), well-formed text, bigints of 64 bits, dates, bytes and other typed arrays, arrays and plain
   * objects of these, nested at most 256 deep. `undefined` only as a member. At most 1 MiB, encoded.
   *
   * @throws TypeError for what could not be given back: maps, sets, functions, classes of your own.
   */
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
