import { aborted, StoreError } from '../../errors.ts'
import { keepAlive } from '../../keep-alive.ts'
import { onAbort } from '../../on-abort.ts'
import type { IndexBuilder } from './index-builder.ts'
import type { CancelFlag } from './pace.ts'
import type { ProgressSignal } from './progress.ts'

/** Exact vectors that may wait for the builder before writers of vectors wait for it. */
const PENDING_BYTES = 64 * 1024 * 1024
const PENDING_ROWS_MIN = 1_000

export interface RoomSetup {
  dimensions: number
  builder: Pick<
    IndexBuilder,
    'pending' | 'isDamaged' | 'isDrained' | 'attempt' | 'hasFailedSince' | 'error'
  >
  progress: ProgressSignal
  cancel: CancelFlag
  /** Acknowledged vectors that the builder does not know of yet. */
  unread(): number
  /** Why the log, which they are read from, could not be read the last time. */
  readError(): Error | undefined
  /** How far the projection has come. */
  position(): number
}

/** Somebody who waits until so many more vectors are no more than so many. */
interface Waiting {
  readonly rows: number
  readonly max: number
  /** Failures before it came are none of its business. */
  readonly attempt: number
  resolve(): void
  reject(error: Error): void
}

/**
 * Lets writers of vectors wait while too many of them are in no graph: searches compare those. Each
 * says how many it brings, and these count from then on, so that many who come at once are not too
 * many together. First come, first served. Where building fails they wait for the next attempt; if
 * that fails too, they are refused.
 */
export class WriterRoom {
  readonly max: number
  readonly #setup: RoomSetup
  /** Vectors of writers that were let in: until they have left, written or not. */
  #taken = 0
  readonly #writers = new Set<Waiting>()
  /** Who waits until there is room to spare, and brings nothing yet. */
  readonly #patient = new Set<Waiting>()
  #isWatching = false
  #isOpen = false
  /** Of those that wait no more. */
  #waitedMs = 0

  constructor(setup: RoomSetup) {
    this.#setup = setup
    this.max = Math.max(PENDING_ROWS_MIN, Math.floor(PENDING_BYTES / (4 * setup.dimensions)))
  }

  /** How full it is, as a share; how many writers wait, and how long everybody has waited. */
  get load(): { fill: number; waiting: number; waitedMs: number } {
    const { builder } = this.#setup
    const fill = builder.isDamaged ? 0 : this.#used / this.max
    return { fill, waiting: this.#writers.size, waitedMs: this.#waitedMs }
  }

  /**
   * Takes room for so many vectors; `undefined`: it was there. Whoever was let in calls `leave` once
   * its commit has settled, whatever came of it.
   *
   * @throws StoreError `PROJECTION_STOPPED`, `ABORTED`
   */
  enter(rows: number, signal?: AbortSignal): Promise<void> | undefined {
    // Who came before goes in before, or a large commit would never find room among small ones.
    if (this.#writers.size > 0 || !this.#fits(rows, this.max)) {
      return this.#wait(this.#writers, { rows, max: this.max }, signal)
    }
    this.#taken += rows
    return undefined
  }

  leave(rows: number): void {
    this.#taken -= rows
    this.#letIn()
  }

  /** From now on everybody is let in: what is written no more fills no memory. */
  open(): void {
    this.#isOpen = true
    this.#letIn()
  }

  /**
   * `undefined`: no more than this share of the room is taken. Otherwise resolves when it is so:
   * where writers wait for every vector that is built, whoever comes waits too.
   *
   * @throws StoreError `PROJECTION_STOPPED`, `ABORTED`
   */
  spare(share: number, signal?: AbortSignal): Promise<void> | undefined {
    const max = this.max * share
    if (this.#writers.size === 0 && this.#fits(0, max)) return undefined
    return this.#wait(this.#patient, { rows: 0, max }, signal)
  }

  get #used(): number {
    return this.#setup.builder.pending + this.#setup.unread() + this.#taken
  }

  #fits(rows: number, max: number): boolean {
    const { builder, unread } = this.#setup
    // An index that is being made anew reads from the log what it lacks: it takes any number.
    if (this.#isOpen || builder.isDamaged || this.#used + rows <= max) return true
    // It will never be emptier: a commit that is larger than the room has it for itself.
    return this.#taken === 0 && unread() === 0 && builder.isDrained
  }

  async #wait(
    line: Set<Waiting>,
    wants: Pick<Waiting, 'rows' | 'max'>,
    signal: AbortSignal | undefined
  ): Promise<void> {
    if (signal?.aborted === true) throw aborted(signal, 'commit')
    // What they wait for may be the end of a rest, or of the time in which events gather.
    const letGo = keepAlive()
    const began = performance.now()
    const { attempt } = this.#setup.builder
    let stop = (): void => {}
    const answer = new Promise<void>((resolve, reject) => {
      const waiting = { ...wants, attempt, resolve, reject }
      line.add(waiting)
      stop = onAbort(signal, () => {
        line.delete(waiting)
        if (signal !== undefined) reject(aborted(signal, 'commit'))
        // Who stood behind may be small enough.
        this.#letIn()
      })
    })
    void this.#watch()
    try {
      await answer
    } finally {
      letGo()
      this.#waitedMs += performance.now() - began
      stop()
    }
  }

  /** Looks again whenever something was built or failed, while anybody waits. */
  async #watch(): Promise<void> {
    if (this.#isWatching) return
    this.#isWatching = true
    for (;;) {
      this.#letIn()
      this.#refuse()
      if (this.#writers.size + this.#patient.size === 0) break
      await this.#setup.progress.next
    }
    this.#isWatching = false
  }

  #letIn(): void {
    for (const line of [this.#writers, this.#patient]) {
      for (const waiting of line) {
        // Closed with its store, which refuses the commit, or made anew, which takes it.
        const isOver = this.#setup.cancel.raised
        if (!isOver && !this.#fits(waiting.rows, waiting.max)) return
        line.delete(waiting)
        this.#taken += waiting.rows
        waiting.resolve()
      }
    }
  }

  #refuse(): void {
    for (const line of [this.#writers, this.#patient]) {
      for (const waiting of line) {
        const { builder, readError } = this.#setup
        if (!builder.hasFailedSince(waiting.attempt) && readError() === undefined) continue
        line.delete(waiting)
        waiting.reject(this.#stopped())
      }
    }
  }

  /** Without this bound, vectors would fill the memory for as long as nothing can be built. */
  #stopped(): StoreError<'PROJECTION_STOPPED'> {
    const { builder } = this.#setup
    const cause = builder.error ?? this.#setup.readError()
    const position = this.#setup.position()
    const pending = builder.pending + this.#setup.unread()
    const many = `${pending} vectors wait for the index, at most ${this.max} may`
    const message = `Projection 'vectors' stopped at position ${position}, and ${many}: ${cause?.message}`
    const details = { projection: 'vectors', position }
    return new StoreError('PROJECTION_STOPPED', message, details, { cause })
  }
}
