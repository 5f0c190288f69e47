import type { TelemetryEvent, TelemetryKind } from '../telemetry/types.ts'

/** What is summed of an event. */
export interface Measure {
  /** Which one of several; empty where there is one. */
  readonly name: string
  /** How long it took, or how old it was; absent where neither is known. */
  readonly us?: number
  readonly items?: number
  readonly bytes?: number
}

const US_PER_MS = 1000

/** Kinds of which a busy store tells so many that only their sums are kept. */
const SUMMED: ReadonlySet<TelemetryKind> = new Set([
  'commit',
  'group-commit',
  'batch-applied',
  'projection-lag',
  'query',
  'path'
])

export function isSummed({ type }: TelemetryEvent): boolean {
  return SUMMED.has(type)
}

type Of<T extends TelemetryKind> = Extract<TelemetryEvent, { type: T }>

/** Kinds that tell how long something took, or may come more often than there is room for. */
const MEASURES: { readonly [T in TelemetryKind]?: (event: Of<T>) => Measure } = {
  commit: ({ origin, us, events }) => ({ name: origin, us, items: events }),
  'group-commit': ({ us, events, bytes }) => ({ name: '', us, items: events, bytes }),
  'batch-applied': ({ projection, ms, events }) => ({
    name: projection,
    us: ms * US_PER_MS,
    items: events
  }),
  'projection-lag': ({ projection, lagMs, lagEvents }) => ({
    name: projection,
    us: lagMs * US_PER_MS,
    items: lagEvents
  }),
  query: ({ kind, us, results }) => ({ name: kind, us, items: results }),
  path: ({ strategy, us, explored }) => ({ name: strategy, us, items: explored }),
  'slow-operation': ({ operation, us }) => ({ name: operation, us }),
  'commit-failed': ({ code, us, commands }) => ({ name: code, us, items: commands }),
  compaction: ({ database, ms, bytes }) => ({ name: database, us: ms * US_PER_MS, bytes })
}

export function measureOf(event: TelemetryEvent): Measure {
  // The key is the kind of the events that the function takes.
  const measure = MEASURES[event.type] as ((event: TelemetryEvent) => Measure) | undefined
  return measure?.(event) ?? { name: '' }
}
