/** Telemetry as concepts: the type is the kind, the content a line to read, the data the event itself. */
import { ConceptId } from '../ids.ts'
import { pack, unpack } from '../storage/codec.ts'
import { debugLine } from '../telemetry/debug-log.ts'
import type { TelemetryEvent } from '../telemetry/types.ts'
import type { Command, Concept } from '../types.ts'
import type { Item } from './intake.ts'
import type { Summary } from './summaries.ts'

const MINUTE_MS = 60_000

/** Times as an index finds them: few values, with many concepts each. */
export const MINUTE = 'minute'

export function minuteOf(time: number): number {
  return Math.floor(time / MINUTE_MS)
}

/** @param name Of the store that is told of, for people who read the line. */
export function toCommand(item: Item, name: string): Command {
  return isSummaries(item) ? ofSummaries(item, name) : ofEvent(item, name)
}

/** The events that a concept stands for; none where a program put something else there. */
export function toEvents({ data }: Concept): TelemetryEvent[] {
  if (data === undefined) return []
  const value = unpack(data)
  const events: unknown[] = Array.isArray(value) ? value : [value]
  return events.filter(isEvent)
}

function ofEvent(event: TelemetryEvent, name: string): Command {
  const { type, time } = event
  return {
    do: 'learn',
    id: ConceptId.random(),
    type,
    content: debugLine(name, event).toWellFormed(),
    metadata: { time, [MINUTE]: minuteOf(time), ...severityOf(event) },
    data: pack(event)
  }
}

function ofSummaries(summaries: readonly Summary[], name: string): Command {
  const [{ of = '', since = 0, time = 0 } = {}] = summaries
  const count = summaries.reduce((sum, one) => sum + one.count, 0)
  return {
    do: 'learn',
    // A window that a dead process left behind may have been written by it, just before it died.
    id: { key: `${of}/${since}` },
    ifExists: 'keep',
    type: of,
    content:
      `${new Date(time).toISOString()} ${name} summary of=${of} count=${count}`.toWellFormed(),
    metadata: { time, [MINUTE]: minuteOf(time) },
    data: pack(summaries)
  }
}

function severityOf(event: TelemetryEvent): { severity?: string } {
  return 'severity' in event ? { severity: event.severity } : {}
}

function isSummaries(item: Item): item is readonly Summary[] {
  return Array.isArray(item)
}

/** What is read was packed above, by this version of the program or another one. */
function isEvent(value: unknown): value is TelemetryEvent {
  if (typeof value !== 'object' || value === null) return false
  const { type, time } = value as Partial<TelemetryEvent>
  return typeof type === 'string' && typeof time === 'number'
}
