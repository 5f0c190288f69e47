/**
 * The one loop of a subscription, which does one thing at a time. It reads a batch, gives it to the
 * handler until that is done with it or it is set aside, and notes how far it has come. So order is
 * kept, and what callers ask for (a reset, a retry) never meets a running handler.
 */
import { asError, ioFailed, isStoreError, type StoreError } from '../../errors.ts'
import type { TelemetryHub } from '../../telemetry/hub.ts'
import type { OperationWatch } from '../../telemetry/operation-watch.ts'
import type { SubscriptionState, SubscriptionStats } from '../../telemetry/types.ts'
import { STRETCH_MS, turn } from '../../turn.ts'
import type { BatchHandler, Delivery, EventHandler, StoredEvent } from '../../types.ts'
import { WaitList } from '../wait-list.ts'
import { Bell } from './bell.ts'
import { Cursor, type CursorSource } from './cursor.ts'
import type { CheckpointKeeper } from './keeper.ts'
import { type SubscriptionSetup, subscriptionStopped } from './options.ts'
import { Quarantine, type QuarantineHost } from './quarantine.ts'
import { Teller } from './teller.ts'
import { type Call, consumed, delayOf, noteOf, split, type Work, workOf } from './work.ts'

export interface LoopHost extends QuarantineHost {
  source: CursorSource & { head(): number }
  /** Resolves when something behind this position, which is below the head, is durable. */
  durableBeyond(position: number): Promise<unknown>
  /** The head of now, once it is durable. */
  durableNow(): Promise<number>
  hub: TelemetryHub
  /** Runs a handler for whoever looks on; `undefined`: nobody does. */
  consume?: OperationWatch['consumer']
}

export interface LoopSetup {
  setup: SubscriptionSetup
  handler: EventHandler | BatchHandler
  keeper: CheckpointKeeper
  /** Events up to here may have been delivered in an earlier life. */
  seenBefore: number
}

/** What is done between two batches. */
interface Errand {
  run(): Promise<void>
  reject(error: Error): void
}

export class SubscriptionLoop {
  readonly quarantine: Quarantine
  readonly #host: LoopHost
  readonly #setup: SubscriptionSetup
  readonly #call: Call
  readonly #keeper: CheckpointKeeper
  readonly #cursor: Cursor
  readonly #teller: Teller
  readonly #bell = new Bell()
  readonly #ending = new AbortController()
  readonly #waiting = new WaitList<number>('caughtUp', () => performance.now())
  readonly #counts = { delivered: 0, retries: 0 }
  /** In quarantine, though the handler's own storage says that it had not come so far. */
  #aside: ReadonlySet<number>
  #work: Work[] = []
  #errands: Errand[] = []
  #seenBefore: number
  #isPaused = false
  #isHandling = false
  /** Whether it waits for events, and for nothing else. */
  #isIdle = false
  #isOver = false
  /** Whether it was told that all is handled, since it began, went on or was reset. */
  #wasCaughtUp = false
  #failure: StoreError | undefined
  /** Time of the first event that is not handled, in milliseconds since 1970. */
  #behindSince: number | undefined
  #breathedAt = performance.now()
  #ended: Promise<void> | undefined

  constructor(host: LoopHost, { setup, handler, keeper, seenBefore }: LoopSetup) {
    const { position, time, quarantined } = keeper.checkpoint
    this.quarantine = new Quarantine(host, keeper)
    this.#host = host
    this.#setup = setup
    // Which of the two it is, the caller said by asking for batches or not.
    this.#call =
      setup.batch === undefined
        ? ([event], delivery) => (handler as EventHandler)(event as StoredEvent, delivery)
        : (handler as BatchHandler)
    this.#keeper = keeper
    this.#teller = new Teller(host.hub, setup.name)
    this.#seenBefore = seenBefore
    this.#cursor = new Cursor(host.source, setup.filter, setup.name, position)
    if (position < host.source.head()) this.#behindSince = time === 0 ? Date.now() : time
    const aside = quarantined.map((one) => one.position)
    this.#aside = new Set(aside.filter((one) => one > position))
  }

