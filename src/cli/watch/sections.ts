/** The parts of the screen. Each gives exactly as many lines as it is asked for. */
import type { Alert, Stats } from '../../index.ts'
import { formatTime, type Style, wrap } from '../output.ts'
import { bytes, count, duration, fixed, NONE, percent, rate, short, uptime } from './figures.ts'
import type { History, Sample } from './history.ts'
import { edges, type Line, left, type Piece, right } from './pieces.ts'
import type { Watching } from './render.ts'
import { scaleOf, sparkline } from './sparkline.ts'

const LABEL = 12
/** A gap comes before each field. */
const RESOURCE = LABEL - 2
const FIGURE = 10
const UNIT = 8
/** Names of operations and projections. */
const NAME = 14
const SCALE = 8
/** Fewer bars than this tell nothing. */
const BARS_MIN = 8

export function title(history: History, watching: Watching, columns: number): Line {
  const process = history.last?.process
  const who = process && `process ${process.pid}, up ${uptime(process.uptimeMs)}`
  const every = `every ${watching.intervalMs / 1000} s`
  // The name of the store comes first where there is no room for all.
  const told = [columns < 72 ? '' : who, columns < 48 ? '' : every, clock(watching.now)]
  return edges(
    [{ text: 'sutra ', style: 'strong' }, { text: watching.directory }],
    [{ text: told.filter(Boolean).join('  '), style: 'dim' }],
    columns
  )
}

export function health(
  history: History,
  { trouble }: Watching,
  columns: number,
  lines: number
): Line[] {
  const pipeline = history.last?.stats.pipeline
  // Nothing is known of a process that does not answer.
  const score = trouble === undefined ? pipeline?.healthScore : undefined
  const style = trouble === undefined ? styleOf(score) : 'bad'
  const text = trouble ?? pipeline?.recommendation ?? ''
  const label: Line = [
    left('health', LABEL, 'dim'),
    right(score === undefined ? NONE : fixed(score, 2), FIGURE, style),
    { text: '  ' }
  ]
  const indent = LABEL + FIGURE + 2
  const room = Math.max(1, columns - indent)
  const wrapped = wrap(text, room)
  return exactly(lines, (at): Line => {
    // The last line takes all that is left, and is cut where it must be.
    const said = at === lines - 1 ? wrapped.slice(at).join(' ') : (wrapped[at] ?? '')
    const shown: Piece = { text: said, style: score === 1 && !trouble ? 'plain' : style }
    return at === 0 ? [...label, shown] : [{ text: ' '.repeat(indent) }, shown]
  })
}

interface Gauge {
  label: string
  unit: string
  value: number | undefined
  show: (value: number) => string
  of: (sample: Sample) => number
  /** A bar is full here at least. */
  least: number
}

/** The most important first. */
export function gauges(history: History, columns: number, lines: number): Line[] {
  const recent = history.recent()
  const stats = history.last?.stats
  const all: Gauge[] = [
    {
      ...{ label: 'commits', unit: '/s', value: recent?.commitsPerSec, show: rate, least: 10 },
      of: (sample) => sample.commitsPerSec
    },
    {
      ...{ label: 'events', unit: '/s', value: recent?.eventsPerSec, show: rate, least: 10 },
      of: (sample) => sample.eventsPerSec
    },
    {
      ...{ label: 'projected', unit: '/s', value: recent?.projectedPerSec, show: rate, least: 10 },
      of: (sample) => sample.projectedPerSec
    },
    {
      ...{ label: 'queue', unit: 'events', value: stats?.pipeline.queueDepth, show: count },
      ...{ least: 10, of: (sample) => sample.queueDepth }
    },
    {
      ...{ label: 'interval', unit: 'ms', value: stats?.pipeline.intervalMs, least: 100 },
      ...{ show: (ms) => fixed(ms, 1), of: (sample) => sample.intervalMs }
    },
    {
      ...{ label: 'loop late', unit: 'ms p99', value: recent?.lateMs, least: 10 },
      ...{ show: (ms) => fixed(ms, 1), of: (sample) => sample.lateMs }
    },
    {
      ...{ label: 'processor', unit: '%', value: recent && recent.cpu * 100, least: 100 },
      ...{ show: (share) => fixed(share, 0), of: (sample) => sample.cpu * 100 }
    }
  ]
  return exactly(lines, (at): Line => {
    const gauge = all[at]
    if (gauge === undefined) return []
    const { label, unit, value, show, of, least } = gauge
    const figure = value === undefined ? NONE : show(value)
    return [
      left(label, LABEL, 'dim'),
      right(figure, FIGURE, 'strong'),
      left(` ${unit}`, UNIT, 'dim'),
      ...chart(history.samples.map(of), columns - LABEL - FIGURE - UNIT, least)
    ]
  })
}

