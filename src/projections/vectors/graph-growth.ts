/** When a graph that grows in memory is worth a file. */
import type { Segment } from './segment.ts'

/** Rows that one task of the builder takes: a cancelled one ends sooner. */
export const BATCH_ROWS = 2_000
/** A graph is written anew when it has grown by a quarter, or when there is nothing else to do. */
const GROWTH = 1.25
/** A graph that grew by less is not written just because somebody asks, or because nothing is to do. */
const WORTH_SAVING = 1 / 16

export function isGrown({ built, builtVectors, graph, rows, isFull }: Segment): boolean {
  const before = graph?.vectors ?? 0
  if (isFull && built === rows) return builtVectors > 0 && built > (graph?.rows ?? 0)
  return builtVectors - before >= 4 * BATCH_ROWS && builtVectors >= before * GROWTH
}

export function isWorthSaving({ builtVectors, graph }: Segment): boolean {
  const before = graph?.vectors ?? 0
  return builtVectors - before > before * WORTH_SAVING
}
