/** What spans say of calls and of telemetry, under names of OpenTelemetry's database conventions. */
import type { Attributes } from '@opentelemetry/api'
import type { ConsumedEvents, OperationCall } from './operation-watch.ts'
import type { TelemetryEvent } from './types.ts'

/** Told by the span itself. */
const TOLD = new Set(['type', 'time', 'v', 'kind', 'us', 'ms', 'results'])

/**
 * What a call came to: the receipt of a commit and the report of a long work field by field, of a
 * read only how much it found. Content never is in a span.
 */
export function resultAttributes(call: OperationCall, result: unknown): Attributes {
  const { group, operation } = call
  if (group === 'query') return { 'db.response.returned_rows': rowsOf(result) }
  if (typeof result !== 'object' || result === null) return {}
  const part = group === 'commit' ? 'commit' : snakeCase(operation)
  return fieldAttributes(`sutra.${part}`, result)
}

/**
 * What a handler is given, by OpenTelemetry's messaging conventions: the log is the destination, the
 * position the id of a message.
 */
export function consumedAttributes(events: ConsumedEvents, namespace: string): Attributes {
  const { subscription, position, type, count, attempt, redelivered } = events
  return {
    'messaging.system': 'sutra-storage',
    'messaging.operation.type': 'process',
    'messaging.operation.name': 'process',
    'messaging.destination.name': namespace,
    'messaging.destination.subscription.name': subscription,
    // By the conventions only one of the two is there.
    ...(count === undefined
      ? { 'messaging.message.id': String(position), 'sutra.event.type': type }
      : { 'messaging.batch.message_count': count, 'sutra.delivery.first': position }),
    'sutra.delivery.attempt': attempt,
    'sutra.delivery.redelivered': redelivered
  }
}

/** Fields of an event, such as `sutra.query.strategy`. */
export function eventAttributes(prefix: string, event: TelemetryEvent): Attributes {
  const fields = Object.entries(event).filter(([name]) => !TOLD.has(name))
  return fieldAttributes(prefix, Object.fromEntries(fields))
}

function rowsOf(result: unknown): number {
  if (Array.isArray(result)) return result.filter((one) => one !== undefined).length
  return result === undefined || result === false ? 0 : 1
}

/** Numbers, words and truths; what has parts of its own is left out. */
function fieldAttributes(prefix: string, fields: object): Attributes {
  const attributes: Attributes = {}
  for (const [name, value] of Object.entries(fields)) {
    const isPlain = ['number', 'string', 'boolean'].includes(typeof value)
    if (isPlain) attributes[`${prefix}.${snakeCase(name)}`] = value
  }
  return attributes
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
