/** Telling how far long work is that goes on elsewhere, now and then. */

const PROGRESS_MS = 100

/**
 * Reports every 100 ms while the work goes on, and once at its end. What a report throws ends the
 * work, and is thrown: out of a timer it would end the process.
 *
 * @param work Gives up when its signal fires.
 */
export async function whileTelling(
  report: () => void,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<void>
): Promise<void> {
  const failed = new AbortController()
  const timer = setInterval(() => {
    try {
      report()
    } catch (error) {
      clearInterval(timer)
      failed.abort(error)
    }
  }, PROGRESS_MS)
  try {
    const ends = signal === undefined ? [failed.signal] : [failed.signal, signal]
    await work(AbortSignal.any(ends))
  } catch (error) {
    throw failed.signal.aborted ? failed.signal.reason : error
  } finally {
    clearInterval(timer)
  }
  failed.signal.throwIfAborted()
  report()
}
