/** What a metric is, and how those are written that have one value. */
import type { Stats } from './types.ts'

export const MS_PER_SECOND = 1000
export const US_PER_SECOND: number = 1e6

/** A counter only grows, a sum may be added up over stores, a gauge may not. */
export type MetricKind = 'counter' | 'sum' | 'gauge'

export type MetricLabels = Readonly<Record<string, string>>

export interface MetricSample {
  readonly value: number
  readonly labels?: MetricLabels
}

export interface Metric {
  /** As OpenTelemetry names it, without `sutra.` in front. Prometheus' name follows from it. */
  readonly name: string
  readonly kind: MetricKind
  /** In UCUM: `s`, `By`, `1` for a ratio, `{event}` for what is counted, '' for a yes or no. */
  readonly unit: string
  readonly help: string
  /** None where there is nothing to tell. */
  read(stats: Stats): readonly MetricSample[]
}

/** How one value is measured for each of several. */
export function each<T>(
  label: string,
  of: (stats: Stats) => Readonly<Record<string, T>>
): (value: (one: T) => number) => Metric['read'] {
  return (value) => (stats) =>
    Object.entries(of(stats)).map(([name, one]) => ({
      labels: { [label]: name },
      value: value(one)
    }))
}

/** 1 for the state that each is in, 0 for the others. */
export function eachState<S extends string>(
  label: string,
  states: Readonly<Record<S, true>>,
  of: (stats: Stats) => Readonly<Record<string, { state: S }>>
): Metric['read'] {
  return (stats) =>
    Object.entries(of(stats)).flatMap(([name, one]) =>
      Object.keys(states).map((state) => ({
        labels: { [label]: name, state },
        value: +(one.state === state)
      }))
    )
}

/** Seconds since 1970; nothing for what has not happened yet. */
export function timestamp(ms: number): MetricSample[] {
  return ms === 0 ? [] : [{ value: ms / MS_PER_SECOND }]
}

type ReadOne = (stats: Stats) => number

export function gauge(name: string, unit: string, help: string, read: ReadOne): Metric {
  return single('gauge', name, unit, help, read)
}

export function counter(name: string, unit: string, help: string, read: ReadOne): Metric {
  return single('counter', name, unit, help, read)
}

export function sum(name: string, unit: string, help: string, read: ReadOne): Metric {
  return single('sum', name, unit, help, read)
}

function single(kind: MetricKind, name: string, unit: string, help: string, read: ReadOne): Metric {
  return { name, kind, unit, help, read: (stats) => [{ value: read(stats) }] }
}
