import { isStoreError, throwIfAborted } from '../errors.ts'
import type { ConceptId } from '../ids.ts'
import { checkOptions, checkWhole, queryInvalid } from '../query/read-options.ts'
import { TELEMETRY_KINDS } from '../telemetry/kinds.ts'
import type { TelemetryEvent } from '../telemetry/types.ts'
import type { Concept, Store, StoredTelemetryOptions, Where } from '../types.ts'
import type { Kept } from './layout.ts'
import type { SegmentPool } from './pool.ts'
import { MINUTE, minuteOf, toEvents } from './record.ts'

const NAMES = ['since', 'until', 'types', 'limit', 'live', 'onUnreadable']
/** Read at once: few enough for memory, though each may hold all statistics. */
const PAGE = 256
/** Events may wait before they are written, so a segment may hold some from before it was made. */
const LATE_MS = 60 * 60 * 1000
/** Farther from 1970 there are no dates. */
const TIME_MAX = 8.64e15

interface Query {
  readonly since: number
  readonly until: number
  readonly types: readonly string[] | undefined
  readonly limit: number
  readonly live: boolean
  readonly signal: AbortSignal | undefined
  readonly onUnreadable: StoredTelemetryOptions['onUnreadable']
}

/** How far reading has come: the segment, and the last concept in it. */
export interface Place {
  segment: string
  after: ConceptId | undefined
}

/** @throws StoreError `QUERY_INVALID`. */
export function checkQuery(options: StoredTelemetryOptions): Query {
  checkOptions(options, NAMES)
  const { types, live = false, onUnreadable, signal } = options
  if (types !== undefined && !(Array.isArray(types) && Array.from(types).every(isName))) {
    throw queryInvalid('types', types, 'an array of non-empty strings')
  }
  const unknown = types?.find((type) => !TELEMETRY_KINDS.some((kind) => isKind(kind, type)))
  if (unknown !== undefined) throw queryInvalid('types', unknown, 'kinds of telemetry')
  if (typeof live !== 'boolean') throw queryInvalid('live', live, 'true or false')
  if (onUnreadable !== undefined && typeof onUnreadable !== 'function') {
    throw queryInvalid('onUnreadable', onUnreadable, 'a function')
  }
  const limit = checkWhole('limit', options.limit, 1, Number.MAX_SAFE_INTEGER)
  return {
    since: timeOf('since', options.since) ?? Number.NEGATIVE_INFINITY,
    until: timeOf('until', options.until) ?? Number.POSITIVE_INFINITY,
    types,
    limit: limit ?? Number.POSITIVE_INFINITY,
    live,
    signal,
    onUnreadable
  }
}

/**
 * Events of all segments, in the order in which they were written, and moves the place along.
 *
 * @throws StoreError what opening a segment throws, unless the caller wants to be told instead.
 */
export async function* readSegments(
  pool: SegmentPool,
  query: Query,
  place: Place
): AsyncGenerator<TelemetryEvent, void> {
  for (const name of wanted(await pool.list(), query, place)) {
    throwIfAborted(query.signal, 'storedTelemetry')
    let store: Store
    try {
      store = await pool.borrow(name)
    } catch (error) {
      // It was removed for its age a moment ago, or its maker died before it was a store.
      if (isStoreError(error, 'STORE_NOT_FOUND')) continue
      if (query.onUnreadable === undefined || !(error instanceof Error)) throw error
      query.onUnreadable(name, error)
      continue
    }
    try {
      if (place.segment !== name) place.after = undefined
      place.segment = name
      yield* readSegment(store, query, place)
    } finally {
      await pool.giveBack(name)
    }
  }
}

/** A page at a time: nothing is held open while the caller thinks. */
async function* readSegment(
  store: Store,
  query: Query,
  place: Place
): AsyncGenerator<TelemetryEvent, void> {
  for (;;) {
    const where = await filterOf(store, query)
    if (where === undefined) return
    const page = await pageBehind(store, where, place.after, query.signal)
    for (const concept of page) {
      for (const event of toEvents(concept)) if (isWanted(event, query)) yield event
      place.after = concept.id
    }
    if (page.length < PAGE) return
  }
}

async function pageBehind(
  store: Store,
  where: Where,
  after: ConceptId | undefined,
  signal: AbortSignal | undefined
): Promise<Concept[]> {
  const options = {
    where,
    limit: PAGE,
    ...(after === undefined ? {} : { after }),
    ...(signal === undefined ? {} : { signal })
  }
  const page: Concept[] = []
  for await (const concept of store.concepts(options)) page.push(concept)
  return page
}

/** What the segment can tell by its indexes; `undefined`: it holds nothing that is wanted. */
async function filterOf(store: Store, { since, until, types }: Query): Promise<Where | undefined> {
  const parts: Where[] = []
  if (since > -TIME_MAX) parts.push({ [MINUTE]: { gte: minuteOf(since) } })
  if (until < TIME_MAX) parts.push({ [MINUTE]: { lte: minuteOf(until) } })
  // Sums have the type of what they sum up, so whoever wants all of them looks at everything.
  if (types !== undefined && !types.includes('summary')) {
    const { types: counted } = await store.counts()
    const kinds = Object.keys(counted).filter((kind) => types.some((type) => isKind(kind, type)))
    if (kinds.length === 0) return undefined
    parts.push({ '@type': { in: kinds } })
  }
  return { and: parts }
}

/** A name stands for itself and for all names that go on behind it: `alert` for `alert-raised`. */
function isKind(kind: string, type: string): boolean {
  return kind === type || kind.startsWith(`${type}-`)
}

function isWanted(event: TelemetryEvent, { since, until, types }: Query): boolean {
  if (event.time < since || event.time > until) return false
  if (types === undefined) return true
  const kinds = event.type === 'summary' ? [event.type, event.of] : [event.type]
  return kinds.some((kind) => types.some((type) => isKind(kind, type)))
}

function wanted(segments: readonly Kept[], { since, until }: Query, place: Place): string[] {
  return segments
    .filter((segment, at) => {
      const next = segments[at + 1]
      // What a segment holds happened before the next one was begun.
      const isOver = next !== undefined && next.since < since
      return !isOver && segment.since - LATE_MS <= until && segment.name >= place.segment
    })
    .map(({ name }) => name)
}

function isName(type: unknown): boolean {
  return typeof type === 'string' && type !== ''
}

function timeOf(option: string, value: unknown): number | undefined {
  if (value === undefined) return undefined
  const time = value instanceof Date ? value.getTime() : value
  if (typeof time === 'number' && Math.abs(time) <= TIME_MAX) return time
  throw queryInvalid(option, value, 'a date, or milliseconds since 1970')
}
