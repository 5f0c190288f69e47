import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Attached,
  attach,
  type EventsOptions,
  isStoreError,
  type StoredEvent
} from '../index.ts'
import { type Session, type StoreFlags, warn } from './session.ts'
import { look, type Source } from './source.ts'

/** How soon another process that opens the store is noticed. */
const POLL_MS = 500

/** Where to begin, which may take a look at the store. */
type Choose = (source: Source) => Promise<EventsOptions>

/**
 * Hands on events until Ctrl-C: those that there are, then what comes, from whichever process has the
 * store open. Between two of them it waits, and holds nothing: whoever follows must not be the reason
 * why nobody can write.
 */
export async function follow(
  session: Session,
  flags: StoreFlags,
  choose: Choose,
  take: (event: StoredEvent) => Promise<void>
): Promise<void> {
  const { signal } = session
  let options: EventsOptions | undefined
  const takeAll = async (source: Source, live: boolean): Promise<void> => {
    options ??= await choose(source)
    for await (const event of source.events({ ...options, live, signal })) {
      options = { ...options, from: event.position + 1 }
      await take(event)
    }
  }
  // Told by the head: the last event asked for may be of a type that is left out.
  const isThrough = async (source: Source): Promise<boolean> => {
    if (options?.to === undefined) return false
    return (await source.stats({ signal })).position >= options.to
  }
  let storeId: string | undefined
  try {
    for (let isFirst = true; ; isFirst = false) {
      const attached = await attachOrNothing(flags.dir, signal)
      if (attached !== undefined) {
        await using source = attached
        storeId ??= source.storeId
        if (storeId !== source.storeId) throw new Error(`There is another store in '${flags.dir}'`)
        const isDone = await whileOpen(async () => {
          await takeAll(source, true)
          return isThrough(source)
        })
        if (isDone === true) return
      } else if (isFirst) {
        let isDone = false
        // Fails where the store is locked and its owner offers nothing.
        await look(session, flags, async (source) => {
          await takeAll(source, false)
          isDone = await isThrough(source)
        })
        if (isDone) return
        warn('Waiting for a process that opens the store with { attach: true }')
      }
      await sleep(POLL_MS, undefined, { signal })
    }
  } catch (error) {
    // Ctrl-C is how following ends.
    if (!signal.aborted) throw error
  }
}

async function attachOrNothing(
  directory: string,
  signal: AbortSignal
): Promise<Attached | undefined> {
  try {
    return await attach(directory, { signal })
  } catch (error) {
    if (isStoreError(error, 'ATTACH_UNAVAILABLE')) return undefined
    throw error
  }
}

/** `undefined` once the other process has closed the store, or is gone. */
async function whileOpen<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    const isOver = isStoreError(error, 'ATTACH_UNAVAILABLE') || isStoreError(error, 'STORE_CLOSED')
    if (isOver) return undefined
    throw error
  }
}
