import { formatTime } from '../output.ts'
import { count, duration, fixed, rate } from './figures.ts'
import type { History } from './history.ts'

/** One look in one line, for a log or a pipe. */
export function plainLine(history: History): string {
  const { last, samples } = history
  if (last === undefined) return ''
  const { pipeline, latency } = last.stats
  const sample = samples.at(-1)
  const perSec = (value: number | undefined): string => (value === undefined ? '–' : rate(value))
  const commit = latency.commit.recent?.count ? latency.commit.recent : latency.commit
  const alerts = last.stats.alerts?.length ?? 0
  return [
    formatTime(last.time),
    `commits ${perSec(sample?.commitsPerSec)}/s`,
    `events ${perSec(sample?.eventsPerSec)}/s`,
    `projected ${perSec(sample?.projectedPerSec)}/s`,
    `commit p99 ${duration(commit.p99Us / 1000)}`,
    `queue ${count(pipeline.queueDepth)}`,
    `lag ${duration(pipeline.estimatedLagMs)}`,
    `health ${fixed(pipeline.healthScore, 2)}`,
    ...(alerts > 0 ? [`alerts ${alerts}`] : [])
  ].join('  ')
}

/** The same as a record for programs: everything that the store tells, and the rates. */
export function toRecord(history: History): object {
  const { last, samples } = history
  if (last === undefined) return {}
  const sample = samples.at(-1)
  return { time: last.time, ...(sample && { rates: sample }), process: last.process, ...last.stats }
}
