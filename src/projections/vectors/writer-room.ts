import { aborted, StoreError } from '../../errors.ts'
import { keepAlive } from '../../keep-alive.ts'
import type { IndexBuilder } from './index-builder.ts'
import type { CancelFlag } from './pace.ts'
import type { ProgressSignal } from './progress.ts'

/** Exact vectors that may wait for the builder before writers of vectors wait for it. */
const PENDING_BYTES = 64 * 1024 * 1024
const PENDING_ROWS_MIN = 1_000
/** A little below, so that not every batch wakes everybody for one commit. */
const LOW_WATER = 0.95

export interface RoomSetup {
  dimensions: number
  builder: IndexBuilder
  progress: ProgressSignal
  cancel: CancelFlag
  /** How far the projection has come. */
  position(): number
}

/**
 * Lets writers of vectors wait while too many of them are in no graph: searches compare those. Where
 * building fails they wait for the next attempt; if that fails too, they are refused.
 */
export class WriterRoom {
  readonly max: number
  readonly #setup: RoomSetup
  #waiting = 0
  /** Of those that have been let in. */
  #waitedMs = 0

  constructor(setup: RoomSetup) {
    this.#setup = setup
    this.max = Math.max(PENDING_ROWS_MIN, Math.floor(PENDING_BYTES / (4 * setup.dimensions)))
  }

  /** How full it is, as a share; who waits, and how long all have waited. */
  get load(): { fill: number; waiting: number; waitedMs: number } {
    const { builder } = this.#setup
    const fill = builder.isDamaged ? 0 : builder.pending / this.max
    return { fill, waiting: this.#waiting, waitedMs: this.#waitedMs }
  }

  /**
   * `undefined`: there is room.
   *
   * @throws StoreError `PROJECTION_STOPPED`, `ABORTED`
   */
  wait(signal?: AbortSignal): Promise<void> | undefined {
    return this.#has(this.max) ? undefined : this.#wait(signal)
  }

  /** An index that is being made anew reads from the log what it lacks: it takes any number. */
  #has(max: number): boolean {
    const { builder } = this.#setup
    return builder.pending <= max || builder.isDamaged
  }

  async #wait(signal: AbortSignal | undefined): Promise<void> {
    let onAbort = (): void => {}
    const abortion = new Promise<void>((resolve) => {
      onAbort = resolve
    })
    signal?.addEventListener('abort', onAbort, { once: true })
    const { builder, progress, cancel } = this.#setup
    const { attempt } = builder
    // What they wait for may be the end of a rest, or of the time in which events gather.
    const letGo = keepAlive()
    const began = performance.now()
    this.#waiting += 1
    try {
      while (!this.#has(this.max * LOW_WATER)) {
        if (signal?.aborted === true) throw aborted(signal, 'commit')
        // Closed with its store, which refuses the commit, or made anew, which takes it.
        if (cancel.raised) return
        if (builder.hasFailedSince(attempt)) throw this.#stopped()
        await Promise.race([progress.next, abortion])
      }
    } finally {
      letGo()
      this.#waiting -= 1
      this.#waitedMs += performance.now() - began
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** Without this bound, vectors would fill the memory for as long as nothing can be built. */
  #stopped(): StoreError<'PROJECTION_STOPPED'> {
    const { builder } = this.#setup
    const cause = builder.error
    const position = this.#setup.position()
    const many = `${builder.pending} vectors wait for the index, at most ${this.max} may`
    const message = `Projection 'vectors' stopped at position ${position}, and ${many}: ${cause?.message}`
    const details = { projection: 'vectors', position }
    return new StoreError('PROJECTION_STOPPED', message, details, { cause })
  }
}