const PERCENTILES = ['p50Us', 'p95Us', 'p99Us', 'p999Us', 'maxUs'] as const
/** What a person looks for first; all others follow. */
const FIRST = ['commit', 'projection', 'search', 'get', 'neighbors', 'path', 'fsync']

/** How many there are to tell of. */
export function operationsIn(history: History): number {
  return Object.keys(history.last?.stats.latency ?? FIRST).length
}

export function projectionsIn(history: History): number {
  // A store without vectors has one; room is kept for both from the start.
  return Math.max(2, followers(history.last?.stats).length)
}

export function operations(history: History, columns: number, lines: number): Line[] {
  const latency = history.last?.stats.latency
  const known = latency === undefined ? [] : Object.keys(latency)
  const names = [...new Set([...FIRST, ...known])].filter((name) => known.includes(name))
  // Those in use first; within each group the order never changes.
  const isUsed = (name: string): boolean => latencyOf(history, name)?.ever === true
  const shown = [...names.filter(isUsed), ...names.filter((name) => !isUsed(name))]
  const figures = ['per s', 'p50', 'p95', 'p99', 'p99.9', 'max']
  return exactly(lines, (at): Line => {
    if (at === 0) {
      const window = windowOf(latency)
      return [left(window, NAME, 'dim'), ...figures.map((text) => right(text, FIGURE, 'dim'))]
    }
    const name = shown[at - 1]
    return name === undefined ? [] : operation(history, name, columns)
  })
}

function operation(history: History, name: string, columns: number): Line {
  const found = latencyOf(history, name)
  const perSec = history.recent()?.operations[name]
  const values = PERCENTILES.map((percentile) => {
    return found?.summary === undefined ? NONE : duration(found.summary[percentile] / 1000)
  })
  const used = NAME + FIGURE * (values.length + 1)
  return [
    left(name, NAME, found?.ever ? 'name' : 'dim'),
    right(perSec === undefined ? NONE : rate(perSec), FIGURE),
    ...values.map((text) => right(text, FIGURE, text === NONE ? 'dim' : 'plain')),
    ...chart(
      history.samples.map(({ operations }) => operations[name]),
      columns - used,
      10
    )
  ]
}

/** Of the last minute, where the process tells it; otherwise since the store was opened. */
function latencyOf(
  history: History,
  name: string
): { ever: boolean; summary: Stats['latency']['commit'] | undefined } | undefined {
  const all = history.last?.stats.latency[name as keyof Stats['latency']]
  if (all === undefined) return undefined
  // A process of an older version keeps none for the last minute.
  const summary: typeof all = { ...all, ...all.recent }
  return { ever: all.count > 0, summary: summary.count > 0 ? summary : undefined }
}

function windowOf(latency: Stats['latency'] | undefined): string {
  const recent = latency?.commit.recent
  return recent === undefined ? 'since open' : 'last minute'
}

const STATE = 12
/** All others are on their way to one of these. */
const STATES: Readonly<Record<string, Style>> = { running: 'good', stopped: 'bad' }

