import type { Pinned } from '../projections/pinned.ts'
import type { Counts } from '../types.ts'
import { ReadPace } from './pace.ts'

/** Counts at a position: those of the tables with what the overlay changed. */
export async function countsAt(pinned: Pinned, signal: AbortSignal | undefined): Promise<Counts> {
  const pace = new ReadPace(signal, 'counts')
  const { checkpoint } = pinned.snapshot
  const { concepts, associations, vectors } = pinned.snapshot.counts()
  const types = await pinned.snapshot.typeCounts()
  const counts = { concepts, associations, vectors }
  for (const segment of pinned.segments) {
    if (segment.last <= checkpoint) continue
    const { created, learned } = segment
    for (let i = upTo(learned, checkpoint); i < upTo(learned, pinned.position); i++) {
      counts.concepts += 1
      if (segment.learnedVectors[i] === true) counts.vectors += 1
      bump(types, segment.learnedTypes[i], 1)
      if (pace.step()) await pace.rest()
    }
    counts.associations += upTo(created, pinned.position) - upTo(created, checkpoint)
    for (const delta of segment.deltas) {
      if (delta.position <= checkpoint) continue
      if (delta.position > pinned.position) break
      counts.concepts += delta.concepts
      counts.vectors += delta.vectors
      delta.associations ??= -(await livingAssociations(pinned, delta.forgotten, delta.position))
      counts.associations += delta.associations
      if (delta.typeFrom !== delta.typeTo) {
        bump(types, delta.typeFrom, -1)
        bump(types, delta.typeTo, 1)
      }
      if (pace.step()) await pace.rest()
    }
  }
  return { ...counts, types: Object.fromEntries(types) }
}

/** How many of the positions, which ascend, are not beyond one. */
function upTo(positions: readonly number[], position: number): number {
  let low = 0
  let high = positions.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((positions[middle] ?? 0) <= position) low = middle + 1
    else high = middle
  }
  return low
}

function bump(types: Map<string, number>, type: string | undefined, by: number): void {
  if (type === undefined) return
  const count = (types.get(type) ?? 0) + by
  if (count === 0) types.delete(type)
  else types.set(type, count)
}

/** Associations that a concept had just before it was forgotten; a loop counts once. */
async function livingAssociations(
  pinned: Pinned,
  ordinal: number,
  forgottenAt: number
): Promise<number> {
  const before = pinned.at(forgottenAt - 1)
  const concept = before.concept(ordinal)
  if (concept === undefined) return 0
  const self = { ordinal, id: concept.id, key: concept.key }
  const pace = new ReadPace(undefined, 'counts')
  let count = 0
  for (const side of ['out', 'in'] as const) {
    for (const state of before.associations(self, side)) {
      if (side === 'out' || state.source.ordinal !== ordinal) count += 1
      if (pace.step()) await pace.rest()
    }
  }
  return count
}
