import { assert } from '../../assert.ts'
import { StoreError, throwIfAborted } from '../../errors.ts'
import { onAbort } from '../../on-abort.ts'
import type { RowsBase } from './base.ts'
import { FOLD_EVENTS_MAX } from './catches.ts'
import type { Generation } from './generation.ts'
import type { Layers } from './layered-rows.ts'

/**
 * The rows of a generation at one position, for as long as it is held. Taking one costs nothing: what
 * is behind the stored rows is folded by the first who reads.
 */
export class RowsPin {
  readonly generation: Generation
  readonly position: number
  readonly #left = new AbortController()
  #base: RowsBase | undefined
  #coming: Promise<void> = Promise.resolve()
  #missing: Error | undefined

  constructor(generation: Generation, position: number) {
    const { base, catches } = generation
    assert(base.checkpoint <= position, 'rows are pinned at the head, which they follow')
    this.generation = generation
    this.position = position
    if (position - base.checkpoint <= FOLD_EVENTS_MAX) {
      base.hold(position)
      this.#base = base
      return
    }
    this.#coming = catches.wait(position, this.#left.signal).then(
      async (coming) => this.#take(coming),
      (error: unknown) => {
        // Told to whoever reads: a view that nobody asks for these rows is as good as any.
        this.#missing = error instanceof Error ? error : new Error(String(error))
      }
    )
  }

  /** Whether a query need not wait for the projection. */
  get isNear(): boolean {
    return this.#base !== undefined
  }

  /**
   * Reads the rows, which stay as long as that takes, even if the pin is released meanwhile.
   *
   * @throws StoreError `ABORTED`, `VIEW_CLOSED`, `PROJECTION_STOPPED`, `PROJECTION_DAMAGED`.
   */
  async read<T>(work: (layers: Layers) => Promise<T>, signal?: AbortSignal): Promise<T> {
    await orAborted(this.#coming, signal)
    if (this.#base === undefined) throw this.#missing ?? viewClosed(this.position)
    const base = this.#base
    base.hold(this.position)
    try {
      return await work(await base.rowsAt(this.position, signal))
    } finally {
      await base.release(this.position)
    }
  }

  async release(): Promise<void> {
    this.#left.abort()
    await this.#coming
    const base = this.#base
    this.#base = undefined
    await base?.release(this.position)
  }

  async #take(base: RowsBase): Promise<void> {
    if (this.#left.signal.aborted) await base.release(this.position)
    else this.#base = base
  }
}

function viewClosed(position: number): StoreError<'VIEW_CLOSED'> {
  return new StoreError('VIEW_CLOSED', `The view of position ${position} is closed`, { position })
}

async function orAborted(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  throwIfAborted(signal, 'query')
  if (signal === undefined) {
    await work
    return
  }
  let stop = (): void => {}
  const ended = new Promise<void>((resolve) => {
    stop = onAbort(signal, resolve)
  })
  try {
    await Promise.race([work, ended])
  } finally {
    stop()
  }
  throwIfAborted(signal, 'query')
}
