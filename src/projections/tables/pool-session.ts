import type { TablesPool } from './pool.ts'
import type { TablesThread, ThreadGuest } from './pool-thread.ts'
import type {
  ProjectedBatch,
  SessionData,
  SessionOpened,
  TablesNotice,
  TablesRequest
} from './protocol.ts'
import type { DigestSlice } from './range-digest.ts'
import type { Sums } from './row-sums.ts'

/** How often a batch is tried: once beside others, once alone. */
const ATTEMPTS = 2

/** What works in the background is begun again by itself so often, until a step of it is done. */
const RESUMPTIONS = 2

export interface SessionEvents {
  onNotice(notice: TablesNotice): void
}

/**
 * The main thread's side of one generation that is projected in a thread of the pool. It is opened
 * there when there is something to do, and again elsewhere if the thread died.
 */
export class TablesSessionLink implements ThreadGuest {
  static #last = 0
  readonly number: number
  readonly #pool: TablesPool
  readonly #data: SessionData
  readonly #events: SessionEvents
  /** Where it is open, or being opened. */
  #thread: TablesThread | undefined
  /** One question at a time: a session moves between two of them, not under one. */
  #turn: Promise<unknown> = Promise.resolve()
  #waiting = 0
  #isBusy = false
  #resumptions = 0
  #isClosed = false
  #wasOpened = false

  /** @param pool Held, and released by `close`. */
  constructor(pool: TablesPool, data: SessionData, events: SessionEvents) {
    TablesSessionLink.#last += 1
    this.number = TablesSessionLink.#last
    this.#pool = pool
    this.#data = data
    this.#events = events
  }

  /** Whether the tables may have been written to. */
  get wasOpened(): boolean {
    return this.#wasOpened
  }

  /** Opens it ahead of the first batch: there are sweeps or indexes to go on with. */
  begin(): void {
    this.#isBusy = true
    this.#resume()
  }

  /**
   * Projects one batch. If the thread dies the batch is tried again, from the checkpoint that is in
   * the tables then: exactly once, whether it was written before or not.
   */
  async project(to: number): Promise<ProjectedBatch> {
    return this.#inTurn(async () => {
      for (let attempt = 1; ; attempt++) {
        try {
          if (attempt === 1) return await this.#ask(this.#pool.threadFor(this.#thread), to)
          return await this.#pool.alone(async (thread) => this.#ask(thread, to))
        } catch (error) {
          if (!(error instanceof ThreadDied)) throw error
          if (attempt === ATTEMPTS) throw threadsDied(error.cause)
        }
      }
    })
  }

  /** Compares some rows in its thread; `undefined` where it is open in none, or that one died. */
  async compare(slice: DigestSlice): Promise<readonly number[] | undefined> {
    // The worker answers each question as the protocol says.
    return this.#askWhereOpen({ do: 'compare', session: this.number, slice }) as Promise<number[]>
  }

  /** Sums of what it wrote; `undefined` where it is open in no thread, or that one died. */
  async sums(): Promise<Sums | undefined> {
    return this.#askWhereOpen({ do: 'sums', session: this.number }) as Promise<Sums>
  }

  async #askWhereOpen(request: TablesRequest): Promise<unknown> {
    return this.#inTurn(async () => {
      const thread = this.#thread
      if (thread === undefined || thread.isDead) return undefined
      try {
        return await thread.ask(request)
      } catch (error) {
        if (!thread.isDead) throw error
        await this.#bury(thread)
        return undefined
      }
    })
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    try {
      await this.#inTurn(async () => this.#leave())
    } finally {
      await this.#pool.release()
    }
  }

  /** Closes it in its thread until there is something to do again, unless there is already. */
  sleep(): void {
    const leaving = this.#inTurn(async () => {
      if (this.#waiting === 1 && !this.#isBusy) await this.#leave()
    })
    // Nobody asked for it. What LevelDB has against closing it says again when the store closes.
    leaving.catch(() => undefined)
  }

  noticed(notice: TablesNotice): void {
    this.#isBusy = notice.busy
    this.#resumptions = 0
    this.#rest()
    this.#events.onNotice(notice)
  }

  lost(thread: TablesThread): void {
    if (this.#thread === thread) this.#thread = undefined
    this.#resumptions += 1
    if (this.#resumptions <= RESUMPTIONS) this.#resume()
  }

  /** Goes on with what works in the background. */
  #resume(): void {
    if (!this.#isBusy || this.#isClosed) return
    const resuming = this.#inTurn(async () => {
      if (this.#thread !== undefined || this.#isClosed) return
      const thread = this.#pool.threadFor(undefined)
      try {
        await this.#openIn(thread)
      } catch (error) {
        if (!thread.isDead) throw error
        await this.#bury(thread)
      }
    })
    // Nobody asked for it. The next batch meets what is wrong, and the next open goes on.
    resuming.catch(() => undefined)
  }

  async #ask(thread: TablesThread, to: number): Promise<ProjectedBatch> {
    try {
      await this.#openIn(thread)
      const request = { do: 'project', session: this.number, to } as const
      // The worker answers each question as the protocol says.
      const batch = (await thread.ask(request)) as ProjectedBatch
      this.#isBusy = batch.busy
      this.#resumptions = 0
      return batch
    } catch (error) {
      if (!thread.isDead) throw error
      await this.#bury(thread)
      throw new ThreadDied(error)
    }
  }

  async #openIn(thread: TablesThread): Promise<void> {
    if (this.#thread === thread && !thread.isDead) return
    // Two writers of the same tables would each go by a state that the other one changes.
    await this.#leave()
    this.#wasOpened = true
    this.#thread = thread
    thread.add(this.number, this)
    try {
      const { number: session } = this
      const opened = await thread.ask({ do: 'open', session, data: this.#data })
      this.#isBusy = (opened as SessionOpened).busy
    } catch (error) {
      if (!thread.isDead) this.#forget(thread)
      throw error
    }
  }

  async #leave(): Promise<void> {
    const thread = this.#thread
    if (thread === undefined) return
    this.#forget(thread)
    try {
      await thread.ask({ do: 'close', session: this.number })
    } catch (error) {
      if (!thread.isDead) throw error
      // What it had open was closed with it.
      await thread.ended()
    }
  }

  /** Waits for the end of a thread that died: its last write is done or will never be. */
  async #bury(thread: TablesThread): Promise<void> {
    await thread.ended()
    this.#forget(thread)
  }

  #forget(thread: TablesThread): void {
    if (this.#thread === thread) this.#thread = undefined
    thread.remove(this.number)
  }

  #rest(): void {
    if (this.#waiting > 0 || this.#isBusy || this.#isClosed) return
    if (this.#thread !== undefined) this.#pool.rested(this)
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.#waiting += 1
    this.#pool.roused(this)
    const mine = this.#turn.then(work).finally(() => {
      this.#waiting -= 1
      this.#rest()
    })
    // A failure belongs to whoever asked; the next in turn starts all the same.
    this.#turn = mine.catch(() => undefined)
    return mine
  }
}

/** The thread is gone, with its last write: another one may go on. */
class ThreadDied extends Error {
  override readonly name = 'ThreadDied'

  constructor(cause: unknown) {
    super('The thread died', { cause })
  }
}

function threadsDied(cause: unknown): Error {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new Error(`Two threads died over one batch of the tables: ${reason}`, { cause })
}
