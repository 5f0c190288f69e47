/** Which vectors of the index are still of use: the index itself knows nothing of concepts. */
import { isStoreError } from '../errors.ts'
import { Pinned } from '../projections/pinned.ts'
import type { VectorsClient } from '../projections/vectors/client.ts'
import type { Liveness } from '../projections/vectors/index-merger.ts'
import type { Segment } from '../projections/vectors/segment.ts'
import { STRETCH_MS, turn } from '../turn.ts'
import type { Engine } from './engine.ts'

export function livenessOf(engine: Engine, client: VectorsClient): Liveness {
  return {
    vectors: () => vectorsAt(engine.pin()),
    bury: async (segment, rows) => bury(engine, client, segment, rows)
  }
}

/**
 * Of pairs of ordinal and revision, the revisions that their concepts have in the durable state.
 *
 * @param pace Waits now and then; throws to stop.
 */
export async function livingRevisions(
  engine: Engine,
  pairs: Uint32Array,
  pace: () => Promise<void>
): Promise<number[]> {
  const living: number[] = []
  for (let at = 0; at < pairs.length; at += 2) {
    const revision = pairs[at + 1] ?? 0
    if (revisionOf(engine, pairs[at] ?? 0) === revision) living.push(revision)
    await pace()
  }
  return living
}

function revisionOf(engine: Engine, ordinal: number): number | undefined {
  try {
    return durableState(engine).concept(ordinal)?.revision
  } catch (error) {
    // A damaged row is told by whoever looks at the tables.
    if (!isStoreError(error, 'TABLES_DAMAGED')) throw error
    return undefined
  }
}

/** Without a cache: what is looked up here nobody asks for soon. */
function durableState({ parts: { live, overlay, ids, log } }: Engine): Pinned {
  return new Pinned(log.durableHead, live.snapshot, overlay, ids)
}

/** At most so many vectors has the newest state: each event that no table holds may bring one. */
function vectorsAt({ snapshot, position }: Pinned): number {
  return snapshot.counts().vectors + position - snapshot.checkpoint
}

/**
 * Buries the rows whose concepts do not have that revision any more. A revision is never given twice,
 * so a row that is dead once stays so, whatever happens meanwhile. By the durable state: what a power
 * cut takes back would bring the vector back, which would then be missing.
 *
 * @returns Whether it looked at all of them.
 */
async function bury(
  engine: Engine,
  client: VectorsClient,
  segment: Segment,
  { from, to }: { from: number; to: number }
): Promise<boolean> {
  const { ids, deaths } = segment
  let began = performance.now()
  if (!engine.holds.mayLeaveOut(client)) return false
  for (let row = from; row < to; row++) {
    if (!deaths.isDead(row)) {
      const durable = durableState(engine)
      const state = durable.concept(ids.ordinalAt(row))
      if (state?.revision !== ids.revisionAt(row)) segment.bury(row, durable.position)
    }
    if (performance.now() - began < STRETCH_MS) continue
    await turn()
    if (engine.closing.signal.aborted || !engine.holds.mayLeaveOut(client)) return false
    began = performance.now()
  }
  return true
}
