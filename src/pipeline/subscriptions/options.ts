/** What a subscription is asked to do, checked once at the public border. */
import { StoreError, show } from '../../errors.ts'
import { optionInvalid } from '../../options.ts'
import type { SubscribeOptions } from '../../types.ts'
import { checkQuery, type EventQuery } from '../events.ts'
import { QUARANTINE_MAX } from './checkpoint.ts'

const NAME_BYTES_MAX = 128
const BATCH_MAX = 1000

export interface RetryPolicy {
  times: number
  firstMs: number
  maxMs: number
  /** Share of each delay that chance may take away, 0 to 1. */
  jitter: number
}

/** Which events are delivered; both `undefined`: all that are about knowledge. */
export type EventFilter = Pick<EventQuery, 'types' | 'concept'>

export interface SubscriptionSetup {
  name: string
  from: 'start' | 'now' | number
  filter: EventFilter
  /** `undefined`: the handler takes one event, not a list. */
  batch: number | undefined
  resumeAfter: SubscribeOptions['resumeAfter']
  checkpointEvery: { events: number; ms: number }
  retry: RetryPolicy
  quarantineMax: number
  signal: AbortSignal | undefined
}

const NAMES = [
  'from',
  'types',
  'concept',
  'batch',
  'resumeAfter',
  'checkpointEvery',
  'retry',
  'quarantineMax',
  'signal'
]

/** @throws StoreError `OPTION_INVALID`, `QUERY_INVALID`, `ID_INVALID`; TypeError. */
export function checkSubscription(name: string, options: SubscribeOptions): SubscriptionSetup {
  checkSubscriptionName(name)
  checkNames('options', options, NAMES)
  const { batch, resumeAfter, signal } = options
  if (resumeAfter !== undefined && typeof resumeAfter !== 'function') {
    throw new TypeError(`'resumeAfter' must be a function, received ${show(resumeAfter)}`)
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError(`'signal' must be an AbortSignal, received ${show(signal)}`)
  }
  return {
    name,
    from: checkFrom('from', options.from ?? 'start'),
    filter: checkFilter(options),
    batch: batch === undefined ? undefined : whole('batch', batch, 1, BATCH_MAX),
    resumeAfter,
    checkpointEvery: checkEvery(options.checkpointEvery ?? {}),
    retry: checkRetry(options.retry ?? {}),
    quarantineMax: whole('quarantineMax', options.quarantineMax ?? 100, 0, QUARANTINE_MAX),
    signal
  }
}

/** @throws StoreError `OPTION_INVALID`; TypeError. */
export function checkSubscriptionName(name: string): void {
  if (typeof name !== 'string') {
    throw new TypeError(`'name' must be a string, received ${typeof name}`)
  }
  const isName = name !== '' && name.isWellFormed() && !name.includes('\0')
  if (isName && Buffer.byteLength(name) <= NAME_BYTES_MAX) return
  throw optionInvalid('name', name, `well-formed text of 1 to ${NAME_BYTES_MAX} bytes`)
}

/** @throws StoreError `OPTION_INVALID` */
export function checkFrom(option: string, from: unknown): 'start' | 'now' | number {
  if (from === 'start' || from === 'now') return from
  if (Number.isSafeInteger(from) && (from as number) >= 1) return from as number
  throw optionInvalid(option, from, "'start', 'now' or a position: a whole number from 1")
}

/**
 * What the handler's own storage said.
 *
 * @throws StoreError `OPTION_INVALID`
 */
export function checkResumeAfter(position: unknown): number | undefined {
  if (position === undefined) return undefined
  return whole('resumeAfter', position, 0, Number.MAX_SAFE_INTEGER)
}

export function subscriptionStopped(
  subscription: string,
  position: number,
  reason: string,
  cause: unknown
): StoreError<'SUBSCRIPTION_STOPPED'> {
  const message = `Subscription '${subscription}' stopped behind position ${position}: ${reason}`
  const details = { subscription, position, reason }
  return new StoreError('SUBSCRIPTION_STOPPED', message, details, { cause })
}

/** @throws StoreError `QUERY_INVALID`, `ID_INVALID`. */
function checkFilter({ types, concept }: SubscribeOptions): EventFilter {
  const asked = {
    ...(types === undefined ? {} : { types }),
    ...(concept === undefined ? {} : { concept })
  }
  const wrong = Array.isArray(types)
    ? types.find((one) => typeof one !== 'string' || one === '')
    : undefined
  if (wrong !== undefined) throw optionInvalid('types', wrong, 'names of types of events')
  const query = checkQuery(asked, false)
  return { types: query.types, concept: query.concept }
}

function checkEvery(
  every: NonNullable<SubscribeOptions['checkpointEvery']>
): SubscriptionSetup['checkpointEvery'] {
  checkNames('checkpointEvery', every, ['events', 'ms'])
  return {
    events: whole('checkpointEvery.events', every.events ?? 1, 1, 1_000_000),
    ms: whole('checkpointEvery.ms', every.ms ?? 1000, 1, 3_600_000)
  }
}

function checkRetry(retry: NonNullable<SubscribeOptions['retry']>): RetryPolicy {
  checkNames('retry', retry, ['times', 'firstMs', 'maxMs', 'jitter'])
  const times = retry.times ?? 10
  const firstMs = whole('retry.firstMs', retry.firstMs ?? 100, 0, 3_600_000)
  const maxMs = whole('retry.maxMs', retry.maxMs ?? Math.max(30_000, firstMs), firstMs, 86_400_000)
  const jitter = retry.jitter ?? 0.2
  if (typeof jitter !== 'number' || !(jitter >= 0 && jitter <= 1)) {
    throw optionInvalid('retry.jitter', jitter, 'a number from 0 to 1')
  }
  const isForever = times === Number.POSITIVE_INFINITY
  return {
    times: isForever ? times : whole('retry.times', times, 0, 1_000_000),
    firstMs,
    maxMs,
    jitter
  }
}

function whole(option: string, value: unknown, min: number, max: number): number {
  if (Number.isSafeInteger(value)) {
    const number = value as number
    if (number >= min && number <= max) return number
  }
  throw optionInvalid(option, value, `a whole number from ${min} to ${max}`)
}

function checkNames(option: string, value: object, names: readonly string[]): void {
  if (typeof value !== 'object' || value === null) {
    throw new TypeError(`'${option}' must be an object, received ${show(value)}`)
  }
  for (const name of Object.keys(value)) {
    if (names.includes(name)) continue
    const full = option === 'options' ? name : `${option}.${name}`
    throw optionInvalid(full, 'present', 'absent: no such option')
  }
}
