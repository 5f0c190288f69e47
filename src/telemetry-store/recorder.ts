/**
 * Keeps the telemetry of an open store in stores of our own. It listens, sums up what comes too often,
 * and writes once a second. Whatever becomes of it, the store that it tells of goes on: nothing waits
 * for it, what it holds is bounded, and what it loses is counted and told.
 *
 * What the process dies of takes the last second with it. A window that was open is found in WINDOW
 * and written by the next owner, under the key that it would have had.
 */

import { isStoreError, StoreError, throwIfAborted } from '../errors.ts'
import { onAbort } from '../on-abort.ts'
import type { ResolvedTelemetryStore } from '../options.ts'
import type { NewTelemetryEvent, TelemetryEvent, TelemetryStoreStats } from '../telemetry/types.ts'
import type { StoredTelemetryOptions } from '../types.ts'
import { Intake, type Item } from './intake.ts'
import { SegmentPool } from './pool.ts'
import { checkQuery, type Place, readSegments } from './query.ts'
import type { OpenStore } from './segment.ts'
import { SegmentWriter } from './segment-writer.ts'

const EVERY_MS = 1000
/** Commands of one commit. */
const BATCH = 500
/** After a failure that will not pass by itself in a moment. */
const RETRY_MS = 60_000

interface RecorderParts {
  /** Where telemetry is kept. */
  readonly directory: string
  /** Of the store, as it is told to people. */
  readonly name: string
  readonly options: ResolvedTelemetryStore
  /** Free bytes that it leaves to the store that it tells of. */
  readonly reserveBytes: number
  readonly open: OpenStore
  readonly tell: (event: NewTelemetryEvent) => void
}

export class TelemetryRecorder {
  readonly #parts: RecorderParts
  readonly #intake: Intake
  readonly #pool: SegmentPool
  readonly #writer: SegmentWriter
  readonly #closing = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #working: Promise<void> = Promise.resolve()
  #retryAt = Number.NEGATIVE_INFINITY
  #stored = 0
  /** Of what failed last, and has not been done since. */
  #failure: { kind: string; text: string } | undefined
  /** Those who follow, until something more was written. */
  readonly #followers = new Set<() => void>()

