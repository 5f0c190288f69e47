/**
 * The real pipeline, with its queue, loops and controllers, on a virtual clock: what comes, what a
 * batch costs and what the disk does is a model. The same numbers on every machine.
 */
import { type PipelineOptions, resolveOptions } from '#sutra/options.js'
import { Pipeline } from '#sutra/pipeline/pipeline.js'
import { TelemetryHub } from '#sutra/telemetry/hub.js'
import { LatencyRecorder } from '#sutra/telemetry/latency.js'
import { VirtualClock } from './clock.ts'
import type { LoadShape } from './shapes.ts'

/** About what the store's tables take on a machine of today. */
export const FIXED_MS = 1
export const EVENT_MS = 0.005
const STEP_MS = 1
const WATCH_MS = 50
/** Bytes of an event, so that the queue is bounded by events. */
const EVENT_BYTES = 100

export interface Moment {
  readonly now: number
  readonly depth: number
  /** Age of the oldest event that the tables do not hold. */
  readonly lagMs: number
  readonly intervalMs: number
  readonly load: number
  readonly pressure: number
  readonly predictedDepth: number
  readonly timeToFullMs: number
  readonly isBlocked: boolean
  /** Of the second projection, if there is one. */
  readonly slowLagMs: number
}

export interface Simulation {
  readonly moments: readonly Moment[]
  readonly batches: number
  readonly events: number
  /** The longest that a batch of the tables took. */
  readonly batchMsMax: number
  /** Of events, from the acknowledgement until the tables hold them. */
  readonly lag: { readonly mean: number; readonly p99: number; readonly max: number }
  /** The share of one processor that goes to what batches cost beside their events. */
  readonly overhead: number
  /** Events that are in the tables at the end. */
  readonly projected: number
}

/** Follows the log at a cost, and tells how late its events were. */
class ModelProjection {
  readonly name: string
  position = 0
  batches = 0
  batchMsMax = 0
  /** Lags with the number of events that had each. */
  readonly lags: [number, number][] = []
  readonly #clock: VirtualClock
  readonly #batchMax: number
  readonly #costMs: (events: number) => Promise<void>
  #marks: { last: number; at: number }[] = []

  constructor(
    name: string,
    clock: VirtualClock,
    batchMax: number,
    costMs: (events: number) => Promise<void>
  ) {
    this.name = name
    this.#clock = clock
    this.#batchMax = batchMax
    this.#costMs = costMs
  }

  get lagMs(): number {
    return this.#clock.now - (this.#marks[0]?.at ?? this.#clock.now)
  }

  appended(last: number): void {
    this.#marks.push({ last, at: this.#clock.now })
  }

  async project(asked: number): Promise<{ from: number; to: number; events: number; ms: number }> {
    const from = this.position + 1
    const to = Math.min(asked, this.position + this.#batchMax)
    const began = this.#clock.now
    await this.#costMs(to - from + 1)
    const ms = this.#clock.now - began
    this.#arrived(to)
    this.batches += 1
    this.batchMsMax = Math.max(this.batchMsMax, ms)
    return { from, to, events: to - from + 1, ms }
  }

  #arrived(to: number): void {
    for (
      let mark = this.#marks[0];
      mark !== undefined && this.position < to;
      mark = this.#marks[0]
    ) {
      const reached = Math.min(mark.last, to)
      this.lags.push([this.#clock.now - mark.at, reached - this.position])
      this.position = reached
      if (mark.last === reached) this.#marks.shift()
    }
  }
}

export async function simulate(
  shape: LoadShape,
  options: PipelineOptions = {}
): Promise<Simulation> {
  const clock = new VirtualClock()
  return clock.during(async () => run(clock, shape, options))
}

async function run(
  clock: VirtualClock,
  shape: LoadShape,
  given: PipelineOptions
): Promise<Simulation> {
  const options = resolveOptions({ pipeline: given }).pipeline
  let head = 0
  const cost = (times: number) => async (events: number) => {
    let leftMs = (FIXED_MS + EVENT_MS * events) * times
    if (shape.slowness === undefined) {
      await clock.delay(leftMs)
      return
    }
    while (leftMs > 0) {
      // While the disk stands still nothing of it gets done.
      const slowness = clock.now > shape.ms ? 1 : shape.slowness(clock.now)
      const stepMs = Math.min(leftMs * Math.min(slowness, 1e6), STEP_MS)
      await clock.delay(stepMs)
      leftMs -= stepMs / slowness
      if (leftMs < 1e-9) leftMs = 0
    }
  }
  const tables = new ModelProjection('tables', clock, options.batchEventsMax, cost(1))
  const slow = new ModelProjection(
    'slow',
    clock,
    options.batchEventsMax,
    cost(shape.slowProjection ?? 1)
  )
  const pipeline = new Pipeline({
    options,
    source: { head: () => head, durableHead: () => head, sync: async () => undefined },
    projections: shape.slowProjection === undefined ? [tables] : [tables, slow],
    primary: 'tables',
    hub: new TelemetryHub(),
    latency: new LatencyRecorder(),
    now: () => clock.now
  })
  pipeline.start()
  const moments: Moment[] = []
  let owed = 0
  let isBlocked = false
  const append = (): void => {
    // What cannot be written yet is owed: callers wait with it.
    while (owed >= shape.commitEvents && !isBlocked) {
      const room = pipeline.flow.room({ events: shape.commitEvents, bytes: 0 })
      if (room !== undefined) {
        isBlocked = true
        const letIn = (): void => {
          isBlocked = false
        }
        room.then(letIn, letIn)
        break
      }
      owed -= shape.commitEvents
      head += shape.commitEvents
      tables.appended(head)
      if (shape.slowProjection !== undefined) slow.appended(head)
      const bytes = shape.commitEvents * EVENT_BYTES
      pipeline.appended({ head, events: shape.commitEvents, bytes })
    }
  }
  for (let now = STEP_MS; now <= shape.ms; now += STEP_MS) {
    await clock.advanceTo(now)
    owed += shape.rate(now) * STEP_MS
    if (owed >= shape.commitEvents && !isBlocked) {
      append()
      await clock.settle()
    }
    // As somebody would who watches: with nothing to do, the pipeline itself looks at nothing.
    if (now % WATCH_MS === 0) pipeline.stats()
    const { reading } = pipeline
    moments.push({
      now,
      depth: head - tables.position,
      lagMs: tables.lagMs,
      intervalMs: reading.intervalMs,
      load: reading.load,
      pressure: reading.pressure,
      predictedDepth: reading.predictedDepth,
      timeToFullMs: reading.timeToFullMs,
      isBlocked,
      slowLagMs: slow.lagMs
    })
  }
  const { batches, batchMsMax, lags, position } = tables
  const stopped = pipeline.stop()
  await clock.advanceTo(shape.ms + 60_000)
  await stopped
  return {
    moments,
    batches,
    events: head,
    batchMsMax,
    lag: summary(lags),
    overhead: (batches * FIXED_MS) / shape.ms,
    projected: position
  }
}

function summary(lags: readonly [number, number][]): Simulation['lag'] {
  const sorted = lags.toSorted(([a], [b]) => a - b)
  const events = sorted.reduce((sum, [, count]) => sum + count, 0)
  let mean = 0
  let p99 = 0
  let before = 0
  for (const [lag, count] of sorted) {
    mean += (lag * count) / events
    if (before < events * 0.99) p99 = lag
    before += count
  }
  return { mean, p99, max: sorted.at(-1)?.[0] ?? 0 }
}
