/** A graph in two arrays, walked both ways: what the right answers are taken from. */

export interface Adjacency {
  /** Where the neighbours of a row begin; those of the next row begin where they end. */
  starts: Uint32Array
  neighbors: Uint32Array
}

export function adjacencyOf(rows: number, sources: Uint32Array, targets: Uint32Array): Adjacency {
  const starts = new Uint32Array(rows + 1)
  const ends = [
    [sources, targets],
    [targets, sources]
  ] as const
  for (const [from] of ends) for (const row of from) starts[row + 1] = (starts[row + 1] ?? 0) + 1
  for (let row = 0; row < rows; row++) starts[row + 1] = (starts[row + 1] ?? 0) + (starts[row] ?? 0)
  const filled = starts.slice()
  const neighbors = new Uint32Array(sources.length * 2)
  for (const [from, to] of ends) {
    for (const [edge, row] of from.entries()) {
      const at = filled[row] ?? 0
      neighbors[at] = to[edge] ?? 0
      filled[row] = at + 1
    }
  }
  return { starts, neighbors }
}

export function neighborsOf({ starts, neighbors }: Adjacency, row: number): Uint32Array {
  return neighbors.subarray(starts[row], starts[row + 1])
}

/** Yields the rows that are exactly 1, 2, … hops away, a ring at a time, as far as they go. */
export function* rings(graph: Adjacency, from: number): Generator<number[]> {
  const seen = new Set([from])
  for (let ring = [from]; ring.length > 0; ) {
    const next: number[] = []
    for (const row of ring) {
      for (const neighbor of neighborsOf(graph, row)) {
        if (seen.has(neighbor)) continue
        seen.add(neighbor)
        next.push(neighbor)
      }
    }
    ring = next
    if (ring.length > 0) yield ring
  }
}

export function rowsAround(graph: Adjacency, from: number, most: number): Set<number> {
  const near = new Set([from])
  for (const ring of rings(graph, from)) {
    for (const row of ring) {
      if (near.size >= most) return near
      near.add(row)
    }
  }
  return near
}
