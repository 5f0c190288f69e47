import { assert } from '../assert.ts'
import type { Link } from '../projections/tables/links.ts'
import type { FoundPath } from './paths.ts'
import { fewestHops } from './paths-bidirectional.ts'
import { greatestConfidence } from './paths-confidence.ts'
import { type Exploration, farEnd, type Leg, ROUNDING } from './paths-search.ts'

/**
 * A path that is the best of its class: of all paths that share its first `turn` edges and do not
 * go on with a closed step.
 */
interface Candidate {
  readonly path: FoundPath
  readonly turn: number
  readonly closedSteps: readonly Link[]
}

/**
 * Finds the `limit` best simple paths, best first.
 *
 * The best path splits the rest of its class into smaller ones, by the edge at which the others
 * leave it. The best path of each becomes a candidate; the best candidate is the next path, and
 * so on. The classes never overlap, so no path comes up twice.
 *
 * @see Yen, 1971, "Finding the K shortest loopless paths in a network", Management Science 17.
 * @see Lawler, 1972, "A procedure for computing the K best solutions to discrete optimization
 *   problems", Management Science 18, for splitting into classes.
 */
export async function rankPaths(exploration: Exploration): Promise<FoundPath[]> {
  const { source, maxDepth, limit } = exploration.query
  const paths: FoundPath[] = []
  const waiting: Candidate[] = []

  const nowhere = { ordinals: [source], edges: [], confidence: 1 }
  const edges = await bestEdges(exploration, {
    source,
    maxDepth,
    closedConcepts: new Set<number>(),
    closedSteps: [],
    confidence: 1,
    minConfidence: 0
  })
  let best: Candidate | undefined = edges && {
    path: extend(nowhere, edges),
    turn: 0,
    closedSteps: []
  }

  while (best !== undefined) {
    paths.push(best.path)
    if (paths.length >= limit) break
    await split(exploration, best, waiting, limit - paths.length)
    best = waiting.shift()
  }
  return paths
}

/** Puts the best path of each class that `best` leaves behind among the candidates. */
async function split(
  exploration: Exploration,
  best: Candidate,
  waiting: Candidate[],
  wanted: number
): Promise<void> {
  const { order } = exploration.query
  const { ordinals, edges } = best.path
  const closedConcepts = new Set<number>()
  let root: FoundPath = { ordinals: ordinals.slice(0, 1), edges: [], confidence: 1 }

  for (const [turn, edge] of edges.entries()) {
    if (turn >= best.turn) {
      const closedSteps = turn === best.turn ? [...best.closedSteps, edge] : [edge]
      // No path behind the last candidate that can still be wanted is of any use.
      const worst = waiting.length < wanted ? undefined : waiting[wanted - 1]?.path
      const leg = legAfter(exploration, root, closedConcepts, closedSteps, worst)
      const rest = await bestEdges(exploration, leg)
      if (rest !== undefined) {
        insert(waiting, { path: extend(root, rest), turn, closedSteps }, order, wanted)
      }
    }
    closedConcepts.add(endOf(root))
    root = extend(root, [edge])
  }
}

function legAfter(
  exploration: Exploration,
  root: FoundPath,
  closedConcepts: ReadonlySet<number>,
  closedSteps: readonly Link[],
  worst: FoundPath | undefined
): Leg {
  const { order, maxDepth } = exploration.query
  const byHops = order === 'hops' && worst !== undefined
  const hopsMax = byHops ? Math.min(maxDepth, worst.edges.length) : maxDepth
  return {
    source: endOf(root),
    maxDepth: hopsMax - root.edges.length,
    closedConcepts,
    closedSteps,
    confidence: root.confidence,
    minConfidence: byHops || worst === undefined ? 0 : worst.confidence * ROUNDING
  }
}

function bestEdges(exploration: Exploration, leg: Leg): Promise<Link[] | undefined> {
  if (exploration.query.order === 'hops') return fewestHops(exploration, leg)
  return greatestConfidence(exploration, leg)
}

/** Keeps the candidates sorted, and no more of them than are wanted. Equal ones: first come. */
function insert(
  waiting: Candidate[],
  candidate: Candidate,
  order: 'hops' | 'confidence',
  wanted: number
): void {
  let low = 0
  let high = waiting.length
  while (low < high) {
    const middle = (low + high) >> 1
    const one = waiting[middle]
    if (one !== undefined && isBetter(candidate.path, one.path, order)) high = middle
    else low = middle + 1
  }
  waiting.splice(low, 0, candidate)
  if (waiting.length > wanted) waiting.length = wanted
}

function isBetter(a: FoundPath, b: FoundPath, order: 'hops' | 'confidence'): boolean {
  const hops = a.edges.length - b.edges.length
  if (order === 'hops' && hops !== 0) return hops < 0
  if (a.confidence !== b.confidence) return a.confidence > b.confidence
  return hops < 0
}

function extend(root: FoundPath, rest: readonly Link[]): FoundPath {
  const ordinals = root.ordinals.slice()
  let { confidence } = root
  let end = endOf(root)
  for (const edge of rest) {
    end = farEnd(edge, end)
    ordinals.push(end)
    confidence *= edge.confidence
  }
  return { ordinals, edges: root.edges.concat(rest), confidence }
}

function endOf(path: FoundPath): number {
  const end = path.ordinals.at(-1)
  assert(end !== undefined, 'a path begins somewhere')
  return end
}
