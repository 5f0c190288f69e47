import { assert } from '../assert.ts'
import type { ResolvedPipeline } from '../options.ts'
import type { BatchApplied, Projection } from '../projections/projection.ts'
import type { TelemetryHub } from '../telemetry/hub.ts'
import type { LatencyRecorder } from '../telemetry/latency.ts'
import type { PipelineStats, ProjectionState, ProjectionStats } from '../telemetry/types.ts'
import { Arrivals } from './arrivals.ts'
import { BatchLoop, type LoopHost } from './batch-loop.ts'
import { CatchUp, projectionStopped, type WaitsFor } from './catch-up.ts'
import { IntervalController, type LoadReading } from './controller.ts'
import { DurableLimit, type PipelineSource } from './durable-limit.ts'
import { FlowControl, storeClosed } from './flow-control.ts'
import { type HealthInputs, healthScore, NO_VECTORS, recommend, type VectorLoad } from './health.ts'
import { HealthWatch } from './health-watch.ts'
import { Lags } from './lags.ts'
import type { BoundedQueue, Load } from './queue.ts'

export interface PipelineSetup {
  options: ResolvedPipeline
  source: PipelineSource
  projections: readonly Projection[]
  /** The projection whose lag is the queue. */
  primary: string
  /** What waits for the writer, beside what waits for the tables. */
  line?: () => Load
  /** Where writers of vectors wait. */
  vectors?: () => VectorLoad
  /** Of an event that was there before, in milliseconds since 1970; 0 where nobody knows it. */
  timeOf?: (position: number) => Promise<number>
  hub: TelemetryHub
  latency: LatencyRecorder
  /** Milliseconds, monotonic. */
  now?: () => number
  /** Told of every projection that stops, once it is visible. */
  onStopped?(name: string, error: Error): void
}

/**
 * Brings every projection up to the head of the log, each at its own pace, and slows writers down
 * when the primary one cannot keep up. What is acknowledged is in the log: the pipeline itself
 * holds nothing that could be lost.
 */
export class Pipeline {
  readonly #setup: PipelineSetup
  readonly #now: () => number
  readonly #loops = new Map<string, BatchLoop>()
  readonly #rebuilding = new Set<string>()
  readonly #arrivals = new Arrivals()
  readonly #lags: Lags
  /** How writers are slowed down. */
  readonly flow: FlowControl
  readonly #queue: BoundedQueue
  readonly #catchUp: CatchUp
  readonly #host: LoopHost
  readonly #health: HealthWatch
  #head: number
  #batches = 0
  #phase: 'new' | 'started' | 'stopped' = 'new'

