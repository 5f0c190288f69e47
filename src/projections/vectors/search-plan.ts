import type { Item } from './protocol.ts'
import type { SharedSet } from './shared-set.ts'

/** An HNSW search for a quarter of its rows touches most of them: comparing them is then faster. */
const SCAN_FRACTION = 4
/** Numbers that a thread compares in about two milliseconds: what one task takes at most. */
const SCAN_NUMBERS = 2 ** 20
/** A search of so many graphs is shared between threads. */
const GRAPHS_PER_TASK = 4

export interface Plan {
  /** What each task does. */
  tasks: Item[][]
  /** Every row is compared: asking for more candidates gives nothing new. */
  isExact: boolean
}

/** Which graphs are asked, which rows are compared, and how that is cut into tasks. */
export function planSearch(
  set: SharedSet,
  rows: readonly number[],
  { wanted, exact }: { wanted: number; exact: boolean }
): Plan {
  const { parts, shape } = set.description
  const graphs: Item[] = []
  const scans: Item[] = []
  const most = Math.max(64, Math.floor(SCAN_NUMBERS / shape.dimensions))
  parts.forEach(({ graph }, part) => {
    const end = rows[part] ?? 0
    let from = 0
    if (graph !== undefined && !exact && wanted * SCAN_FRACTION < graph.vectors) {
      graphs.push({ part, graph: true })
      from = graph.rows
    }
    for (; from < end; from += most) scans.push({ part, from, to: Math.min(end, from + most) })
  })
  const tasks: Item[][] = []
  for (let at = 0; at < graphs.length; at += GRAPHS_PER_TASK) {
    tasks.push(graphs.slice(at, at + GRAPHS_PER_TASK))
  }
  // A last short stretch goes along with a graph: another task costs more than it takes.
  const [first] = tasks
  const short = scans.length === 1 ? scans[0] : undefined
  if (first !== undefined && short !== undefined) first.push(short)
  else tasks.push(...scans.map((scan) => [scan]))
  return { tasks, isExact: graphs.length === 0 }
}
