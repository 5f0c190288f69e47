/** What is told of a commit when its caller is. */
import { StoreError } from '../errors.ts'
import type { TelemetryFields } from '../telemetry/events.ts'
import { nowUs } from '../telemetry/latency.ts'
import type { Receipt } from '../types.ts'
import type { Engine } from './engine.ts'

type Origin = TelemetryFields['commit']['origin']

/** @param us From the call on, with all waiting: for the line, for room, for the disk. */
export function tellCommit(
  { latency, hub }: Engine,
  origin: Origin,
  commands: number,
  receipt: Receipt,
  us: number
): void {
  latency.record(origin, us)
  if (!hub.active) return
  const { first, last, durability, outcome, backlog } = receipt
  const events = last - first + 1
  hub.emit({
    type: 'commit',
    time: Date.now(),
    origin,
    commands,
    events,
    us,
    first,
    last,
    durability,
    outcome,
    backlog
  })
  hub.timed(origin, us, () => `${commands} commands, ${durability}, at ${first} to ${last}`)
}

/** @param asked What the caller gave, which may be anything. */
export function tellFailure({ hub }: Engine, asked: unknown, error: unknown, us: number): void {
  if (!hub.active) return
  const commands = Array.isArray(asked) ? asked.length : 0
  const time = Date.now()
  if (!(error instanceof StoreError)) {
    const code = error instanceof Error ? error.name : 'unknown'
    // A wrong type is found before anything is written.
    const outcome = error instanceof TypeError ? 'none' : 'unknown'
    hub.emit({ type: 'commit-failed', time, code, outcome, commands, us })
  } else if (error.code === 'ABORTED') {
    hub.emit({ type: 'commit-aborted', time, commands })
  } else {
    hub.emit({
      type: 'commit-failed',
      time,
      code: error.code,
      outcome: error.outcome,
      commands,
      us
    })
  }
}

/** Waits for texts to be embedded, and times that: the model is not ours. */
export async function timeEmbed<T>({ latency, hub }: Engine, embedding: Promise<T>): Promise<T> {
  const started = nowUs()
  const embedded = await embedding
  const us = nowUs() - started
  latency.record('embed', us)
  if (hub.active) hub.timed('embed', us, () => 'texts of a commit')
  return embedded
}

export function tellSynced({ parts, latency, hub }: Engine, us: number): void {
  latency.record('fsync', us)
  if (hub.active) hub.timed('fsync', us, () => `the log up to ${parts.log.head}`)
}
