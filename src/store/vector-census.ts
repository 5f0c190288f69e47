/** Which vectors of the index are still of use: the index itself knows nothing of concepts. */
import { Pinned } from '../projections/pinned.ts'
import type { VectorsClient } from '../projections/vectors/client.ts'
import type { Liveness } from '../projections/vectors/index-merger.ts'
import type { Segment } from '../projections/vectors/segment.ts'
import { STRETCH_MS, turn } from '../turn.ts'
import type { Engine } from './engine.ts'

export function livenessOf(engine: Engine, client: VectorsClient): Liveness {
  return {
    vectors: () => vectorsAt(engine.pin()),
    async bury(segment, rows) {
      await bury(engine, client, segment, rows)
    }
  }
}

/** At most so many vectors has the newest state: each event that no table holds may bring one. */
function vectorsAt({ snapshot, position }: Pinned): number {
  return snapshot.counts().vectors + position - snapshot.checkpoint
}

/**
 * Buries the rows whose concepts do not have that revision any more. A revision is never given twice,
 * so a row that is dead once stays so, whatever happens meanwhile. By the durable state: what a power
 * cut takes back would bring the vector back, which would then be missing.
 */
async function bury(
  engine: Engine,
  client: VectorsClient,
  segment: Segment,
  { from, to }: { from: number; to: number }
): Promise<void> {
  const { ids, deaths } = segment
  let began = performance.now()
  if (!engine.holds.mayLeaveOut(client)) return
  for (let row = from; row < to; row++) {
    if (!deaths.isDead(row)) {
      const { live, overlay, ids: idTable, log } = engine.parts
      // Without a cache: what is looked up here nobody asks for soon.
      const durable = new Pinned(log.durableHead, live.snapshot, overlay, idTable)
      const state = durable.concept(ids.ordinalAt(row))
      if (state?.revision !== ids.revisionAt(row)) segment.bury(row, durable.position)
    }
    if (performance.now() - began < STRETCH_MS) continue
    await turn()
    if (engine.closing.signal.aborted || !engine.holds.mayLeaveOut(client)) return
    began = performance.now()
  }
}
