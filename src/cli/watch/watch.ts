import { setTimeout as sleep } from 'node:timers/promises'
import { type Attached, attach, isStoreError } from '../../index.ts'
import { type Session, warn } from '../session.ts'
import { look } from '../source.ts'
import { History, type Look } from './history.ts'
import { plainLine, toRecord } from './plain.ts'
import { render, type Watching } from './render.ts'
import { Screen } from './screen.ts'

export interface WatchOptions {
  directory: string
  intervalMs: number
  json: boolean
}

/** What is worth evaluating alerts for, and telling of as soon as it happens. */
const TYPES = ['alert-raised', 'alert-cleared', 'health-changed', 'closed'] as const

/** Looks at a store again and again until it is told to stop, wherever the store is opened. */
export async function watch(session: Session, options: WatchOptions): Promise<void> {
  const isScreen = session.isTerminal && !options.json
  await (isScreen ? watchOnScreen(session, options) : watchInLines(session, options))
}

async function watchOnScreen(session: Session, options: WatchOptions): Promise<void> {
  const stop = new AbortController()
  const history = new History()
  const { printer } = session
  const watching: Watching = { ...options, now: Date.now(), trouble: undefined }
  const paint = (): void => {
    watching.now = Date.now()
    screen.paint(render(history, watching, screen.size, printer.layout.colour))
  }
  const leave = (): void => {
    // At once, whatever is still under way.
    screen.close()
    stop.abort()
  }
  const keys = { quit: leave, interrupt: () => session.interrupt() }
  const screen = new Screen(process.stdout, process.stdin, keys, paint)
  const signal = AbortSignal.any([stop.signal, session.signal])
  screen.open()
  try {
    for await (const { look, trouble } of seen(session, options, signal)) {
      if (look !== undefined) history.add(look)
      watching.trouble = trouble
      paint()
    }
  } finally {
    screen.close()
  }
}

/** Where nobody is watching: a line each time, and a note on standard error while there is none. */
async function watchInLines(session: Session, options: WatchOptions): Promise<void> {
  const history = new History()
  const { printer } = session
  let said: string | undefined
  for await (const { look, trouble } of seen(session, options, session.signal)) {
    if (trouble !== undefined && trouble !== said) warn(trouble)
    said = trouble
    if (look === undefined) continue
    history.add(look)
    if (options.json) await printer.json(toRecord(history))
    else await printer.line(plainLine(history))
    await printer.flush()
  }
}

interface Seen {
  look?: Look
  /** Why there is nothing new to see. */
  trouble?: string
}

const WAITING = 'Waiting for a process that opens the store with { attach: true }'

/** What is to be seen, every interval. Ends when the signal fires. */
async function* seen(
  session: Session,
  options: WatchOptions,
  signal: AbortSignal
): AsyncGenerator<Seen, void> {
  const { directory, intervalMs } = options
  let attached: Attached | undefined
  let isFirst = true
  try {
    for (let due = performance.now(); !signal.aborted; isFirst = false) {
      try {
        attached ??= await attachAndFollow(directory, signal)
        yield { look: await lookAt(attached, signal) }
      } catch (error) {
        if (signal.aborted) return
        await attached?.close()
        attached = undefined
        // What waiting does not help, such as a directory that holds no store, is an error.
        if (!isStoreError(error, 'ATTACH_UNAVAILABLE') && !isStoreError(error, 'STORE_CLOSED')) {
          throw error
        }
        yield { trouble: WAITING }
        if (isFirst) yield { look: await lookOnce(session, directory), trouble: WAITING }
      }
      // A pace that does not drift; what was missed is not made up for.
      due = Math.max(due + intervalMs, performance.now())
      await pause(due - performance.now(), signal)
    }
  } finally {
    await attached?.close()
  }
}

/**
 * What a store is like that nobody has open. It is let go at once: whoever watches must not be the
 * reason why nobody else can open it.
 *
 * @throws StoreError `STORE_LOCKED` where somebody has it open and offers nothing.
 */
async function lookOnce(session: Session, dir: string): Promise<Look> {
  let found: Look | undefined
  await look(session, { dir }, async (source) => {
    found = { time: Date.now(), stats: await source.stats(), process: undefined }
  })
  if (found === undefined) throw new Error('a look at a store that was opened gives its state')
  return found
}

async function lookAt(attached: Attached, signal: AbortSignal): Promise<Look> {
  const stats = await attached.stats({ signal })
  const process = await attached.process({ signal })
  return { time: Date.now(), stats, process }
}

/** A store evaluates its alerts while somebody listens for them: so we do. */
async function attachAndFollow(directory: string, signal: AbortSignal): Promise<Attached> {
  const attached = await attach(directory, { signal })
  const drain = async (): Promise<void> => {
    for await (const _ of attached.telemetry({ types: TYPES, signal }));
  }
  // The next look meets the same end, and deals with it.
  drain().catch(() => undefined)
  return attached
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal })
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
