import type { Observable, Subscription } from 'rxjs'
import { assert } from '../assert.ts'
import type { BatchApplied, Projection } from '../projections/projection.ts'
import {
  concatMap,
  defer,
  EMPTY,
  exhaustMap,
  of,
  repeat,
  Subject,
  startWith,
  switchMap,
  take
} from '../rxjs.ts'
import type { Arrivals } from './arrivals.ts'
import type { IntervalController } from './controller.ts'
import type { DurableLimit } from './durable-limit.ts'
import { nextTurn$, quietTimer } from './timers.ts'

/** What a loop needs of its pipeline. */
export interface LoopHost {
  readonly arrivals: Arrivals
  readonly limit: DurableLimit
  head(): number
  now(): number
  /** Depth at which writers wait for this projection. */
  capacity(projection: Projection): number
  /** Whether somebody waits for events after `position`, so that nothing should gather first. */
  hurried(projection: Projection): boolean
  applied(projection: Projection, batch: BatchApplied, ms: number): void
  stopped(projection: Projection, error: Error): void
  /** It goes on where it had stopped. */
  resumed(projection: Projection): void
}

/** Appends are counted at once, but looked at by the controller no more often than this. */
const SAMPLE_EVERY_MS = 1
const NOW = Number.NEGATIVE_INFINITY
const NEVER = Number.POSITIVE_INFINITY

/**
 * Drives one projection: a window in which events gather, a batch, the next window, one after
 * the other. Runs only while the projection is behind; with nothing to do it holds no timer.
 */
export class BatchLoop {
  readonly projection: Projection
  readonly controller: IntervalController
  readonly #host: LoopHost
  /** Says that the time of the next batch may have come nearer. */
  readonly #nearer = new Subject<void>()
  #chain: Subscription | undefined
  #batch: Promise<void> = Promise.resolve()
  #error: Error | undefined
  /** Nothing starts any more, whatever the projection recovers from. */
  #isEnded = false
  /** When the open window ends: `NEVER` without one, `NOW` from its end to the next one. */
  #dueAt = NEVER
  /** How far the last batch might have gone. Behind it, events wait that no batch had room for. */
  #offered = 0
  /** The first batch starts a thread: what it takes says nothing about the others. */
  #isWarm = false
  #appended = 0
  #sampledAt = NOW

  constructor(projection: Projection, controller: IntervalController, host: LoopHost) {
    this.projection = projection
    this.controller = controller
    this.#host = host
  }

  /** Why it stopped. */
  get error(): Error | undefined {
    return this.#error
  }

  get depth(): number {
    return Math.max(this.#host.head() - this.projection.position, 0)
  }

  start(): void {
    assert(this.#chain === undefined, 'a loop starts once')
    if (this.#error !== undefined) return
    this.#follow()
    // It may be further behind than it seemed to be.
    void this.projection.checked?.then(() => this.nudge())
  }

  /** Sync and cheap: called for every frame. */
  appended(events: number): void {
    this.#appended += events
    this.refresh()
    this.nudge()
  }

  /** Samples unless that was done just now: asking often must not change what is seen. */
  refresh(): void {
    if (this.#host.now() - this.#sampledAt >= SAMPLE_EVERY_MS) this.sample()
  }

  /** Looks again at when the next batch is due. */
  nudge(): void {
    if (this.depth > 0 && this.#due() < this.#dueAt) this.#nearer.next()
  }

  /** Tells the controller what happened up to now. */
  sample(processed = 0, batchMs = 0): void {
    const now = this.#host.now()
    const capacity = this.#host.capacity(this.projection)
    const appended = this.#appended
    this.#appended = 0
    this.#sampledAt = now
    const { depth } = this
    const oldest = depth === 0 ? undefined : this.#host.arrivals.after(this.projection.position)
    const lagMs = now - (oldest ?? now)
    this.controller.sample({ now, depth, capacity, appended, processed, batchMs, lagMs })
  }

  /** Nothing is skipped: it stays where it is until it has recovered, or is replaced. */
  fail(error: Error): void {
    // What goes wrong in a batch that still ran then follows from the first error.
    if (this.#error !== undefined) return
    this.#error = error
    this.#chain?.unsubscribe()
    this.#host.stopped(this.projection, error)
    const recovered = this.projection.recovered?.(error)
    if (recovered !== undefined) void this.#resumeAfter(recovered)
  }

  /** Resolves when the running batch has ended. Starts no other. */
  async stop(): Promise<void> {
    this.#isEnded = true
    this.#chain?.unsubscribe()
    await this.#batch
  }

  #follow(): void {
    this.sample()
    this.#chain = this.#batches().subscribe()
    this.nudge()
  }

  /** Until then it counts as stopped. Never rejects: a projection that fails to recover stays so. */
  async #resumeAfter(recovered: Promise<boolean>): Promise<void> {
    try {
      if (!(await recovered)) return
    } catch (error) {
      this.#error = error instanceof Error ? error : new Error(String(error))
      return
    }
    // The batch that was running when it failed.
    await this.#batch
    if (this.#isEnded) return
    this.#error = undefined
    this.#dueAt = NEVER
    this.#host.resumed(this.projection)
    this.#follow()
  }

  #batches(): Observable<void> {
    const window$ = defer(() => this.#window())
    return this.#nearer.pipe(
      exhaustMap(() =>
        window$.pipe(
          concatMap(() => this.#nextBatch()),
          repeat({ delay: () => this.#again() })
        )
      )
    )
  }

  /** Emits when the window ends. A window may become shorter while it is open, never longer. */
  #window(): Observable<void> {
    return this.#nearer.pipe(
      startWith(undefined),
      switchMap(() => {
        const due = this.#due()
        const waitMs = due - this.#host.now()
        this.#dueAt = waitMs > 0 ? due : NOW
        return waitMs > 0 ? quietTimer(waitMs) : nextTurn$
      }),
      take(1)
    )
  }

  /** The first unprojected event waits for at most the interval, and for no more than enough. */
  #due(): number {
    const { position } = this.projection
    const { intervalMs, batchEvents } = this.controller.reading
    if (position < this.#offered || this.depth >= batchEvents) return NOW
    if (this.#host.hurried(this.projection)) return NOW
    const arrivedAt = this.#host.arrivals.after(position) ?? this.#host.now()
    return arrivedAt + intervalMs
  }

  /** Another window if there is more to do; else the next append opens one. */
  #again(): Observable<true> {
    const more = this.depth > 0
    this.#dueAt = more ? NOW : NEVER
    return more ? of(true) : EMPTY
  }

  async #nextBatch(): Promise<void> {
    this.#dueAt = NOW
    this.#batch = this.#runBatch()
    await this.#batch
  }

  /** Never rejects: what goes wrong stops the projection, visibly. */
  async #runBatch(): Promise<void> {
    const { projection } = this
    try {
      const limit = await this.#host.limit.beyond(projection.position)
      if (this.#chain?.closed === true) return

      const from = projection.position
      const startedAt = this.#host.now()
      this.#offered = limit
      const batch = await projection.project(limit)
      const ms = this.#host.now() - startedAt

      const { position } = projection
      assert(position <= limit, `projection '${projection.name}' stays within the durable head`)
      assert(position > from, `a batch moves projection '${projection.name}' forward`)
      this.sample(position - from, this.#isWarm ? ms : 0)
      this.#isWarm = true
      this.#host.applied(projection, batch, ms)
    } catch (error) {
      // A loop that was stopped may have been cut off: what it did not do is in the log.
      if (this.#chain?.closed === true) return
      this.fail(error instanceof Error ? error : new Error(String(error)))
    }
  }
}
