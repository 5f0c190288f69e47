import { type Attached, attach, isStoreError, StoreError } from '../index.ts'
import type { Session, StoreFlags } from './session.ts'

/** What can be asked of a store, whether this process opens it or another one has it open. */
export type Source = Pick<Attached, 'stats' | 'counts' | 'metrics' | 'events'>

/** Looks at a store: opens it for reading, or asks the process that has it open. */
export async function look(
  session: Session,
  flags: StoreFlags,
  work: (source: Source) => Promise<void>
): Promise<void> {
  try {
    await session.read(flags, async (store) => {
      await work({
        stats: async () => store.stats(),
        counts: async (options) => store.counts(options),
        metrics: async () => store.metrics(),
        events: (options) => store.events(options)
      })
    })
  } catch (error) {
    if (!isStoreError(error, 'STORE_LOCKED')) throw error
    await using attached = await attachTo(flags.dir, error, session.signal)
    await work(attached)
    await session.printer.flush()
  }
}

/** @throws StoreError `STORE_LOCKED`, which says how its owner would let others look on. */
export async function attachTo(
  directory: string,
  locked: StoreError<'STORE_LOCKED'>,
  signal: AbortSignal
): Promise<Attached> {
  try {
    return await attach(directory, { signal })
  } catch (cause) {
    if (!isStoreError(cause, 'ATTACH_UNAVAILABLE')) throw cause
    const hint = 'To look on from here, open it there with { attach: true }'
    const message = `${locked.message}. ${hint}`
    throw new StoreError('STORE_LOCKED', message, locked.details, { cause })
  }
}
