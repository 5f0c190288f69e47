/**
 * Timers and threads of a store keep no process alive: a program that forgets to close one ends. But
 * what ends a wait of the program's own may be just such a timer, and a process ends, with code 13,
 * where it has nothing else to do. So whoever lets callers wait keeps it alive for as long.
 */

/** The longest that a timer can wait. It does nothing: it is there. */
const FOREVER_MS = 2 ** 31 - 1

let waiting = 0
let timer: NodeJS.Timeout | undefined

/** The process lives until what this gives has been called, once. */
export function keepAlive(): () => void {
  waiting += 1
  timer ??= setInterval(() => {}, FOREVER_MS)
  return () => {
    waiting -= 1
    if (waiting > 0) return
    clearInterval(timer)
    timer = undefined
  }
}
