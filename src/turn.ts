/**
 * Sharing the main thread. The event loop belongs to the program that imports us, so long work is
 * cut into stretches, and of all stretches that wait, one runs in each turn of the loop: however
 * much is under way, a timer of the program is late by about one stretch.
 */

/** How long a stretch of work may keep the event loop to itself, in milliseconds. */
export const STRETCH_MS = 2

const waiting: (() => void)[] = []
const urgent: (() => void)[] = []
let wasUrgent = false

/** Resolves in a turn of the event loop in which no other stretch of ours runs. In order. */
export function turn(): Promise<void> {
  return join(waiting)
}

/**
 * As `turn`, ahead of those that called that: for a short stretch that somebody waits for. Where
 * both wait they alternate, so that neither is held up for good.
 */
export function urgentTurn(): Promise<void> {
  return join(urgent)
}

function join(line: (() => void)[]): Promise<void> {
  return new Promise((resolve) => {
    // Whoever waits already has asked the loop.
    if (waiting.length + urgent.length === 0) setImmediate(next)
    line.push(resolve)
  })
}

function next(): void {
  const isOthersTurn = wasUrgent && waiting.length > 0
  wasUrgent = urgent.length > 0 && !isOthersTurn
  const line = wasUrgent ? urgent : waiting
  line.shift()?.()
  if (waiting.length + urgent.length > 0) setImmediate(next)
}
