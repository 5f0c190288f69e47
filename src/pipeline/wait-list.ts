import { aborted } from '../errors.ts'
import { keepAlive } from '../keep-alive.ts'
import { onAbort } from '../on-abort.ts'

interface Waiting<T> {
  readonly wants: T
  /** When it began to wait. */
  readonly since: number
  resolve(): void
  reject(error: Error): void
}

/**
 * Callers that wait, first come first served. Each leaves by being answered or by its signal. Until
 * then the process lives, though what will answer them may be a timer that keeps none alive.
 */
export class WaitList<T> implements Iterable<Waiting<T>> {
  readonly #operation: string
  readonly #now: () => number
  readonly #waiting = new Set<Waiting<T>>()
  #answeredMs = 0

  constructor(operation: string, now: () => number) {
    this.#operation = operation
    this.#now = now
  }

  get size(): number {
    return this.#waiting.size
  }

  /** Milliseconds that callers have waited, all together, those that still wait included. */
  get waitedMs(): number {
    const now = this.#now()
    let waitedMs = this.#answeredMs
    for (const one of this.#waiting) waitedMs += now - one.since
    return waitedMs
  }

  [Symbol.iterator](): Iterator<Waiting<T>> {
    return this.#waiting.values()
  }

  /** @throws StoreError `ABORTED` */
  wait(wants: T, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(aborted(signal, this.#operation))
        return
      }
      const letGo = keepAlive()
      const leave = (): void => {
        // Answered already.
        if (!this.#waiting.delete(waiting)) return
        letGo()
        this.#answeredMs += this.#now() - waiting.since
        stop()
      }
      const waiting: Waiting<T> = {
        wants,
        since: this.#now(),
        resolve() {
          leave()
          resolve()
        },
        reject(error) {
          leave()
          reject(error)
        }
      }
      const stop = onAbort(signal, () => {
        if (signal !== undefined) waiting.reject(aborted(signal, this.#operation))
      })
      this.#waiting.add(waiting)
    })
  }

  rejectAll(error: Error): void {
    for (const waiting of this.#waiting) waiting.reject(error)
  }
}
