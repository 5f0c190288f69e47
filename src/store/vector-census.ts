/** Which vectors of the index are still of use: the index itself knows nothing of concepts. */
import type { Pinned } from '../projections/pinned.ts'
import type { Segment } from '../projections/vectors/segment.ts'
import { STRETCH_MS, turn } from '../turn.ts'
import type { Engine } from './engine.ts'

/** At most so many vectors has the newest state: each event that no table holds may bring one. */
export function vectorsAt({ snapshot, position }: Pinned): number {
  return snapshot.counts().vectors + position - snapshot.checkpoint
}

/**
 * A bit for each row of a segment: whether its concept still has that revision. A revision is never
 * given twice, so a row that is dead once stays so, whatever happens meanwhile.
 */
export async function censusOf(engine: Engine, segment: Segment): Promise<Uint8Array> {
  const { ids, rows } = segment
  const keep = new Uint8Array(Math.ceil(rows / 8))
  let began = performance.now()
  for (let row = 0; row < rows; row++) {
    if (engine.closing.signal.aborted) return keep.fill(0xff)
    const state = engine.pin().concept(ids.ordinalAt(row))
    if (state?.revision === ids.revisionAt(row))
      keep[row >> 3] = (keep[row >> 3] ?? 0) | (1 << (row & 7))
    if (performance.now() - began < STRETCH_MS) continue
    await turn()
    began = performance.now()
  }
  return keep
}
