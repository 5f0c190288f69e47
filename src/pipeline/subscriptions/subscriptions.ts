/**
 * The subscriptions of one open store: each has a name, a file that says how far it has come, and a
 * handler for as long as somebody gives it one.
 */
import { ioFailed, StoreError, show, throwIfAborted } from '../../errors.ts'
import { optionInvalid } from '../../options.ts'
import type { SlotFile } from '../../storage/slot-file.ts'
import type { SubscriptionStats } from '../../telemetry/types.ts'
import type {
  BatchHandler,
  EventHandler,
  SubscribeOptions,
  Subscription,
  SubscriptionInfo
} from '../../types.ts'
import { type Checkpoint, decodeCheckpoint, newEpoch, subscriptionDamaged } from './checkpoint.ts'
import { CheckpointFiles, type FoundCheckpoint } from './checkpoint-files.ts'
import { CheckpointKeeper } from './keeper.ts'
import { type LoopHost, SubscriptionLoop } from './loop.ts'
import {
  checkResumeAfter,
  checkSubscription,
  checkSubscriptionName,
  type SubscriptionSetup
} from './options.ts'
import { RunningSubscription } from './subscription.ts'

/** How long a store that closes waits for handlers, whose signal has fired. */
const CLOSE_WAIT_MS = 5000

export interface SubscriptionsHost extends LoopHost {
  /** Time of the event at a position; 0 where it is lost. */
  timeAt(position: number): Promise<number>
}

export interface SubscriptionsSetup {
  /** Of the store. */
  directory: string
  storeId: string
  host: SubscriptionsHost
}

interface OpenedCheckpoint {
  file: SlotFile
  checkpoint: Checkpoint
  /** Everything up to here was delivered before, whatever the handler's own storage holds of it. */
  seen: number
}

/** `undefined` while it begins. */
type Entry = { loop: SubscriptionLoop; subscription: Subscription } | undefined

export class Subscriptions {
  readonly #files: CheckpointFiles
  readonly #storeId: string
  readonly #host: SubscriptionsHost
  readonly #entries = new Map<string, Entry>()
  readonly #beginning = new Set<Promise<unknown>>()
  #isClosed = false

  constructor({ directory, storeId, host }: SubscriptionsSetup) {
    this.#files = new CheckpointFiles(directory)
    this.#storeId = storeId
    this.#host = host
  }

  /**
   * @throws StoreError `SUBSCRIPTION_ACTIVE`, `SUBSCRIPTION_DAMAGED`, `SUBSCRIPTION_DIVERGED`,
   *   `OPTION_INVALID`, `QUERY_INVALID`, `ID_INVALID`, `STORE_CLOSED`.
   */
  async subscribe(
    name: string,
    options: SubscribeOptions,
    handler: EventHandler | BatchHandler
  ): Promise<Subscription> {
    const setup = checkSubscription(name, options)
    throwIfAborted(setup.signal, 'subscribe')
    if (typeof handler !== 'function') {
      throw new TypeError(`'handler' must be a function, received ${show(handler)}`)
    }
    this.#take(name)
    try {
      const entry = await this.#tracked(this.#begin(setup, handler))
      this.#entries.set(name, entry)
      return entry.subscription
    } catch (error) {
      this.#entries.delete(name)
      throw error
    }
  }

  /** Ends a subscription for good: nothing of it is left but what the log says. */
  async unsubscribe(name: string): Promise<boolean> {
    checkSubscriptionName(name)
    // What could not be kept of it is removed now.
    await this.#entries
      .get(name)
      ?.subscription.close()
      .catch(() => undefined)
    this.#take(name)
    try {
      return await this.#tracked(this.#files.remove(name))
    } catch (error) {
      throw ioFailed(error, 'unsubscribe')
    } finally {
      this.#entries.delete(name)
    }
  }