  get position(): number {
    return this.#keeper.checkpoint.position
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /**
   * Goes on until it is told to end.
   *
   * @throws StoreError `SUBSCRIPTION_STOPPED`
   */
  async run(): Promise<void> {
    try {
      while (!this.#ending.signal.aborted) {
        await this.#step()
        await this.#breathe()
      }
    } catch (error) {
      this.fail(error)
    }
    try {
      await this.end()
    } catch (error) {
      this.#failure ??= this.#stoppedBy(error)
    }
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Ends with an error, whatever it is doing. */
  fail(thrown: unknown): void {
    if (this.#failure !== undefined || this.#isOver) return
    this.#failure = this.#stoppedBy(thrown)
    this.endSoon()
  }

  /** A running handler goes on to its end, and its signal fires. */
  endSoon(): void {
    this.#ending.abort()
    this.#bell.ring()
  }

  /** Lets go of everything. The first call does it, whether or not a handler still runs. */
  async end(): Promise<void> {
    this.endSoon()
    this.#ended ??= this.#end()
    await this.#ended
  }

  pause(): void {
    this.#isPaused = true
    this.#bell.ring()
  }

  resume(): void {
    this.#isPaused = false
    this.#wasCaughtUp = false
    this.#bell.ring()
  }

  /** There is more in the log. Sync and cheap. */
  appended(): void {
    this.#behindSince ??= Date.now()
    if (this.#isIdle) this.#bell.ring()
  }

  /** Does something between two batches, while no handler runs. */
  inTurn(work: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#ending.signal.aborted) throw this.#over()
      const run = (): Promise<void> => work().then(resolve, reject)
      this.#errands.push({ run, reject })
      this.#bell.ring()
    })
  }

  /** Resolves once everything up to a position is handled or set aside. */
  async reached(position: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.position >= position) return
    if (this.#isOver) throw this.#over()
    await this.#waiting.wait(position, signal)
  }

  /** Goes on behind another position. To be called in turn. */
  async moveTo(position: number, epoch: string): Promise<void> {
    const { quarantined } = this.#keeper.checkpoint
    const seen = Math.max(this.#seenBefore, this.position, this.#work[0]?.last ?? 0)
    // What is delivered again gets another chance.
    const kept = quarantined.filter((one) => one.position <= position)
    await this.#keeper.keep({ position, time: 0, epoch, quarantined: kept })
    this.#seenBefore = seen
    this.#work = []
    this.#aside = new Set()
    this.#wasCaughtUp = false
    const isBehind = position < this.#host.source.head()
    this.#behindSince = isBehind ? (this.#behindSince ?? Date.now()) : undefined
    await this.#cursor.moveTo(position)
  }

  /** Gives an event to the handler once. To be called in turn. */
  async deliver(events: StoredEvent[], attempt: number, mayBeKnown: boolean): Promise<void> {
    const isKnown = attempt > 1 || (events[0]?.position ?? 0) <= this.#seenBefore
    const delivery: Delivery = {
      subscription: this.#setup.name,
      attempt,
      redelivered: mayBeKnown || isKnown,
      signal: this.#ending.signal,
      stop: () => this.endSoon()
    }
    this.#isHandling = true
    try {
      await consumed(this.#host.consume, this.#setup, events, delivery, this.#call)
      this.#counts.delivered += events.length
    } finally {
      this.#isHandling = false
    }
  }

  stats(): SubscriptionStats {
    const { position, quarantined } = this.#keeper.checkpoint
    const now = Date.now()
    const lagEvents = Math.max(0, this.#host.source.head() - position)
    return {
      state: this.#state,
      position,
      lagEvents,
      lagMs: lagEvents === 0 ? 0 : Math.max(0, now - (this.#behindSince ?? now)),
      attempts: this.#work[0]?.attempts ?? 0,
      quarantined: quarantined.length,
      ...this.#counts,
      ...(this.#failure === undefined ? {} : { error: this.#failure.message })
    }
  }

  get #state(): SubscriptionState {
    if (this.#isOver) return 'stopped'
    if (this.#isPaused) return 'paused'
    const isWaiting = (this.#work[0]?.attempts ?? 0) > 0 && !this.#isHandling
    return isWaiting ? 'retrying' : 'running'
  }

  async #step(): Promise<void> {
    const errand = this.#errands.shift()
    if (errand !== undefined) {
      await errand.run()
      return
    }
    if (this.#isPaused) {
      await this.#rest()
      return
    }
    const [work] = this.#work
    if (work === undefined) {
      await this.#read()
      return
    }
    const waitMs = work.notBefore - performance.now()
    if (waitMs > 0) await this.#rest(waitMs)
    else await this.#attempt(work)
  }

  /** Waits, and keeps nothing of the log open meanwhile. */
  async #rest(ms?: number): Promise<void> {
    await this.#cursor.release()
    // Whoever rang while it was let go was not heard.
    if (this.#errands.length > 0 || this.#ending.signal.aborted) return
    if (ms === undefined && !this.#isPaused) return
    await this.#bell.wait(ms)
    this.#breathedAt = performance.now()
  }

  async #read(): Promise<void> {
    const { source } = this.#host
    const batch = await this.#cursor.next(this.#setup.batch ?? 1)
    if (batch !== undefined) {
      if (this.#aside.size > 0) {
        batch.events = batch.events.filter(({ position }) => !this.#aside.has(position))
      }
      const [first] = batch.events
      if (first === undefined) this.#moved(batch.last, batch.time, 0)
      else {
        this.#behindSince = first.time
        this.#work.push(workOf(batch))
      }
      return
    }
    if (source.head() > this.#cursor.position) {
      await this.#host.durableBeyond(this.#cursor.position)
      return
    }
    this.#caughtUp()
    // Nothing was awaited since the head was looked at: a ring is not missed.
    const mayWait = this.#errands.length === 0 && !this.#isPaused && !this.#ending.signal.aborted
    if (!mayWait) return
    this.#isIdle = true
    await this.#bell.wait()
    this.#isIdle = false
    this.#breathedAt = performance.now()
  }

  async #attempt(work: Work): Promise<void> {
    work.attempts += 1
    if (work.attempts > 1) this.#counts.retries += 1
    try {
      await this.deliver(work.events, work.attempts, false)
    } catch (error) {
      // A handler that gives up because it was told to end has not failed.
      if (!this.#ending.signal.aborted) await this.#failed(work, asError(error))
      return
    }
    // The store may have closed without waiting for it: the event is delivered again.
    if (this.#isOver) return
    this.#work.shift()
    this.#moved(work.last, work.time, work.events.length)
  }

  async #failed(work: Work, error: Error): Promise<void> {
    const { retry } = this.#setup
    const { attempts, events } = work
    if (attempts <= retry.times) {
      const delayMs = delayOf(retry, attempts)
      work.notBefore = performance.now() + delayMs
      const position = events[0]?.position ?? work.last
      this.#teller.retrying({ position, attempt: attempts, delayMs, error: error.message })
      return
    }
    if (events.length > 1) this.#work = split(work)
    else await this.#setAside(work, error)
  }

  async #setAside({ events, last, time, attempts }: Work, error: Error): Promise<void> {
    const [event] = events
    if (event === undefined) return
    const { name, quarantineMax } = this.#setup
    const { position } = event
    if (this.quarantine.size >= quarantineMax) {
      const full = quarantineMax === 0 ? '' : `, and ${quarantineMax} events are in quarantine`
      const reason = `the handler failed ${attempts} times at ${position}: ${error.message}${full}`
      throw subscriptionStopped(name, this.position, reason, error)
    }
    const why = { attempts, error: noteOf(error) }
    await this.quarantine.add(event, why, { position: last, time })
    this.#work.shift()
    this.#moved(last, time, 0)
    this.#teller.quarantined({ position, ...why })
  }

  #moved(position: number, time: number, events: number): void {
    this.#keeper.moved(position, time, events)
    if (this.#waiting.size > 0) this.#letGo(position)
    if (position < this.#host.source.head()) return
    this.#behindSince = undefined
    this.#caughtUp()
  }

  #letGo(position: number): void {
    for (const waiting of [...this.#waiting]) if (waiting.wants <= position) waiting.resolve()
  }

  #caughtUp(): void {
    if (this.#wasCaughtUp) return
    this.#wasCaughtUp = true
    this.#teller.caughtUp({ position: this.position })
  }

  /** Handlers that never wait for anything leave the event loop to the program all the same. */
  async #breathe(): Promise<void> {
    if (performance.now() - this.#breathedAt < STRETCH_MS) return
    await turn()
    this.#breathedAt = performance.now()
  }

  async #end(): Promise<void> {
    this.#isOver = true
    const over = this.#over()
    for (const errand of this.#errands) errand.reject(over)
    this.#errands = []
    this.#waiting.rejectAll(over)
    const { position } = this
    if (this.#failure !== undefined) {
      this.#teller.stopped({ position, error: this.#failure.message })
    }
    try {
      // What was in the handler's hands may have been done.
      // Behind a reset, events that were delivered before are still to come: whoever goes on must know.
      const isBehind = this.position < this.#seenBefore
      await this.#keeper.close(!isBehind && (this.#work[0]?.attempts ?? 0) === 0)
    } catch (error) {
      throw ioFailed(error, 'subscription')
    } finally {
      await this.#cursor.release()
    }
  }

  #stoppedBy(thrown: unknown): StoreError {
    if (isStoreError(thrown, 'SUBSCRIPTION_STOPPED')) return thrown
    const error = asError(thrown)
    return subscriptionStopped(this.#setup.name, this.position, error.message, error)
  }

  #over(): StoreError {
    const { name } = this.#setup
    return this.#failure ?? subscriptionStopped(name, this.position, 'it was closed', undefined)
  }
}