  constructor(parts: RecorderParts) {
    this.#parts = parts
    this.#intake = new Intake(parts.options.summaryMs)
    this.#pool = new SegmentPool(parts.directory, parts.open)
    const { options, reserveBytes, tell } = parts
    this.#writer = new SegmentWriter(this.#pool, options, reserveBytes, (reason) =>
      tell({ type: 'damage-found', time: Date.now(), part: 'telemetry', reason })
    )
  }

  /** Opens what there is in the background: the store is open without it. */
  start(): void {
    this.#working = this.#work(async () => this.#write())
  }

  next(event: TelemetryEvent): void {
    this.#intake.add(event)
  }

  get stats(): TelemetryStoreStats {
    const { bytes, oldest, segments } = this.#writer.size
    return {
      stored: this.#stored,
      dropped: this.#intake.dropped,
      bytes,
      oldest,
      segments,
      ...(this.#failure === undefined ? {} : { error: this.#failure.text })
    }
  }

  /** What is kept, and with `live` what will be, until the store closes. */
  async *read(options: StoredTelemetryOptions): AsyncGenerator<TelemetryEvent, void> {
    const query = checkQuery(options)
    throwIfAborted(query.signal, 'storedTelemetry')
    const place: Place = { segment: '', after: undefined }
    let left = query.limit
    // Before the first segment is open for writing, reading it would be in the way.
    if (!this.#writer.isOpen) await this.#working
    try {
      do {
        const more = query.live ? this.#more(query.signal) : undefined
        // The oldest segment holds some that are too old, until all in it are.
        const young = { ...query, since: Math.max(query.since, this.#oldest) }
        for await (const event of readSegments(this.#pool, young, place)) {
          yield event
          left -= 1
          if (left === 0) return
        }
        await more
        throwIfAborted(query.signal, 'storedTelemetry')
      } while (query.live && !this.#closing.signal.aborted)
    } catch (error) {
      // A store that closes ends those who follow it. Reading what there is was cut off by it.
      if (!this.#closing.signal.aborted || isStoreError(error, 'ABORTED')) throw error
      if (!query.live) throw storeClosed(error)
    }
  }

  /** Writes what is left, and closes. The store is closed by then: nobody is left to be told. */
  async close(): Promise<void> {
    this.#closing.abort()
    clearTimeout(this.#timer)
    await this.#working
    this.#intake.close(Date.now())
    this.#retryAt = Number.NEGATIVE_INFINITY
    if (!this.#intake.isEmpty) await this.#attempt(async () => this.#write())
    this.#wake()
    await this.#attempt(async () => this.#writer.close())
  }

  #schedule(): void {
    if (this.#closing.signal.aborted) return
    this.#timer = setTimeout(() => {
      this.#working = this.#work(async () => this.#tick())
    }, EVERY_MS)
    this.#timer.unref()
  }

  async #work(work: () => Promise<void>): Promise<void> {
    await this.#attempt(work)
    this.#schedule()
  }

  async #tick(): Promise<void> {
    this.#tellLosses()
    this.#intake.turn(Date.now())
    if (performance.now() < this.#retryAt) return
    await this.#write()
    await this.#writer.maintain()
  }

  /** Before what is closed is written, WINDOW still holds it; afterwards it is written by key anyway. */
  async #write(): Promise<void> {
    for (const summaries of await this.#writer.start()) {
      // What a process left that died long ago may be too old to be kept.
      if (timeOf(summaries) >= this.#oldest) this.#intake.push(summaries)
    }
    const isMore = !this.#intake.isEmpty
    while (!this.#intake.isEmpty) {
      const items = this.#intake.take(BATCH).sort((a, b) => timeOf(a) - timeOf(b))
      await this.#append(items)
      this.#stored += items.reduce((sum, item) => sum + countOf(item), 0)
    }
    this.#failure = undefined
    this.#writer.noteWindow(this.#intake.window(Date.now()))
    if (isMore) this.#wake()
  }

  async #append(items: readonly Item[]): Promise<void> {
    try {
      await this.#writer.append(items, this.#parts.name)
    } catch (error) {
      // Nothing was written and nothing is broken: there may be room again in a moment.
      if (isStoreError(error, 'DISK_LOW')) this.#intake.putBack(items)
      else this.#intake.lost(items)
      throw error
    }
  }

  /** What fails is told once, and tried again after a while with a new segment. */
  async #attempt(work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error)
      const isBrief = isStoreError(error, 'DISK_LOW') || isStoreError(error, 'STORE_LOCKED')
      this.#retryAt = isBrief ? Number.NEGATIVE_INFINITY : performance.now() + RETRY_MS
      if (!isBrief) await this.#writer.giveUp()
      // The text may differ each time, such as by the bytes that are free.
      const kind = isStoreError(error) ? error.code : text
      const isTold = this.#failure?.kind === kind
      this.#failure = { kind, text }
      if (isTold) return
      this.#parts.tell({ type: 'telemetry-store-failed', time: Date.now(), error: text })
    }
  }

  /** What happened before is not kept any more, in milliseconds since 1970. */
  get #oldest(): number {
    return Date.now() - this.#parts.options.keepMs
  }

  #tellLosses(): void {
    const events = this.#intake.takeLosses()
    if (events > 0) this.#parts.tell({ type: 'telemetry-dropped', time: Date.now(), events })
  }

  /** Resolves when more was written, or reading is over. */
  async #more(signal: AbortSignal | undefined): Promise<void> {
    let wake: (() => void) | undefined
    const written = new Promise<void>((resolve) => {
      wake = resolve
      this.#followers.add(resolve)
    })
    const stop = onAbort(signal, () => wake?.())
    await written
    stop()
  }

  #wake(): void {
    const followers = [...this.#followers]
    this.#followers.clear()
    for (const wake of followers) wake()
  }
}

function timeOf(item: Item): number {
  // Sums are of one window: they have one time.
  return ('time' in item ? item : item[0])?.time ?? 0
}

function countOf(item: Item): number {
  return 'time' in item ? 1 : item.length
}

function storeClosed(cause: unknown): StoreError<'STORE_CLOSED'> {
  const operation = 'storedTelemetry'
  return new StoreError('STORE_CLOSED', 'The store is closed', { operation }, { cause })
}
