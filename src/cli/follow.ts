import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Attached,
  attach,
  type EventsOptions,
  isStoreError,
  type StoredEvent
} from '../index.ts'
import { toJson } from './output.ts'
import { type Session, type StoreFlags, warn } from './session.ts'
import { look, type Source } from './source.ts'

/** How soon another process that opens the store is noticed. */
const POLL_MS = 500
/** Read while the store is open, and handed on when it is closed again. */
const SLICE_EVENTS = 4096
const SLICE_CHARACTERS = 16 * 1024 * 1024

/** Where to begin, which may take a look at the store. */
type Choose = (source: Source) => Promise<EventsOptions>

/**
 * Hands on events until Ctrl-C: those that there are, then what comes, from whichever process has the
 * store open. While it waits, for events or for who reads what it prints, it holds nothing: whoever
 * follows must not be the reason why nobody can write.
 */
export async function follow(
  session: Session,
  flags: StoreFlags,
  choose: Choose,
  take: (event: StoredEvent) => Promise<void>
): Promise<void> {
  const { signal } = session
  let options: EventsOptions | undefined
  const takeLive = async (source: Source): Promise<void> => {
    options ??= await choose(source)
    for await (const event of source.events({ ...options, live: true, signal })) {
      options = { ...options, from: event.position + 1 }
      await take(event)
    }
  }
  // Told by the head: the last event asked for may be of a type that is left out.
  const isThrough = async (source: Source): Promise<boolean> => {
    if (options?.to === undefined) return false
    return (await source.stats({ signal })).position >= options.to
  }
  // What there is, a slice at a time; in between others may open the store.
  const takeSlice = async (): Promise<'more' | 'all' | 'through'> => {
    const slice: StoredEvent[] = []
    let found: 'more' | 'all' | 'through' = 'all'
    await look(session, flags, async (source) => {
      options ??= await choose(source)
      let characters = 0
      for await (const event of source.events({ ...options, signal })) {
        slice.push(event)
        characters += toJson(event.data).length
        if (slice.length < SLICE_EVENTS && characters < SLICE_CHARACTERS) continue
        found = event.position === options.to ? 'through' : 'more'
        return
      }
      if (await isThrough(source)) found = 'through'
    })
    for (const event of slice) {
      signal.throwIfAborted()
      options = { ...options, from: event.position + 1 }
      await take(event)
    }
    return found
  }
  let storeId: string | undefined
  let isBehind = true
  let isFirst = true
  try {
    for (; ; isFirst = false) {
      const attached = await attachOrNothing(flags.dir, signal)
      if (attached !== undefined) {
        await using source = attached
        storeId ??= source.storeId
        if (storeId !== source.storeId) throw new Error(`There is another store in '${flags.dir}'`)
        const isDone = await whileOpen(async () => {
          await takeLive(source)
          return isThrough(source)
        })
        if (isDone === true) return
        isBehind = false
      } else if (isBehind) {
        // The first time it fails where the store is locked and its owner offers nothing.
        const found = isFirst ? await takeSlice() : await unlessLocked(takeSlice)
        if (found === 'through') return
        if (found === 'more') continue
        if (found === 'all') {
          isBehind = false
          warn('Waiting for a process that opens the store with { attach: true }')
        }
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

/** `undefined` while another process has the store open and lets nobody look on. */
async function unlessLocked<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (isStoreError(error, 'STORE_LOCKED')) return undefined
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
