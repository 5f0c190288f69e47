import { setTimeout as sleep } from 'node:timers/promises'
import { ID_AT } from '../projections/tables/keys.ts'
import type { EngineParts } from './engine-parts.ts'

/**
 * Fills the id table from the tables, in the background. It rests as long as it works: whoever
 * opened the store has work of its own, and until the table is filled look-ups go to the tables.
 */
export async function fillIds(parts: EngineParts, closing: AbortSignal): Promise<void> {
  const { ids, hub } = parts
  const { snapshot } = parts.live
  snapshot.hold()
  try {
    let began = performance.now()
    for await (const rows of snapshot.ids()) {
      for (const { key, ordinal, deadVersion, hasKey } of rows) {
        ids.fill(key, ID_AT, { ordinal, isAlive: deadVersion === 0, hasKey })
      }
      if (closing.aborted) return
      await sleep(performance.now() - began)
      began = performance.now()
    }
    ids.markFilled()
  } catch (error) {
    // Look-ups go on in the tables, where whoever asks meets the same error.
    const reason = error instanceof Error ? error.message : String(error)
    if (hub.active) hub.emit({ type: 'damage-found', time: Date.now(), part: 'tables', reason })
  } finally {
    await snapshot.release()
  }
}