export function projections(history: History, columns: number, lines: number): Line[] {
  const all = followers(history.last?.stats)
  const rows = lines - 1
  const isCut = all.length > rows
  return exactly(lines, (at): Line => {
    if (at === 0) {
      return [
        left('projection', NAME, 'dim'),
        left('  state', STATE, 'dim'),
        ...['behind', 'lag', 'position'].map((text) => right(text, FIGURE + 2, 'dim'))
      ]
    }
    const rest = all.slice(at - 1)
    const [one] = rest
    if (one === undefined) return []
    return isCut && at === rows ? remainder(rest) : follower(history, one, columns)
  })
}

interface Follower {
  name: string
  state: string
  position: number
  lagEvents: number
  lagMs: number
  isWell: boolean
}

/** Whatever reads the log with a cursor of its own, and falls behind by itself. */
function followers(stats: Stats | undefined): Follower[] {
  const projections = Object.entries(stats?.pipeline.projections ?? {})
  // A process of an older version has none.
  const subscriptions = Object.entries(stats?.subscriptions ?? {})
  return [...projections, ...subscriptions].map(([name, one]) => {
    const { state, position, lagEvents, lagMs } = one
    return { name, state, position, lagEvents, lagMs, isWell: state !== 'stopped' }
  })
}

function follower(history: History, one: Follower, columns: number): Line {
  const { name, state, position, lagEvents, lagMs } = one
  const used = NAME + STATE + 3 * (FIGURE + 2)
  return [
    left(name, NAME, 'name'),
    left(`  ${state}`, STATE, STATES[state] ?? 'link'),
    right(count(lagEvents), FIGURE + 2),
    right(duration(lagMs), FIGURE + 2),
    right(count(position), FIGURE + 2),
    ...chart(
      history.samples.map(({ lags }) => lags[name]),
      columns - used,
      10
    )
  ]
}

function remainder(rest: readonly Follower[]): Line {
  const furthest = Math.max(...rest.map(({ lagEvents }) => lagEvents))
  const unwell = rest.filter(({ isWell }) => !isWell).length
  const stopped = unwell > 0 ? `, ${unwell} stopped` : ''
  return [
    { text: `and ${rest.length} more, at most ${count(furthest)} behind${stopped}`, style: 'dim' }
  ]
}

export function resources(history: History, lines: number): Line[] {
  const stats = history.last?.stats
  const all = [backlog, vectors, disk, memory, caches]
  return exactly(lines, (at): Line => {
    const resource = all[at]
    return stats === undefined || resource === undefined ? [] : resource(stats, history)
  })
}

function backlog({ pipeline }: Stats, history: History): Line {
  const { predictedQueueDepth, timeToFullMs, estimatedLagMs } = pipeline
  return [
    left('backlog', RESOURCE, 'dim'),
    ...field('predicted', short(predictedQueueDepth), 6),
    ...field('empty in', duration(estimatedLagMs), 7),
    ...field('full in', duration(timeToFullMs), 7),
    ...field('waited', percent(history.waitedShare()), 7)
  ]
}

function vectors({ vectors: one }: Stats): Line {
  if (!one.declared) return [left('vectors', LABEL, 'dim'), { text: 'none declared', style: 'dim' }]
  return [
    left('vectors', RESOURCE, 'dim'),
    ...field('in graphs', count(one.indexed), 9),
    ...field('waiting', short(one.pending), 6),
    ...field('scanned', short(one.scanned), 6),
    ...field('segments', count(one.segments), 3)
  ]
}

function disk({ disk: one }: Stats): Line {
  const free = one.freeBytes > 0 ? bytes(one.freeBytes) : NONE
  return [
    left('disk', RESOURCE, 'dim'),
    ...field('log', bytes(one.logBytes), 8),
    ...field('tables', bytes(one.tablesBytes), 8),
    ...field('vectors', bytes(one.vectorsBytes), 8),
    ...field('free', free, 8, one.low ? 'bad' : 'plain')
  ]
}

