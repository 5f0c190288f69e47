import { PROJECTION_LAG_MS } from '../telemetry/alert-rules.ts'
import { IDLE_BELOW, type LoadReading } from './controller.ts'

/** A change between these is worth an event; within one, only the numbers move. */
export type HealthLevel = 'healthy' | 'behind' | 'filling' | 'full' | 'stopped'

/** How full it is where writers of vectors wait. */
export interface VectorLoad {
  /** Vectors that wait for their graphs, as a share of those that may. */
  fill: number
  /** Writers that wait until there are fewer, and for how long writers have. */
  waiting: number
  waitedMs: number
}

export const NO_VECTORS: VectorLoad = { fill: 0, waiting: 0, waitedMs: 0 }

/** What a projection that runs does not hold yet. */
export interface Behind {
  name: string
  events: number
  /** Age of the oldest of them. */
  ms: number
}

export interface HealthInputs {
  reading: LoadReading
  /** Share of the queue in use now, by events or by bytes. */
  utilization: number
  warnAt: number
  /** Writers that wait for room. */
  waiting: number
  vectors: VectorLoad
  primary: string
  /** Projections that have stopped, with their positions. */
  stopped: readonly { name: string; position: number }[]
  behind: readonly Behind[]
}

/** A queue that will be full sooner than this is worth a warning. */
const SOON_MS = 10_000
/** At most, while a projection other than the primary one has stopped. */
const STOPPED_SCORE = 0.3
/** All others are a program's own, whose names are others. */
const BUILT_IN = ['tables', 'vectors']

export function healthLevel(inputs: HealthInputs): HealthLevel {
  if (inputs.stopped.length > 0) return 'stopped'
  if (isQueueFull(inputs) || inputs.vectors.waiting > 0 || inputs.vectors.fill >= 1) return 'full'
  if (fillOf(inputs) >= inputs.warnAt || fullSoon(inputs)) return 'filling'
  return late(inputs).length > 0 ? 'behind' : 'healthy'
}

/**
 * 1 is well, 0 is at a standstill or full; 0.5 at the warning; less if it will be full soon. A
 * projection that is late makes it less too, by as much as it is later than it may be.
 */
export function healthScore(inputs: HealthInputs): number {
  const { warnAt, stopped, primary } = inputs
  if (stopped.some(({ name }) => name === primary)) return 0
  const level = healthLevel(inputs)
  if (level === 'full') return 0
  const fill = fillOf(inputs)
  const wellBelow = Math.min(IDLE_BELOW, warnAt / 2)
  const byFill =
    fill <= warnAt
      ? 1 - (0.5 * Math.max(fill - wellBelow, 0)) / (warnAt - wellBelow)
      : (0.5 * (1 - fill)) / (1 - warnAt)
  const byTime = fullSoon(inputs) ? 0.5 + 0.5 * (inputs.reading.timeToFullMs / SOON_MS) : 1
  const byLag = late(inputs).map(({ ms }) => 0.5 + 0.5 * (PROJECTION_LAG_MS / ms))
  return Math.min(byFill, byTime, ...byLag, level === 'stopped' ? STOPPED_SCORE : 1)
}

/** What to do, in words. */
export function recommend(inputs: HealthInputs): string {
  const level = healthLevel(inputs)
  const others = late(inputs).map(catchUp)
  return level === 'behind' ? others.join('. ') : [advice(level, inputs), ...others].join('. ')
}

function advice(level: Exclude<HealthLevel, 'behind'>, inputs: HealthInputs): string {
  const { reading, utilization, vectors, warnAt } = inputs
  const rates =
    `${rate(reading.arrivalRatePerSec)} events/s come, ` +
    `${rate(reading.processingRatePerSec)} are projected`
  switch (level) {
    case 'stopped':
      return inputs.stopped
        .map(({ name, position }) => `Projection '${name}' stopped at ${position}: ${mend(name)}`)
        .join('. ')
    case 'full':
      if (!isQueueFull(inputs)) {
        return 'As many vectors wait for the index as may. Write them more slowly'
      }
      return `The queue is full and writers wait: ${rates}. Write more slowly`
    case 'filling': {
      if (queueFill(inputs) < warnAt && !fullSoon(inputs)) {
        const waiting = `${Math.round(vectors.fill * 100)} % of the vectors that may wait for the index do`
        return `${waiting}. Write them more slowly, or their writers will wait`
      }
      const seconds = (Math.max(reading.timeToFullMs, 100) / 1000).toFixed(1)
      const soon = Number.isFinite(reading.timeToFullMs) ? ` and full in ${seconds} s` : ''
      const percent = Math.round(utilization * 100)
      return `The queue is ${percent} % full${soon}: ${rates}. Write more slowly, or writers will wait`
    }
    case 'healthy': {
      if (reading.load >= warnAt) return `Nothing to do, but the limit is near: ${rates}`
      const pace = reading.load < IDLE_BELOW ? 'low' : 'moderate'
      return `Nothing to do: the load is ${pace}`
    }
  }
}

function mend(name: string): string {
  return BUILT_IN.includes(name) ? 'rebuild it' : 'mend its `apply` and open the store again'
}

/** Projections that lack an event older than the built-in alert allows. */
function late({ behind }: HealthInputs): Behind[] {
  return behind.filter(({ ms }) => ms > PROJECTION_LAG_MS)
}

/** It may be on its way, as one that is built for the first time: how fast, nobody knows. */
function catchUp({ name, events, ms }: Behind): string {
  const lacks = `Projection '${name}' lacks ${events} events, the oldest of them ${duration(ms)} old`
  const faster = BUILT_IN.includes(name) ? '' : ' or make its `apply` faster'
  return `${lacks}: unless it is catching up, write more slowly${faster}`
}

const UNITS = [
  ['days', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000]
] as const

function duration(ms: number): string {
  const [unit, size] = UNITS.find(([, one]) => ms >= 2 * one) ?? ['s', 1000]
  return `${Math.round(ms / size)} ${unit}`
}

function isQueueFull({ waiting, utilization }: HealthInputs): boolean {
  return waiting > 0 || utilization >= 1
}

function fillOf(inputs: HealthInputs): number {
  return Math.min(Math.max(queueFill(inputs), inputs.vectors.fill), 1)
}

function queueFill({ reading, utilization }: HealthInputs): number {
  return Math.min(Math.max(utilization, reading.fill), 1)
}

/** While the queue is nearly empty, any line through its depth is chance. */
function fullSoon(inputs: HealthInputs): boolean {
  return queueFill(inputs) >= IDLE_BELOW && inputs.reading.timeToFullMs < SOON_MS
}

function rate(perSec: number): string {
  return String(Math.round(perSec))
}
