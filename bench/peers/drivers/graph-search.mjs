/**
 * The search that a program writes by hand over an engine without one: from both ends at once,
 * whole rings at a time, always the smaller one.
 *
 * @param eachNeighbor Calls back with every neighbour of a row, both ways.
 * @returns Rows from one end to the other, of which there are no fewer; `[]` if none lead there.
 */
export function shortestPath(source, target, eachNeighbor) {
  if (source === target) return [source]
  let near = { from: new Map([[source, -1]]), ring: [source] }
  let far = { from: new Map([[target, -1]]), ring: [target] }
  while (near.ring.length > 0 && far.ring.length > 0) {
    if (near.ring.length > far.ring.length) [near, far] = [far, near]
    const next = []
    let meeting
    for (const row of near.ring) {
      eachNeighbor(row, (neighbor) => {
        if (meeting !== undefined || near.from.has(neighbor)) return
        near.from.set(neighbor, row)
        next.push(neighbor)
        // All rings before this one are whole, so the first meeting is as short as any.
        if (far.from.has(neighbor)) meeting = neighbor
      })
      if (meeting !== undefined) return join(near.from, far.from, meeting, source)
    }
    near.ring = next
  }
  return []
}

function join(near, far, meeting, source) {
  const rows = [...walk(near, meeting).reverse(), ...walk(far, meeting).slice(1)]
  return rows[0] === source ? rows : rows.reverse()
}

function walk(from, meeting) {
  const rows = []
  for (let row = meeting; row !== -1; row = from.get(row)) rows.push(row)
  return rows
}

/** For each row, the rows that it is associated with, both ways and once each. */
export function bothWays({ keys, sources, targets }) {
  const neighbors = keys.map(() => new Set())
  for (const [edge, source] of sources.entries()) {
    const target = targets[edge]
    if (source === target) continue
    neighbors[source].add(target)
    neighbors[target].add(source)
  }
  return neighbors
}

/** For each row, `[type, key of the other, key of the association]` of those that lead out. */
export function leadingOut({ keys, sources, targets, edgeTypes, typeNames, edgeKeys }) {
  const out = keys.map(() => [])
  for (const [edge, source] of sources.entries()) {
    out[source].push([typeNames[edgeTypes[edge]], keys[targets[edge]], edgeKeys[edge]])
  }
  return out
}
