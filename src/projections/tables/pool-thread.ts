import { WorkerLink } from '../../storage/worker-link.ts'
import type { NoticeOfSession, TablesNotice, TablesRequest } from './protocol.ts'

/** A session as its thread knows it. */
export interface ThreadGuest {
  noticed(notice: TablesNotice): void
  /** The thread has ended without being told to, and nothing of it is under way any more. */
  lost(thread: TablesThread): void
}

/** One thread of the pool and the sessions that are open in it. */
export class TablesThread {
  /** Questions without an answer yet. */
  running = 0
  isDead = false
  /** For one question alone. */
  isReserved = false
  readonly #link: WorkerLink
  readonly #guests = new Map<number, ThreadGuest>()

  constructor(script: URL, onDeath: (thread: TablesThread) => void) {
    this.#link = new WorkerLink(
      script,
      undefined,
      (body) => {
        // The worker sends nothing else of its own accord.
        const { session, notice } = body as NoticeOfSession
        this.#guests.get(session)?.noticed(notice)
      },
      () => {
        this.isDead = true
        onDeath(this)
        void this.#bereave()
      }
    )
  }

  get isIdle(): boolean {
    return this.running === 0 && !this.isReserved && !this.isDead
  }

  get sessions(): number {
    return this.#guests.size
  }

  add(session: number, guest: ThreadGuest): void {
    this.#guests.set(session, guest)
  }

  remove(session: number): void {
    this.#guests.delete(session)
  }

  async ask(request: TablesRequest): Promise<unknown> {
    this.running += 1
    try {
      return await this.#link.request(request)
    } finally {
      this.running -= 1
    }
  }

  /**
   * Resolves when the thread is gone. Node first waits for what LevelDB's threads still do for it, so
   * that its last write is in the tables by now or will never be: only then may another one write them.
   */
  async ended(): Promise<void> {
    await this.#link.ended()
  }

  /** Its sessions are closed already. */
  async end(): Promise<void> {
    try {
      await this.ask({ do: 'end' })
    } catch {
      // It died before it was told to end, which is as good.
    }
    await this.ended()
  }

  async #bereave(): Promise<void> {
    await this.ended()
    for (const guest of [...this.#guests.values()]) guest.lost(this)
    this.#guests.clear()
  }
}