  /** All that the store knows, those without a handler too. */
  async list(): Promise<SubscriptionInfo[]> {
    return (await this.#files.list()).map((one) => this.#infoOf(one))
  }

  stats(): Record<string, SubscriptionStats> {
    const stats: Record<string, SubscriptionStats> = {}
    for (const [name, entry] of this.#entries) {
      if (entry !== undefined) stats[name] = entry.loop.stats()
    }
    return stats
  }

  /** Sync and cheap. To be called after every acknowledged frame. */
  appended(): void {
    for (const entry of this.#entries.values()) entry?.loop.appended()
  }

  /**
   * Ends them all. Handlers are waited for, but not forever: one may itself be waiting for the store to
   * close. The events that such a one has in its hands are delivered again.
   */
  async close(): Promise<void> {
    this.#isClosed = true
    const loops = [...this.#entries.values()].flatMap((entry) => entry?.loop ?? [])
    for (const loop of loops) loop.endSoon()
    const ends = [...this.#entries.values()].map((entry) => entry?.subscription.done)
    const isDone = await within(CLOSE_WAIT_MS, Promise.allSettled([...this.#beginning, ...ends]))
    if (!isDone) this.#tellGivenUp()
    const ended = await Promise.allSettled(loops.map((loop) => loop.end()))
    const failed = ended.find((one) => one.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  #tellGivenUp(): void {
    const { hub } = this.#host
    if (!hub.active) return
    for (const [name, entry] of this.#entries) {
      if (entry === undefined || entry.loop.isOver) continue
      const part = `subscription ${name}`
      const { position } = entry.loop
      hub.emit({ type: 'close-gave-up', time: Date.now(), part, position, ms: CLOSE_WAIT_MS })
    }
  }

  /** One name, one handler. */
  #take(name: string): void {
    this.#assertOpen()
    const isFree = !this.#entries.has(name) || this.#entries.get(name)?.loop.isOver === true
    if (!isFree) {
      const message = `Subscription '${name}' has a handler already`
      throw new StoreError('SUBSCRIPTION_ACTIVE', message, { subscription: name })
    }
    this.#entries.set(name, undefined)
  }

  async #begin(
    setup: SubscriptionSetup,
    handler: EventHandler | BatchHandler
  ): Promise<NonNullable<Entry>> {
    // Asked before anything is opened: it is the caller's and may take its time.
    const kept = checkResumeAfter(await setup.resumeAfter?.())
    try {
      return await this.#start(setup, handler, kept)
    } catch (error) {
      throw ioFailed(error, 'subscribe')
    }
  }

  async #start(
    setup: SubscriptionSetup,
    handler: EventHandler | BatchHandler,
    kept: number | undefined
  ): Promise<NonNullable<Entry>> {
    // A store that closed meanwhile owns the directory no more.
    this.#assertOpen()
    const host = this.#host
    const found = await this.#open(setup, kept)
    try {
      const seenBefore = found.checkpoint.isClean ? found.seen : host.source.head()
      const { file, checkpoint } = found
      const failed = (error: unknown): void => loop.fail(error)
      const keeper = new CheckpointKeeper(file, checkpoint, setup.checkpointEvery, failed)
      const loop = new SubscriptionLoop(host, { setup, handler, keeper, seenBefore })
      // Before anything is delivered: whoever opens it next knows that something may have been.
      await keeper.keep({ isClean: false })
      this.#assertOpen()
      return { loop, subscription: new RunningSubscription(host, setup, loop) }
    } catch (error) {
      found.file.close()
      throw error
    }
  }

  async #open(setup: SubscriptionSetup, kept: number | undefined): Promise<OpenedCheckpoint> {
    const { name } = setup
    if (await this.#files.has(name)) return this.#reopen(name, kept)
    const position = kept ?? (await this.#positionOf(setup.from))
    if (position > this.#host.source.head()) throw this.#diverged(name, position)
    const checkpoint: Checkpoint = {
      name,
      storeId: this.#storeId,
      epoch: newEpoch(),
      position,
      time: await this.#host.timeAt(position),
      isClean: true,
      quarantined: []
    }
    return { file: await this.#files.create(checkpoint), checkpoint, seen: position }
  }

  async #reopen(name: string, kept: number | undefined): Promise<OpenedCheckpoint> {
    const opened = await this.#files.open(name)
    if (opened === undefined) throw subscriptionDamaged(name, 'no record in it is whole')
    try {
      const decoded = this.#decode(name, opened.record)
      // A newer one may have stood in a slot that is damaged: more was handled than this one knows.
      const isClean = decoded.isClean && opened.damaged.length === 0
      const checkpoint = { ...decoded, isClean }
      await this.#checkHistory(checkpoint)
      const { file } = opened
      const { position: seen } = checkpoint
      if (kept === undefined || kept === seen) return { file, checkpoint, seen }
      if (kept > this.#host.source.head()) throw this.#diverged(name, kept)
      const time = await this.#host.timeAt(kept)
      return { file, checkpoint: { ...checkpoint, position: kept, time }, seen }
    } catch (error) {
      opened.file.close()
      throw error
    }
  }

  #decode(name: string, record: Uint8Array): Checkpoint {
    let checkpoint: Checkpoint
    try {
      checkpoint = decodeCheckpoint(record)
    } catch (cause) {
      throw subscriptionDamaged(name, cause instanceof Error ? cause.message : String(cause), cause)
    }
    if (checkpoint.storeId !== this.#storeId)
      throw subscriptionDamaged(name, 'another store wrote it')
    if (checkpoint.name !== name) throw subscriptionDamaged(name, `it is of '${checkpoint.name}'`)
    return checkpoint
  }

  /**
   * The log may have been put back to an earlier state and gone on from there: then the positions that
   * were handled are those of other facts.
   */
  async #checkHistory({ name, position, time }: Checkpoint): Promise<void> {
    if (position > this.#host.source.head()) throw this.#diverged(name, position)
    if (position === 0 || time === 0) return
    const found = await this.#host.timeAt(position)
    if (found !== 0 && found !== time) throw this.#diverged(name, position)
  }

  #diverged(subscription: string, position: number): StoreError<'SUBSCRIPTION_DIVERGED'> {
    const head = this.#host.source.head()
    const message =
      `Subscription '${subscription}' was at ${position} of another history than the log's, ` +
      `which ends at ${head}: the store was put back. Remove it with unsubscribe(name), then ` +
      'subscribe from where the handler has come'
    return new StoreError('SUBSCRIPTION_DIVERGED', message, { subscription, position, head })
  }

  async #positionOf(from: SubscriptionSetup['from']): Promise<number> {
    if (from === 'start') return 0
    // A position that a power cut could take from the head must not be kept here.
    if (from === 'now') return this.#host.durableNow()
    const end = this.#host.source.head() + 1
    if (from > end) throw optionInvalid('from', from, `a position up to ${end}`)
    return from - 1
  }

  #infoOf({ file, checkpoint, reason }: FoundCheckpoint): SubscriptionInfo {
    const head = this.#host.source.head()
    if (checkpoint === undefined) {
      const nothing = { position: 0, lagEvents: head, quarantined: 0 }
      return { name: file, state: 'stopped', ...nothing, error: reason }
    }
    const { name } = checkpoint
    const entry = this.#entries.get(name)
    const { state, error, quarantined } = entry?.loop.stats() ?? {
      state: 'stopped' as const,
      error: undefined,
      quarantined: checkpoint.quarantined.length
    }
    const position = entry?.loop.position ?? checkpoint.position
    const lagEvents = Math.max(0, head - position)
    const why = error === undefined ? {} : { error }
    return { name, state, position, lagEvents, quarantined, ...why }
  }

  async #tracked<T>(work: Promise<T>): Promise<T> {
    this.#beginning.add(work)
    try {
      return await work
    } finally {
      this.#beginning.delete(work)
    }
  }

  #assertOpen(): void {
    if (!this.#isClosed) return
    throw new StoreError('STORE_CLOSED', 'The store is closed', { operation: 'subscribe' })
  }
}

/** Whether it was done in time. */
async function within(ms: number, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, ms, false)
  })
  const isDone = await Promise.race([work.then(() => true), late])
  clearTimeout(timer)
  return isDone
}
