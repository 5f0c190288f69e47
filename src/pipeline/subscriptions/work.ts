/** What a subscription has in hand: read, but not handled yet. */
import type { OperationWatch } from '../../telemetry/operation-watch.ts'
import type { Delivery, StoredEvent } from '../../types.ts'
import type { Batch } from './cursor.ts'
import type { RetryPolicy } from './options.ts'

export interface Work extends Batch {
  /** How often the handler was given it. */
  attempts: number
  /** By the monotonic clock, in milliseconds. */
  notBefore: number
}

export function workOf({ events, last, time }: Batch): Work {
  return { events, last, time, attempts: 0, notBefore: 0 }
}

/** One by one: which of them the handler cannot do shows only so. */
export function split({ events, last, time }: Batch): Work[] {
  const works = events.map((event) =>
    workOf({ events: [event], last: event.position, time: event.time })
  )
  // What was passed over behind the last one is done with it.
  const end = works.at(-1)
  if (end !== undefined) Object.assign(end, { last, time })
  return works
}

/** Twice as long each time, a little less by chance: what failed together shall not return together. */
export function delayOf(policy: RetryPolicy, attempts: number): number {
  const { firstMs, maxMs, jitter } = policy
  const full = Math.min(maxMs, firstMs * 2 ** (attempts - 1))
  return full * (1 - jitter * Math.random())
}

export type Call = (events: StoredEvent[], delivery: Delivery) => unknown

/** Calls the handler, in the eyes of whoever looks on. */
export async function consumed(
  consume: OperationWatch['consumer'],
  { batch }: { batch: number | undefined },
  events: StoredEvent[],
  delivery: Delivery,
  call: Call
): Promise<void> {
  if (consume === undefined) {
    await call(events, delivery)
    return
  }
  const { subscription, attempt, redelivered } = delivery
  const { position = 0, type = '' } = events[0] ?? {}
  const count = batch === undefined ? undefined : events.length
  await consume({ subscription, position, type, count, attempt, redelivered }, async () => {
    await call(events, delivery)
  })
}

const ERROR_LENGTH_MAX = 1000

/** What the log keeps of an error: enough to know it again, and well-formed. */
export function noteOf(error: Error): string {
  let text: string
  try {
    text = `${error.name}: ${error.message}`
  } catch {
    text = 'an error that cannot be read'
  }
  return text.slice(0, ERROR_LENGTH_MAX).toWellFormed()
}
