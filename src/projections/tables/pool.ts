/**
 * Worker threads that project for all stores of the process. A thread holds nothing that cannot be
 * made again: a session that lost its thread goes on in another one from its checkpoint. The batch
 * that was under way is in the tables whole or not at all, and the checkpoint says which.
 */
import { availableParallelism } from 'node:os'
import { type SessionEvents, TablesSessionLink } from './pool-session.ts'
import { TablesThread } from './pool-thread.ts'
import type { SessionData } from './protocol.ts'

/**
 * Sessions that stay open although they have nothing to do, and how long. One may hold a cache of
 * pages of many MiB; opening it again takes a millisecond or two of the thread, before the next batch.
 */
const IDLE_MAX = 16
const IDLE_MS = 10_000

interface PoolOptions {
  /** Of the worker; another one in tests. */
  script?: URL
  threadsMax?: number
  idleMax?: number
  idleMs?: number
}

export class TablesPool {
  static #shared: TablesPool | undefined
  readonly #script: URL
  readonly #threadsMax: number
  readonly #idleMax: number
  readonly #idleMs: number
  readonly #threads: TablesThread[] = []
  /** Since when each has had nothing to do; those that worked last are last. */
  readonly #idle = new Map<TablesSessionLink, number>()
  #timer: NodeJS.Timeout | undefined
  #alone: Promise<unknown> = Promise.resolve()
  #holders = 0
  #restarts = 0

  constructor(options: PoolOptions = {}) {
    this.#script = options.script ?? new URL('./worker.js', import.meta.url)
    this.#threadsMax = options.threadsMax ?? availableParallelism()
    this.#idleMax = options.idleMax ?? IDLE_MAX
    this.#idleMs = options.idleMs ?? IDLE_MS
  }

  /** The pool that all stores of the process share. Each `hold` has its `release`. */
  static hold(): TablesPool {
    TablesPool.#shared ??= new TablesPool()
    return TablesPool.#shared.hold()
  }

  hold(): this {
    this.#holders += 1
    return this
  }

  /** Threads of the last holder end. */
  async release(): Promise<void> {
    this.#holders -= 1
    if (this.#holders > 0) return
    if (TablesPool.#shared === this) TablesPool.#shared = undefined
    clearTimeout(this.#timer)
    await Promise.all(this.#threads.splice(0).map(async (thread) => thread.end()))
  }

  /** Threads that run. None does before there is something to project. */
  get threads(): number {
    return this.#threads.length
  }

  /** Threads that died and were replaced. */
  get restarts(): number {
    return this.#restarts
  }

  /** Sessions that are open in a thread. */
  get sessions(): number {
    return this.#threads.reduce((sum, { sessions }) => sum + sessions, 0)
  }

  /** For whoever holds the pool: closing it releases it. */
  session(data: SessionData, events: SessionEvents): TablesSessionLink {
    return new TablesSessionLink(this, data, events)
  }

  /** The one it is in, unless that works for others while another one has nothing to do. */
  threadFor(present: TablesThread | undefined): TablesThread {
    if (present?.isIdle === true) return present
    const idle = this.#threads.find((thread) => thread.isIdle)
    if (idle !== undefined) return idle
    if (this.#threads.length < this.#threadsMax) return this.#start()
    if (present !== undefined && !present.isDead) return present
    const open = this.#threads.filter(({ isReserved }) => !isReserved)
    return open.sort((a, b) => a.running - b.running)[0] ?? this.#start()
  }

  /**
   * What a thread died over is asked again alone, in a thread of its own, one after the other:
   * nothing else dies with it a second time.
   */
  async alone<T>(work: (thread: TablesThread) => Promise<T>): Promise<T> {
    const mine = this.#alone.then(async () => {
      const thread = this.#start()
      thread.isReserved = true
      try {
        return await work(thread)
      } finally {
        thread.isReserved = false
      }
    })
    // A failure belongs to whoever asked; the next in line starts all the same.
    this.#alone = mine.catch(() => undefined)
    return mine
  }

  /** Told of a session that has nothing to do: beyond a number, those idle longest are closed. */
  rested(session: TablesSessionLink): void {
    this.#idle.delete(session)
    this.#idle.set(session, performance.now())
    if (this.#idle.size > this.#idleMax) this.#closeOldest()
    this.#watch()
  }

  /** Told of a session that works again, or has ended. */
  roused(session: TablesSessionLink): void {
    this.#idle.delete(session)
  }

  /** A timer runs only while a session is idle, and keeps no process alive. */
  #watch(): void {
    const [oldest] = this.#idle.values()
    if (oldest === undefined || this.#timer !== undefined) return
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        const due = performance.now() - this.#idleMs
        for (const since of [...this.#idle.values()]) if (since <= due) this.#closeOldest()
        this.#watch()
      },
      Math.max(1, oldest + this.#idleMs - performance.now())
    )
    this.#timer.unref()
  }

  #closeOldest(): void {
    const [oldest] = this.#idle.keys()
    if (oldest === undefined) return
    this.#idle.delete(oldest)
    oldest.sleep()
  }

  #start(): TablesThread {
    const thread = new TablesThread(this.#script, (dead) => this.#died(dead))
    this.#threads.push(thread)
    return thread
  }

  #died(thread: TablesThread): void {
    const at = this.#threads.indexOf(thread)
    // One that was told to end is no longer among them.
    if (at === -1) return
    this.#threads.splice(at, 1)
    this.#restarts += 1
  }
}
