import { type Metric, type MetricLabels, type MetricSample, US_PER_SECOND } from './metric.ts'
import { METRICS } from './metric-list.ts'
import type { LatencySummary, Stats } from './types.ts'

/** What is added to the name of one sample, such as `_sum`. */
interface Line extends MetricSample {
  suffix?: string
}

type Type = 'gauge' | 'counter' | 'summary'

/**
 * The statistics in the Prometheus text exposition format, version 0.0.4. Names begin with
 * `sutra_`; times are in seconds, sizes in bytes.
 */
export function prometheusText(stats: Stats): string {
  const text = new Exposition()
  for (const metric of METRICS) {
    const type = metric.kind === 'counter' ? 'counter' : 'gauge'
    text.metric(prometheusName(metric), type, metric.help, metric.read(stats))
  }
  writeLatency(text, stats.latency)
  return text.toString()
}

/** What a unit adds to a name. Others, such as `{event}`, are said by the name itself. */
const UNIT_SUFFIXES: Readonly<Record<string, string>> = {
  s: '_seconds',
  By: '_bytes',
  '1': '_ratio',
  '{event}/s': '_per_second'
}

/**
 * The rule of OpenTelemetry's specification, which its collector follows: a metric has one name in
 * Prometheus, whichever way it went there. (The SDK's own exporter leaves units out of names.)
 */
function prometheusName({ name, unit, kind }: Omit<Metric, 'help' | 'read'>): string {
  const plain = `sutra_${name.replaceAll('.', '_')}`
  const suffix = UNIT_SUFFIXES[unit] ?? ''
  const withUnit = plain.endsWith(suffix) ? plain : `${plain}${suffix}`
  return kind === 'counter' ? `${withUnit}_total` : withUnit
}

function writeLatency(text: Exposition, latency: Stats['latency']): void {
  const operations = Object.entries(latency)
  text.metric(
    'sutra_operation_duration_seconds',
    'summary',
    'How long operations took since open.',
    operations.flatMap(quantiles)
  )
  text.metric(
    'sutra_operation_duration_max_seconds',
    'gauge',
    'The longest operation since open.',
    operations.map(([operation, one]) => ({
      labels: { operation },
      value: one.maxUs / US_PER_SECOND
    }))
  )
}

function quantiles([operation, one]: [string, LatencySummary]): Line[] {
  // An empty summary has no quantiles; Prometheus writes that as NaN.
  const seconds = (us: number): number => (one.count === 0 ? Number.NaN : us / US_PER_SECOND)
  const quantile = (of: string, us: number): Line => ({
    labels: { operation, quantile: of },
    value: seconds(us)
  })
  const sum = (one.meanUs * one.count) / US_PER_SECOND
  return [
    quantile('0.5', one.p50Us),
    quantile('0.95', one.p95Us),
    quantile('0.99', one.p99Us),
    quantile('0.999', one.p999Us),
    { suffix: '_sum', labels: { operation }, value: sum },
    { suffix: '_count', labels: { operation }, value: one.count }
  ]
}

/** Writes the format itself: each metric once, with HELP and TYPE before its samples. */
class Exposition {
  readonly #lines: string[] = []

  metric(name: string, type: Type, help: string, lines: readonly Line[]): void {
    if (lines.length === 0) return
    this.#lines.push(`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${type}`)
    for (const { suffix = '', labels = {}, value } of lines) {
      this.#lines.push(`${name}${suffix}${labelText(labels)} ${numberText(value)}`)
    }
  }

  toString(): string {
    return `${this.#lines.join('\n')}\n`
  }
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

function labelText(labels: MetricLabels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escapeLabel(value: string): string {
  return escapeHelp(value).replaceAll('"', '\\"')
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  if (value === Number.NEGATIVE_INFINITY) return '-Inf'
  return String(value)
}
