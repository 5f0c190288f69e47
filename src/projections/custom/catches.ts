import { aborted } from '../../errors.ts'
import { onAbort } from '../../on-abort.ts'
import type { RowsBase } from './base.ts'

/**
 * Events that a reader folds in memory, at most. One that is further ahead waits until the
 * projection has come as near: then it reads as much at once, and writes, instead of holding rows.
 */
export const FOLD_EVENTS_MAX = 2000

interface Waiting {
  readonly position: number
  resolve(base: RowsBase): void
  reject(error: Error): void
}

/** Readers of positions that the projection is too far behind of, until it comes by. */
export class Catches {
  readonly #waiting = new Set<Waiting>()

  /**
   * How far a batch may go: never past a position that somebody waits for, since rows do not go
   * back.
   */
  limit(position: number, to: number): number {
    let limit = to
    for (const { position: wanted } of this.#waiting) {
      if (wanted > position) limit = Math.min(limit, wanted)
    }
    return limit
  }

  /** Resolves with rows to fold the rest over; the caller holds them. */
  wait(position: number, signal: AbortSignal): Promise<RowsBase> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(aborted(signal, 'query'))
        return
      }
      const leave = (): void => {
        this.#waiting.delete(waiting)
        stop()
      }
      const waiting: Waiting = {
        position,
        resolve(base) {
          leave()
          resolve(base)
        },
        reject(error) {
          leave()
          reject(error)
        }
      }
      const stop = onAbort(signal, () => waiting.reject(aborted(signal, 'query')))
      this.#waiting.add(waiting)
    })
  }

  /** The projection has reached the checkpoint of these rows. */
  reached(base: RowsBase): void {
    for (const waiting of this.#waiting) {
      const { position } = waiting
      if (base.checkpoint > position || position - base.checkpoint > FOLD_EVENTS_MAX) continue
      base.hold(position)
      waiting.resolve(base)
    }
  }

  /** The projection goes no further, or others rows take the place of these. */
  rejectAll(error: Error): void {
    for (const waiting of this.#waiting) waiting.reject(error)
  }
}
