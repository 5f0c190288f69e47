import { prepareNote } from '../append/note.ts'
import type { Frame } from '../log/frame.ts'
import { toStoredEvent } from '../log/stored-event.ts'
import { DurableLimit } from '../pipeline/durable-limit.ts'
import { storeClosed } from '../pipeline/flow-control.ts'
import { Subscriptions, type SubscriptionsHost } from '../pipeline/subscriptions/subscriptions.ts'
import type { Engine } from './engine.ts'

/** What subscriptions need of an open store. */
export function subscriptionsOf(engine: Engine): Subscriptions {
  const { directory, format } = engine.parts
  return new Subscriptions({
    directory,
    storeId: format.storeId.toString('hex'),
    host: hostOf(engine)
  })
}

function hostOf(engine: Engine): SubscriptionsHost {
  const { log, hub } = engine.parts
  const durableHead = (): number => Math.min(log.head, log.durableHead)
  const source = {
    head: () => log.head,
    durableHead,
    sync: async () => log.sync(),
    read: (from: number) => log.read(from)
  }
  // One sync for all subscriptions that wait for one; an event that is durable waits for none.
  const limit = new DurableLimit(source, 1)
  return {
    source,
    hub,
    consume: engine.operations.consumer,
    durableBeyond: async (position) => limit.beyond(position),
    async durableNow() {
      const { head } = log
      if (durableHead() < head) await limit.beyond(head - 1)
      return head
    },
    async note(event, key) {
      const { receipt } = await engine.writer.commit(prepareNote(event, key))
      return receipt.first
    },
    eventAt: async (position) => eventCursor(engine)(position),
    eventCursor: () => eventCursor(engine),
    timeAt: async (position) => (await eventCursor(engine)(position))?.time ?? 0
  }
}

/**
 * Finds events by their positions, `undefined` for one before the first and for one that is lost in a
 * gap. The frame at hand is kept: of a thousand events of one frame, it is read and decoded once.
 */
function eventCursor(engine: Engine): SubscriptionsHost['eventAt'] {
  let frame: Frame | undefined
  return async (position) => {
    if (position < 1) return undefined
    if (frame === undefined || position < frame.first || position > frame.last) {
      frame = await frameWith(engine, position)
    }
    const commit = frame?.commits.findLast(({ first }) => first <= position)
    const event = commit?.events[position - commit.first]
    if (commit === undefined || event === undefined) return undefined
    return toStoredEvent(commit, position - commit.first, event)
  }
}

async function frameWith(engine: Engine, position: number): Promise<Frame | undefined> {
  const { signal } = engine.closing
  try {
    if (signal.aborted) throw storeClosed('quarantined')
    for await (const frame of engine.parts.log.read(position, position)) return frame
    return undefined
  } catch (error) {
    // The log may be closed under a read: what it says then is no news.
    throw signal.aborted ? storeClosed('quarantined') : error
  }
}
