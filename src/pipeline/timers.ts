import { Observable } from '../rxjs.ts'

/**
 * Emits once after so many milliseconds. Does not keep the process alive: what waits for a batch
 * is in the log already and is projected after the next open.
 */
export function quietTimer(ms: number): Observable<void> {
  return new Observable((subscriber) => {
    const timer = setTimeout(() => {
      subscriber.next()
      subscriber.complete()
    }, ms)
    timer.unref()
    return () => clearTimeout(timer)
  })
}

/** Emits once in the next turn of the event loop, so that other work is not held up. */
export const nextTurn$: Observable<void> = new Observable((subscriber) => {
  const immediate = setImmediate(() => {
    subscriber.next()
    subscriber.complete()
  })
  return () => clearImmediate(immediate)
})
