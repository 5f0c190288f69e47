/**
 * Streams of stored events. Whoever subscribes reads from the log with a cursor of its own: what
 * was missed is caught up with, then what comes is followed, by the same loop, so that nothing is
 * skipped or told twice where the two meet, and a slow reader costs no memory.
 */

import { StoreError, show, throwIfAborted } from '../errors.ts'
import { ConceptId, idInvalid, isConceptId } from '../ids.ts'
import type { Frame } from '../log/frame.ts'
import type { EventLog } from '../log/log.ts'
import { isAbout, toStoredEvent } from '../log/stored-event.ts'
import { Observable } from '../rxjs.ts'
import { STRETCH_MS, turn } from '../turn.ts'
import type { EventsOptions, StoredEvent } from '../types.ts'
import { Members } from './members.ts'

export interface EventQuery {
  from: number
  to: number
  types: ReadonlySet<string> | undefined
  concept: ConceptId | undefined
  live: boolean
}

const NAMES = ['from', 'to', 'types', 'concept', 'live', 'signal']

/** @param closing Fires when the store closes: live streams end then. */
export function readEvents(
  log: EventLog,
  options: EventsOptions,
  closing: AbortSignal
): AsyncIterableIterator<StoredEvent> {
  return new Members(readFrames(log, options, closing))
}

/** The events of a frame at a time. */
async function* readFrames(
  log: EventLog,
  options: EventsOptions,
  closing: AbortSignal
): AsyncGenerator<Iterator<StoredEvent>> {
  const query = checkQuery(options, false)
  const { signal } = options
  throwIfAborted(signal, 'events')
  if (query.to < query.from) return
  const stop = signal === undefined ? closing : AbortSignal.any([signal, closing])
  const frames = query.live ? log.tail(query.from, stop) : log.read(query.from)
  let began = performance.now()
  for await (const frame of frames) {
    if (frame.first > query.to) return
    yield eventsOf(frame, query, signal)
    if (frame.last >= query.to) return
    if (performance.now() - began >= STRETCH_MS) {
      await turn()
      began = performance.now()
    }
  }
  throwIfAborted(signal, 'events')
}

function* eventsOf(
  { commits }: Frame,
  { from, to, types, concept }: EventQuery,
  signal: AbortSignal | undefined
): Generator<StoredEvent> {
  for (const commit of commits) {
    const { first, events } = commit
    for (const [index, event] of events.entries()) {
      const position = first + index
      if (position < from) continue
      if (position > to) return
      if (types !== undefined && !types.has(event.type)) continue
      if (concept !== undefined && !isAbout(event, concept)) continue
      yield toStoredEvent(commit, index, event)
      throwIfAborted(signal, 'events')
    }
  }
}

/**
 * What `read` reads as an Observable: cold, live by default; unsubscribing ends its reading.
 */
export function observeEvents(
  options: EventsOptions,
  read: (options: EventsOptions) => AsyncIterable<StoredEvent>
): Observable<StoredEvent> {
  const query = checkQuery(options, true)
  return new Observable((subscriber) => {
    const unsubscribed = new AbortController()
    const { signal: given, ...rest } = options
    const signal =
      given === undefined ? unsubscribed.signal : AbortSignal.any([given, unsubscribed.signal])
    const pump = async (): Promise<void> => {
      const events = read({ ...rest, live: query.live, signal })
      for await (const event of events) subscriber.next(event)
    }
    pump().then(
      () => subscriber.complete(),
      // Unsubscribing aborts the reading: nobody is left to hear of that.
      (error: unknown) => unsubscribed.signal.aborted || subscriber.error(error)
    )
    return () => unsubscribed.abort()
  })
}

/** @throws StoreError `QUERY_INVALID`, `ID_INVALID`. */
export function checkQuery(options: EventsOptions, live: boolean): EventQuery {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`'options' must be an object, received ${show(options)}`)
  }
  for (const name of Object.keys(options)) {
    if (!NAMES.includes(name)) throw invalid(name, 'present', 'absent: no such option')
  }
  const { types, signal } = options
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError(`'signal' must be an AbortSignal, received ${show(signal)}`)
  }
  if (types !== undefined && !isNames(types)) {
    throw invalid('types', types, 'an array of types of events that is not empty')
  }
  if (options.live !== undefined && typeof options.live !== 'boolean') {
    throw invalid('live', options.live, 'true or false')
  }
  return {
    // An empty store has its head at 0.
    from: Math.max(1, position('from', options.from) ?? 1),
    to: position('to', options.to) ?? Number.POSITIVE_INFINITY,
    types: types === undefined ? undefined : new Set(types),
    concept: conceptOf(options.concept),
    live: options.live ?? live
  }
}

/** With none, nothing would ever come: whoever made such a list meant something else. */
function isNames(types: unknown): boolean {
  if (!Array.isArray(types) || types.length === 0) return false
  return Array.from(types).every((type) => typeof type === 'string' && type !== '')
}

function conceptOf(concept: EventsOptions['concept']): ConceptId | undefined {
  if (concept === undefined) return undefined
  if (typeof concept === 'object' && typeof concept?.key === 'string') {
    return ConceptId.fromKey(concept.key)
  }
  if (isConceptId(concept)) return concept
  throw idInvalid(concept)
}

function position(option: string, value: unknown): number | undefined {
  if (value === undefined) return undefined
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number
  throw invalid(option, value, 'a position: a whole number from 1')
}

function invalid(option: string, received: unknown, expected: string): StoreError<'QUERY_INVALID'> {
  const message = `'${option}' must be ${expected}, received ${show(received)}`
  return new StoreError('QUERY_INVALID', message, { option, received, expected })
}