function memory({ memory: one }: Stats, history: History): Line {
  const process = history.last?.process
  return [
    left('memory', RESOURCE, 'dim'),
    ...field('all', bytes(one.rssBytes), 8),
    ...field('heap', bytes(process?.heapUsedBytes ?? Number.NaN), 8),
    ...field('ids', bytes(one.idTableBytes), 8),
    ...field('overlay', short(one.overlayEvents), 6)
  ]
}

function caches({ caches: all }: Stats, history: History): Line {
  const held = Object.values(all).reduce((sum, one) => sum + one.bytes, 0)
  const fields = Object.keys(all).flatMap((name) => {
    const share = history.hitShare(name)
    return field(name, share === undefined ? NONE : percent(share), 7)
  })
  return [left('cache hits', RESOURCE, 'dim'), ...fields, ...field('all', bytes(held), 8)]
}

/** The newest first, below each other; the last line says how to leave. */
export function alerts(
  history: History,
  { now }: Watching,
  columns: number,
  lines: number
): Line[] {
  // A process of an older version has none.
  const raised = [...(history.last?.stats.alerts ?? [])].sort((a, b) => b.since - a.since)
  const hint: Line = [{ text: 'q quits', style: 'dim' }]
  return exactly(lines, (at): Line => {
    const alert = raised[at]
    const isLast = at === lines - 1
    const more = isLast && raised.length > lines ? `  and ${raised.length - lines} more` : ''
    const label = left(at === 0 ? 'alerts' : '', LABEL, 'dim')
    const said: Line =
      alert === undefined
        ? [label, { text: at === 0 ? 'none' : '', style: 'good' }]
        : [
            label,
            { text: `${alert.severity}  `, style: alert.severity === 'critical' ? 'bad' : 'link' },
            { text: `${describe(alert)}, for ${uptime(Math.max(0, now - alert.since))}${more}` }
          ]
    return isLast ? edges(said, hint, columns) : said
  })
}

/** What was measured and where the limit is, in the unit that the metric's name ends in. */
function describe({ name, metric, of, value, threshold }: Alert): string {
  const subject = of === '' ? name : `${name}: ${of}`
  // What must not be at all has no limit worth telling.
  if (threshold === 0) return subject
  const show = (one: number): string => {
    if (metric.endsWith('Us')) return duration(one / 1000)
    if (metric.endsWith('Ms')) return duration(one)
    if (metric.endsWith('Bytes')) return bytes(one)
    return /score|utilization|fill$/i.test(metric) ? fixed(one, 2) : count(one)
  }
  return `${subject}, ${show(value)}, limit ${show(threshold)}`
}

/** A name and its value, as wide as the value may become. */
function field(name: string, value: string, columns: number, style: Style = 'plain'): Line {
  return [{ text: `  ${name} `, style: 'dim' }, right(value, columns, style)]
}

/** Bars and the end of their scale, in the columns that are left. Nothing where those are too few. */
function chart(values: readonly (number | undefined)[], columns: number, least: number): Line {
  const bars = columns - SCALE - 2
  if (bars < BARS_MIN) return []
  const shown = values.slice(-bars)
  const top = scaleOf(shown, least)
  return [
    { text: ' ' },
    { text: sparkline(shown, bars, top), style: 'name' },
    left(` ≤${short(top)}`, SCALE + 1, 'dim')
  ]
}

function styleOf(score: number | undefined): Style {
  if (score === undefined) return 'dim'
  if (score >= 0.7) return 'good'
  return score >= 0.4 ? 'link' : 'bad'
}

function clock(now: number): string {
  return formatTime(now).slice(11, 19)
}

function exactly(lines: number, make: (at: number) => Line): Line[] {
  return Array.from({ length: Math.max(0, lines) }, (_, at) => make(at))
}
