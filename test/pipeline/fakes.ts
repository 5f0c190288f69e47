import { resolveOptions } from '#sutra/options.js'
import { NO_VECTORS, type VectorLoad } from '#sutra/pipeline/health.js'
import type { Pipeline, PipelineSetup } from '#sutra/pipeline/pipeline.js'
import { Pipeline as RealPipeline } from '#sutra/pipeline/pipeline.js'
import { TelemetryHub } from '#sutra/telemetry/hub.js'
import { LatencyRecorder } from '#sutra/telemetry/latency.js'

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Notes what it was asked for, takes the time it is told to, and can be made to fail or hang. */
export class FakeProjection {
  readonly name: string
  position = 0
  batchMax = 1000
  batchMs = 1
  failAt = Number.POSITIVE_INFINITY
  readonly batches: { from: number; to: number; asked: number; at: number }[] = []
  running = 0
  overlapped = false
  /** Set: batches end only when this has resolved. */
  gate: Promise<void> | undefined

  constructor(name: string) {
    this.name = name
  }

  async project(asked: number): Promise<{ from: number; to: number; events: number; ms: number }> {
    this.overlapped ||= this.running > 0
    this.running += 1
    const from = this.position + 1
    const to = Math.min(asked, this.position + this.batchMax)
    const at = performance.now()
    await delay(this.batchMs)
    await this.gate
    this.running -= 1
    if (to >= this.failAt) throw new Error(`cannot apply ${this.failAt}`)
    this.batches.push({ from, to, asked, at })
    this.position = to
    return { from, to, events: to - from + 1, ms: this.batchMs }
  }
}

export class FakeLog {
  #head = 0
  #durable = 0
  syncs = 0
  syncMs = 1
  syncError: Error | undefined
  /** Every append is durable at once. */
  alwaysDurable = true

  head(): number {
    return this.#head
  }

  durableHead(): number {
    return this.#durable
  }

  async sync(): Promise<void> {
    this.syncs += 1
    const to = this.#head
    await delay(this.syncMs)
    if (this.syncError !== undefined) throw this.syncError
    this.#durable = Math.max(this.#durable, to)
  }

  append(events: number): number {
    this.#head += events
    if (this.alwaysDurable) this.#durable = this.#head
    return this.#head
  }
}

export interface Rig {
  log: FakeLog
  tables: FakeProjection
  vectors: FakeProjection
  hub: TelemetryHub
  latency: LatencyRecorder
  pipeline: Pipeline
  append(events?: number, bytes?: number): void
}

/** A pipeline over a fake log with a primary projection `tables` and another one, `vectors`. */
export function rig(
  options: NonNullable<Parameters<typeof resolveOptions>[0]>['pipeline'] = {},
  backlog = 0,
  line = () => ({ events: 0, bytes: 0 }),
  vectorLoad = (): VectorLoad => NO_VECTORS,
  timeOf?: (position: number) => Promise<number>
): Rig {
  const log = new FakeLog()
  log.append(backlog)
  const tables = new FakeProjection('tables')
  const vectors = new FakeProjection('vectors')
  const hub = new TelemetryHub()
  const latency = new LatencyRecorder()
  const setup: PipelineSetup = {
    options: resolveOptions({ pipeline: options }).pipeline,
    source: log,
    projections: [tables, vectors],
    primary: 'tables',
    line,
    vectors: vectorLoad,
    ...(timeOf === undefined ? {} : { timeOf }),
    hub,
    latency
  }
  const pipeline = new RealPipeline(setup)
  const append = (events = 1, bytes = events * 100): void =>
    pipeline.appended({ head: log.append(events), events, bytes })
  return { log, tables, vectors, hub, latency, pipeline, append }
}