  constructor(setup: PipelineSetup) {
    const { options, source, primary } = setup
    const now = setup.now ?? (() => performance.now())
    this.#setup = setup
    this.#now = now
    this.#head = source.head()
    this.#arrivals.begin(this.#head, now())
    this.#lags = new Lags({ arrivals: this.#arrivals, now, timeOf: setup.timeOf })
    this.#catchUp = new CatchUp(now)
    this.flow = new FlowControl({
      options,
      depth: () => this.#primary.depth,
      line: () => setup.line?.() ?? { events: 0, bytes: 0 },
      now,
      stopError: () => this.#stopError(this.#primary),
      onWait: () => {
        this.#primary.nudge()
        this.#health.checkNow()
      }
    })
    this.#queue = this.flow.queue
    this.#host = {
      arrivals: this.#arrivals,
      limit: new DurableLimit(source, options.batchEventsMax),
      head: () => this.#head,
      now,
      capacity: ({ name }) => (name === primary ? this.#queue.capacity : options.queueEventsMax),
      hurried: (projection) => this.#hurried(projection),
      applied: (projection, batch, ms) => this.#applied(projection, batch, ms),
      stopped: (projection, error) => this.#stopped(projection, error),
      resumed: (projection) => this.#resumed(projection)
    }
    for (const projection of setup.projections) this.add(projection)
    assert(this.#loops.has(primary), `the pipeline has its primary projection '${primary}'`)
    this.#health = new HealthWatch(setup.hub, {
      reading: () => this.#primary.controller.reading,
      inputs: () => this.#healthInputs(),
      sample: () => this.#primary.sample()
    })
  }

  /** Begins to project, what was behind at open included. */
  start(): void {
    assert(this.#phase === 'new', 'a pipeline starts once')
    this.#phase = 'started'
    for (const loop of this.#loops.values()) loop.start()
  }

  /** Sync and cheap. To be called after every acknowledged frame. */
  appended(frame: Load & { head: number }): void {
    assert(frame.head >= this.#head, 'the head only moves forward')
    this.#head = frame.head
    this.#arrivals.add(frame.head, this.#now())
    this.#queue.added(frame.head, frame)
    for (const loop of this.#loops.values()) loop.appended(frame.events)
    // A queue can fill up between two readings of the controller.
    if (this.#queue.utilization >= this.#setup.options.warnAt) this.#health.checkNow()
    else this.#health.check()
  }

  /** What the primary projection goes by now. */
  get reading(): LoadReading {
    return this.#primary.controller.reading
  }

  /** Acknowledged events that the primary projection does not hold yet. */
  get backlog(): number {
    return this.#primary.depth
  }

  /**
   * Resolves once every projection holds the events up to `position`, or those that are named.
   * While somebody waits, batches start at once.
   *
   * @throws StoreError `PROJECTION_STOPPED`, `ABORTED`, `STORE_CLOSED`
   */
  async caughtUp(position: number, signal?: AbortSignal, names?: readonly string[]): Promise<void> {
    if (this.#phase === 'stopped') throw storeClosed('caughtUp')
    const waitsFor: WaitsFor = (one) => names?.includes(one.name) ?? one.isAside !== true
    await this.#checked(waitsFor)
    for (const loop of this.#loops.values()) {
      const stopped = waitsFor(loop.projection) ? this.#stopError(loop) : undefined
      if (stopped !== undefined && loop.projection.position < position) throw stopped
    }
    if (this.#slowest(waitsFor) >= position) return
    const wait = this.#catchUp.wait(position, waitsFor, signal)
    for (const loop of this.#loops.values()) loop.nudge()
    await wait
  }

  /** Before that, a position says too much where files are damaged. */
  async #checked(waitsFor: WaitsFor): Promise<void> {
    const projections = Array.from(this.#loops.values(), ({ projection }) => projection)
    await Promise.all(projections.filter(waitsFor).map(async ({ checked }) => checked))
    if (this.#phase === 'stopped') throw storeClosed('caughtUp')
  }

  /** A projection that comes later, such as the vectors of a store that had none. */
  add(projection: Projection): void {
    const { name } = projection
    assert(!this.#loops.has(name), `projection '${name}' is added once`)
    assert(this.#phase !== 'stopped', 'a stopped pipeline takes no projection')
    this.#install(projection)
  }

  /** Resolves when its running batch has ended. Nobody waits for it any more. */
  async remove(name: string): Promise<void> {
    assert(name !== this.#setup.primary, 'the primary projection can only be replaced')
    await this.#loops.get(name)?.stop()
    this.#loops.delete(name)
    this.#lags.forget(name)
    this.#rebuilding.delete(name)
    this.#moved()
  }

  /**
   * Puts a projection in the place of the one of the same name, as a rebuild does with the new
   * generation. Who waits for room or to catch up goes on to wait. Also ends a stop.
   */
  async replace(projection: Projection, takeOver: () => Promise<void>): Promise<void> {
    const { name } = projection
    const old = this.#loops.get(name)
    assert(old !== undefined, `there is a projection '${name}' to replace`)
    await old.stop()
    try {
      // Nobody waits for the new one yet: reads still begin at the old one.
      await takeOver()
    } catch (error) {
      if (this.#phase !== 'stopped' && old.error === undefined) this.#install(old.projection)
      throw error
    }
    // The store may have been closed while the old one's batch ended.
    if (this.#phase === 'stopped') throw storeClosed('replace')
    this.#rebuilding.delete(name)
    this.#install(projection)
    this.#moved()
  }

  /** While its next generation is built, whoever waits for a stopped projection goes on waiting. */
  setRebuilding(name: string, rebuilding: boolean): void {
    const loop = this.#loops.get(name)
    assert(loop !== undefined, `there is a projection '${name}' to rebuild`)
    if (rebuilding) this.#rebuilding.add(name)
    else this.#rebuilding.delete(name)
    if (!rebuilding && loop.error !== undefined) {
      this.#rejectWaiters(loop.projection, loop.error)
    }
    this.#health.checkNow()
  }

  /** A projection was found broken outside of a batch. */
  fail(name: string, error: Error): void {
    const loop = this.#loops.get(name)
    assert(loop !== undefined, `there is a projection '${name}' to fail`)
    loop.fail(error)
  }

  stats(): PipelineStats {
    const primary = this.#primary
    primary.refresh()
    this.#health.check()
    const { reading } = primary.controller
    const health = this.#healthInputs()
    return {
      queueDepth: primary.depth,
      queueUtilization: this.#queue.utilization,
      predictedQueueDepth: Math.round(reading.predictedDepth),
      intervalMs: reading.intervalMs,
      batchEvents: reading.batchEvents,
      load: reading.load,
      pressure: Math.max(reading.pressure, this.#above(health.vectors.fill)),
      healthScore: healthScore(health),
      recommendation: recommend(health),
      arrivalRatePerSec: reading.arrivalRatePerSec,
      processingRatePerSec: reading.processingRatePerSec,
      estimatedLagMs: reading.estimatedLagMs,
      timeToFullMs: reading.timeToFullMs,
      batches: this.#batches,
      backPressureMs: this.#queue.waitedMs + health.vectors.waitedMs,
      projections: Object.fromEntries(
        Array.from(this.#loops, ([name, loop]) => [name, this.#projectionStats(loop)])
      )
    }
  }

  /** Lets the running batches end, starts no other, and rejects whoever waits. */
  async stop(): Promise<void> {
    this.#phase = 'stopped'
    this.#health.stop()
    this.flow.close()
    this.#catchUp.rejectAll(storeClosed('caughtUp'))
    await Promise.all(Array.from(this.#loops.values(), (loop) => loop.stop()))
    await this.#lags.stop()
  }

  #install(projection: Projection): void {
    const loop = new BatchLoop(projection, new IntervalController(this.#setup.options), this.#host)
    this.#loops.set(projection.name, loop)
    this.#lags.look(projection)
    if (this.#phase === 'started') loop.start()
  }

  get #primary(): BatchLoop {
    const loop = this.#loops.get(this.#setup.primary)
    assert(loop !== undefined, 'the pipeline always has its primary projection')
    return loop
  }

  #slowest(among: WaitsFor = () => true): number {
    let slowest = this.#head
    for (const { projection } of this.#loops.values()) {
      if (among(projection)) slowest = Math.min(slowest, projection.position)
    }
    return slowest
  }

  #hurried({ name, position }: Projection): boolean {
    if (this.#catchUp.awaitedBeyond(position)) return true
    if (name !== this.#setup.primary) return false
    return this.#queue.isAwaited || this.#queue.utilization > this.#setup.options.warnAt
  }

  #applied({ name }: Projection, batch: BatchApplied, ms: number): void {
    const { hub, latency } = this.#setup
    this.#batches += 1
    latency.record('projection', ms * 1000)
    if (name === this.#setup.primary) this.#recordLag(batch.from)
    if (hub.active) {
      const { from, to, events } = batch
      const time = Date.now()
      hub.emit({ type: 'batch-applied', time, projection: name, from, to, events, ms: batch.ms })
      hub.timed('projection', ms * 1000, () => `batch of ${events} events of '${name}'`)
    }
    this.#moved()
  }

  /** How old the first event of a batch is, now that reads see it in the tables. */
  #recordLag(first: number): void {
    const arrivedAt = this.#arrivals.after(first - 1)
    if (arrivedAt === undefined) return
    const { intervalMs } = this.#primary.controller.reading
    this.#setup.latency.recordPeriodic('lag', (this.#now() - arrivedAt) * 1000, intervalMs * 1000)
  }

  /** A projection has come further, or another one is in its place. */
  #moved(): void {
    this.#arrivals.forget(this.#slowest())
    this.#catchUp.reached((waitsFor) => this.#slowest(waitsFor))
    this.#queue.removed(this.#primary.projection.position)
    this.#health.checkNow()
  }

  #stopped(projection: Projection, error: Error): void {
    const { hub } = this.#setup
    const { name, position } = projection
    if (hub.active) {
      const time = Date.now()
      hub.emit({
        type: 'projection-stopped',
        time,
        projection: name,
        position,
        error: error.message
      })
    }
    // Whoever is told may begin a rebuild, which waiters then wait for.
    this.#setup.onStopped?.(name, error)
    if (!this.#rebuilding.has(name)) this.#rejectWaiters(projection, error)
    this.#health.checkNow()
  }

  #resumed({ name: projection, position }: Projection): void {
    const { hub } = this.#setup
    if (hub.active) hub.emit({ type: 'projection-resumed', time: Date.now(), projection, position })
    this.#health.checkNow()
  }

  #rejectWaiters(projection: Projection, error: Error): void {
    const { name, position } = projection
    this.#catchUp.stoppedAt(projection, error)
    if (name !== this.#setup.primary) return
    this.#queue.rejectShutOut(projectionStopped(name, position, error))
  }

  #stopError({ projection, error }: BatchLoop): Error | undefined {
    if (error === undefined || this.#rebuilding.has(projection.name)) return undefined
    return projectionStopped(projection.name, projection.position, error)
  }

  #healthInputs(): HealthInputs {
    const stopped = Array.from(this.#loops.values())
      .filter((loop) => this.#state(loop) === 'stopped')
      .map(({ projection: { name, position } }) => ({ name, position }))
    return {
      reading: this.#primary.controller.reading,
      utilization: this.#queue.utilization,
      warnAt: this.#setup.options.warnAt,
      waiting: this.#queue.waiting,
      vectors: this.#setup.vectors?.() ?? NO_VECTORS,
      primary: this.#setup.primary,
      stopped,
      behind: this.#behind()
    }
  }

  /** What is not made to catch up, as in a store that is only read, is no matter of health. */
  #behind(): HealthInputs['behind'] {
    if (this.#phase !== 'started') return []
    return Array.from(this.#loops.values())
      .filter((loop) => loop.depth > 0 && this.#state(loop) === 'running')
      .map(({ projection, depth: events }) => {
        return { name: projection.name, events, ms: this.#lags.lastingMs(projection) }
      })
  }

  /** How far a share is from the warning, 0, to all there is, 1. */
  #above(fill: number): number {
    const { warnAt } = this.#setup.options
    return Math.min(Math.max((fill - warnAt) / (1 - warnAt), 0), 1)
  }

  #projectionStats(loop: BatchLoop): ProjectionStats {
    const { position } = loop.projection
    const error = loop.error?.message
    return {
      state: this.#state(loop),
      position,
      lagEvents: loop.depth,
      lagMs: loop.depth === 0 ? 0 : this.#lags.lagMs(loop.projection),
      ...(error === undefined ? {} : { error })
    }
  }

  #state({ projection, error }: BatchLoop): ProjectionState {
    if (this.#rebuilding.has(projection.name)) return 'rebuilding'
    if (error !== undefined) return 'stopped'
    return projection.isAside === true ? 'rebuilding' : 'running'
  }
}
