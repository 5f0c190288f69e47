/**
 * One line to stderr for each event, if the environment asks for it: `NODE_DEBUG=sutra` for all of
 * them, `NODE_DEBUG=sutra:commit,sutra:alert-*` for some kinds.
 */
import { type DebugLogger, debuglog } from 'node:util'
import type { Observable } from 'rxjs'
import type { Stats, TelemetryEvent } from './types.ts'

const ALL = 'sutra'

/** Follows the stream to its end. Without the variable not even a subscription is made. */
export function logTelemetry(name: string, events: Observable<TelemetryEvent>): void {
  const all = debuglog(ALL)
  const isAsked = all.enabled || asksForKinds(process.env['NODE_DEBUG'])
  if (!isAsked) return
  const kinds = new Map<string, DebugLogger>()
  events.subscribe((event) => {
    const log = all.enabled ? all : loggerOf(kinds, event.type)
    if (log.enabled) log('%s', debugLine(name, event))
  })
}

/** Node itself compares names and patterns; here it matters only whether any may be ours. */
function asksForKinds(variable = ''): boolean {
  return variable.toLowerCase().includes(`${ALL}:`)
}

function loggerOf(kinds: Map<string, DebugLogger>, type: string): DebugLogger {
  const known = kinds.get(type)
  if (known !== undefined) return known
  const made = debuglog(`${ALL}:${type}`)
  kinds.set(type, made)
  return made
}

/** Such as `2026-01-31T12:00:00.000Z knowledge group-commit commits=3 events=3 bytes=412 us=310`. */
export function debugLine(name: string, event: TelemetryEvent): string {
  const { type, time } = event
  const fields = type === 'metrics' ? excerptOf(event.stats) : fieldsOf(event)
  const words = Object.entries(fields).map(([field, value]) => `${field}=${show(value)}`)
  return [new Date(time).toISOString(), name, type, ...words].join(' ')
}

function fieldsOf(event: TelemetryEvent): object {
  const { type: _type, time: _time, v: _version, ...fields } = event
  return fields
}

/** Whoever wants all of them reads `store.stats()`. */
function excerptOf({ position, pipeline, commits, memory, disk }: Stats): object {
  const { queueDepth, intervalMs, healthScore, estimatedLagMs } = pipeline
  const { rssBytes } = memory
  const { logBytes, tablesBytes, vectorsBytes, projectionsBytes, telemetryBytes } = disk
  const diskBytes = logBytes + tablesBytes + vectorsBytes + projectionsBytes + telemetryBytes
  const { waiting } = commits
  const load = { queueDepth, waiting, intervalMs, healthScore, estimatedLagMs }
  return { position, ...load, rssBytes, diskBytes }
}

/** On one line, whatever it is. */
function show(value: unknown): string {
  if (typeof value === 'number') return String(Math.round(value * 1000) / 1000)
  if (typeof value === 'string') return /^[\w.:@/-]+$/.test(value) ? value : JSON.stringify(value)
  if (Array.isArray(value)) return value.map(show).join(',')
  return typeof value === 'object' ? '…' : String(value)
}
