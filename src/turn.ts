/**
 * Sharing the main thread. The event loop belongs to the program that imports us, so long work is
 * cut into stretches, and of all stretches that wait, one runs in each turn of the loop: however
 * much is under way, a timer of the program is late by about one stretch.
 */

/** How long a stretch of work may keep the event loop to itself, in milliseconds. */
export const STRETCH_MS = 2

const waiting: (() => void)[] = []

/** Resolves in a turn of the event loop in which no other stretch of ours runs. In order. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve)
    if (waiting.length === 1) setImmediate(next)
  })
}

function next(): void {
  waiting[0]?.()
  // Left in line until now, so that whoever asks meanwhile does not ask the loop as well.
  waiting.shift()
  if (waiting.length > 0) setImmediate(next)
}
