/**
 * One listener for each signal, however many wait for it: a program that gives one signal to a hundred
 * calls would be warned of a leak that is none.
 */

interface Waiting {
  readonly all: Set<{ readonly run: () => void }>
  readonly tell: () => void
}

const waitingFor = new WeakMap<AbortSignal, Waiting>()

/**
 * Runs something when the signal fires, unless the function that is returned is called before. Long-lived
 * signals gather nothing, as long as it is.
 */
export function onAbort(signal: AbortSignal | undefined, run: () => void): () => void {
  // It fires once: one that has fired tells nobody any more.
  if (signal === undefined || signal.aborted) return nothing
  const { all, tell } = waitingFor.get(signal) ?? listenTo(signal)
  const one = { run }
  if (all.size === 0) signal.addEventListener('abort', tell, { once: true })
  all.add(one)
  return () => {
    if (all.delete(one) && all.size === 0) signal.removeEventListener('abort', tell)
  }
}

function listenTo(signal: AbortSignal): Waiting {
  const all: Waiting['all'] = new Set()
  const tell = (): void => {
    const told = [...all]
    // Whoever keeps the signal keeps nothing of those who waited for it.
    all.clear()
    for (const { run } of told) run()
  }
  const waiting = { all, tell }
  waitingFor.set(signal, waiting)
  return waiting
}

function nothing(): void {
  // There is no signal to leave, or none that will fire.
}
