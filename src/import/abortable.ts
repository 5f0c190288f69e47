import { aborted, throwIfAborted } from '../errors.ts'
import { onAbort } from '../on-abort.ts'

/**
 * Iterates like `for await`, but stops waiting for the next value when the signal fires: a source
 * that never answers must not hold up an abort.
 *
 * @throws StoreError `ABORTED`; whatever the source throws.
 */
export async function* abortable<T>(
  source: AsyncIterable<T>,
  signal: AbortSignal | undefined,
  operation: string
): AsyncGenerator<T, void, undefined> {
  const iterator = source[Symbol.asyncIterator]()
  let interrupt: ((error: Error) => void) | undefined
  // One listener for all values: adding one for each costs more than reading a short record.
  const stop = onAbort(signal, () => signal && interrupt?.(aborted(signal, operation)))
  let left: 'between' | 'waiting' | 'over' = 'between'
  try {
    for (;;) {
      throwIfAborted(signal, operation)
      left = 'waiting'
      const next = await new Promise<IteratorResult<T>>((resolve, reject) => {
        interrupt = reject
        iterator.next().then(resolve, (error: unknown) => {
          left = 'over'
          reject(error)
        })
      })
      left = next.done === true ? 'over' : 'between'
      if (next.done === true) return
      yield next.value
    }
  } finally {
    // A generator that hangs answers no `return` either: ask it to end, but do not wait. The caller
    // gets ABORTED, so an error of the abandoned source has nobody left to go to.
    if (left !== 'over') {
      await new Promise<void>((resolve, reject) => {
        interrupt = () => resolve()
        if (signal?.aborted === true) resolve()
        Promise.resolve(iterator.return?.()).then(() => resolve(), reject)
      })
    }
    stop()
  }
}
