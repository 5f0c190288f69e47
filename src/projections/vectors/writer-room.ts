import { aborted } from '../../errors.ts'
import type { IndexBuilder } from './index-builder.ts'
import type { CancelFlag } from './pace.ts'
import type { ProgressSignal } from './progress.ts'

/** Exact vectors that may wait for the builder before writers of vectors wait for it. */
const PENDING_BYTES = 64 * 1024 * 1024
const PENDING_ROWS_MIN = 1_000
/** A little below, so that not every batch wakes everybody for one commit. */
const LOW_WATER = 0.95

/** Lets writers of vectors wait while too many of them are in no graph: searches compare those. */
export class WriterRoom {
  readonly max: number
  readonly #builder: IndexBuilder
  readonly #progress: ProgressSignal
  readonly #cancel: CancelFlag

  constructor(
    dimensions: number,
    builder: IndexBuilder,
    progress: ProgressSignal,
    cancel: CancelFlag
  ) {
    this.max = Math.max(PENDING_ROWS_MIN, Math.floor(PENDING_BYTES / (4 * dimensions)))
    this.#builder = builder
    this.#progress = progress
    this.#cancel = cancel
  }

  /** `undefined`: there is room. */
  wait(signal?: AbortSignal): Promise<void> | undefined {
    return this.#has(this.max) ? undefined : this.#wait(signal)
  }

  /** Where nothing is built any more, waiting would never end. */
  #has(max: number): boolean {
    return this.#builder.pending <= max || this.#builder.error !== undefined
  }

  async #wait(signal: AbortSignal | undefined): Promise<void> {
    let onAbort = (): void => {}
    const abortion = new Promise<void>((resolve) => {
      onAbort = resolve
    })
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      while (!this.#has(this.max * LOW_WATER)) {
        if (signal?.aborted === true) throw aborted(signal, 'commit')
        // Closed with its store, which refuses the commit, or made anew, which takes it.
        if (this.#cancel.raised) return
        await Promise.race([this.#progress.next, abortion])
      }
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }
}
