/** What an event of telemetry says, in one line for people. */
import type { AlertEvent, TelemetryEvent } from '../index.ts'
import { formatBytes, formatCount, formatMicros, formatTime, type Style, toJson } from './output.ts'

type Summary = Extract<TelemetryEvent, { type: 'summary' }>
type Metrics = Extract<TelemetryEvent, { type: 'metrics' }>

const US_PER_MS = 1000

/** Sums go by the kind that they sum up, as they are asked for. */
export function nameOf(event: TelemetryEvent): string {
  if (event.type !== 'summary') return event.type
  return event.name === '' ? event.of : `${event.of} ${event.name}`
}

const BAD = /-(failed|stopped|found|low|dropped|quarantined)$|^poisoned$/
const GOOD: readonly string[] = ['alert-cleared', 'rebuilt', 'projection-resumed', 'opened']

export function styleOf(event: TelemetryEvent): Style {
  const { type } = event
  if (type === 'alert-raised') return event.severity === 'info' ? 'link' : 'bad'
  if (type === 'summary' || type === 'metrics') return 'dim'
  if (GOOD.includes(type)) return 'good'
  return BAD.test(type) ? 'bad' : 'name'
}

export function describe(event: TelemetryEvent): string {
  if (event.type === 'summary') return ofSummary(event)
  if (event.type === 'metrics') return ofMetrics(event)
  if (event.type === 'alert-raised') return `${ruleOf(event)}, ${event.severity}: ${event.message}`
  if (event.type !== 'alert-cleared') return ofFields(event)
  return `${ruleOf(event)}, after ${formatMicros(event.ms * US_PER_MS)}: ${event.message}`
}

/** What an alert is looked up by: the message is in words, and may be a program's own. */
function ruleOf({ name, of }: AlertEvent): string {
  return of === '' ? name : `${name} of ${of}`
}

function ofSummary({ count, items, bytes, p50Us, p99Us, maxUs }: Summary): string {
  const parts = [`${formatCount(count)} ×`]
  if (items > 0) parts.push(`${formatCount(items)} items`)
  if (bytes > 0) parts.push(formatBytes(bytes))
  if (maxUs > 0) {
    const times = [p50Us, p99Us, maxUs].map(formatMicros)
    parts.push(`p50 ${times[0]}, p99 ${times[1]}, max ${times[2]}`)
  }
  return parts.join(', ').replace('×, ', '× ')
}

function ofMetrics({ stats }: Metrics): string {
  const { position, pipeline, memory, disk } = stats
  const { logBytes, tablesBytes, vectorsBytes, projectionsBytes, telemetryBytes } = disk
  const bytes = logBytes + tablesBytes + vectorsBytes + projectionsBytes + telemetryBytes
  return (
    `at ${formatCount(position)}, queue ${formatCount(pipeline.queueDepth)}, ` +
    `health ${pipeline.healthScore.toFixed(2)}, memory ${formatBytes(memory.rssBytes)}, ` +
    `disk ${formatBytes(bytes)}`
  )
}

/** Of any kind, those of a newer program too: names tell the units. */
function ofFields(event: TelemetryEvent): string {
  const { type: _type, time: _time, v: _version, ...fields } = event
  return Object.entries(fields)
    .map(([name, value]) => `${labelOf(name)} ${show(name, value)}`)
    .join(', ')
}

/** Without the unit, which is told with the number. */
function labelOf(name: string): string {
  return name === 'us' || name === 'ms' ? 'took' : name.replace(/(Us|Ms|Bytes)$/, '')
}

function show(name: string, value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value !== 'number') return toJson(value)
  if (/(^us|Us)$/.test(name)) return formatMicros(value)
  if (/(^ms|Ms)$/.test(name)) return formatMicros(value * US_PER_MS)
  if (/(^bytes|Bytes)$/.test(name)) return formatBytes(value)
  if (name === 'since') return formatTime(value)
  return Number.isInteger(value) ? formatCount(value) : value.toFixed(2)
}
