import { IDLE_BELOW, type LoadReading } from './controller.ts'

/** A change between these is worth an event; within one, only the numbers move. */
export type HealthLevel = 'healthy' | 'filling' | 'full' | 'stopped'

/** How full it is where writers of vectors wait. */
export interface VectorLoad {
  /** Vectors that wait for their graphs, as a share of those that may. */
  fill: number
  /** Writers that wait until there are fewer, and for how long writers have. */
  waiting: number
  waitedMs: number
}

export const NO_VECTORS: VectorLoad = { fill: 0, waiting: 0, waitedMs: 0 }

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
}

/** A queue that will be full sooner than this is worth a warning. */
const SOON_MS = 10_000
/** At most, while a projection other than the primary one has stopped. */
const STOPPED_SCORE = 0.3

export function healthLevel(inputs: HealthInputs): HealthLevel {
  if (inputs.stopped.length > 0) return 'stopped'
  if (isQueueFull(inputs) || inputs.vectors.waiting > 0 || inputs.vectors.fill >= 1) return 'full'
  return fillOf(inputs) >= inputs.warnAt || fullSoon(inputs) ? 'filling' : 'healthy'
}

/** 1 is well, 0 is at a standstill or full; 0.5 at the warning; less if it will be full soon. */
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
  return Math.min(byFill, byTime, level === 'stopped' ? STOPPED_SCORE : 1)
}

/** What to do, in words. */
export function recommend(inputs: HealthInputs): string {
  const { reading, utilization, vectors, warnAt } = inputs
  const rates =
    `${rate(reading.arrivalRatePerSec)} events/s come, ` +
    `${rate(reading.processingRatePerSec)} are projected`
  switch (healthLevel(inputs)) {
    case 'stopped':
      return inputs.stopped
        .map(({ name, position }) => `Projection '${name}' stopped at ${position}: rebuild it`)
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
      const seconds = (reading.timeToFullMs / 1000).toFixed(1)
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
