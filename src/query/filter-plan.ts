/** How a search with a filter goes about it: which concepts it asks the index for, and how many. */
import type { Pinned } from '../projections/pinned.ts'
import type { Where } from '../types.ts'
import type { Filter } from './search-options.ts'
import { estimate, type Selection, select } from './selection.ts'
import { nameOf, recall } from './selection-cache.ts'
import { type Plan, planWhere } from './selection-plan.ts'

export type { Selection } from './selection.ts'

export interface FilterPlan {
  /** The concepts that may pass and have vectors: other candidates need not be read. */
  selection: Selection | undefined
  /** So few that comparing with exactly these is the fastest way. */
  isFew: boolean
  /** Candidates to ask for first. */
  fetch: number
}

/** How a plan finds concepts: by values, by ranges of values, or by types and reading their rows. */
type Way = 'listed' | 'ranged' | 'read'

/**
 * What things cost in relation to each other decides; see "Why not" in src/README.md. For a candidate
 * more that a graph considers, its row included, so many concepts can be compared that an index
 * told of; or so many be selected, to tell candidates apart without reading them. A posting of a
 * single value tells of thousands at once, those of a range perhaps of one each.
 */
const WORTH: Readonly<Record<Way, { compared: number; selected: number; exactShare: number }>> = {
  listed: { compared: 20, selected: 150, exactShare: 1 / 2 },
  ranged: { compared: 4, selected: 0, exactShare: 1 / 10 },
  read: { compared: 1, selected: 0, exactShare: 1 / 50 }
}

/** So few are compared at once without asking what is faster. */
const FEW = 1024

/** Without an estimate: candidates for each match. */
const BLIND_FACTOR = 4
/** Candidates beyond those expected, because a sample scatters. */
const MARGIN = 1.5
/** More are not asked of a graph in one go. */
const FETCH_MAX = 4096

interface Asked {
  /** Candidates that a search without the filter would ask for. */
  want: number
  exact: boolean
  signal: AbortSignal | undefined
}

export async function planFilter(
  pinned: Pinned,
  { where }: Filter,
  { want, exact, signal }: Asked
): Promise<FilterPlan> {
  const passing = estimate(pinned, where)
  if (passing === undefined) {
    return { selection: undefined, isFew: false, fetch: want * BLIND_FACTOR }
  }
  const all = Math.max(1, vectorsOf(pinned))
  const { compared, selected, exactShare } = WORTH[wayTo(pinned, where)]
  // Of a share s of n vectors, an exact comparison reads s·n; a graph considers want / s.
  const worth = (perCandidate: number): boolean => passing ** 2 <= perCandidate * want * all
  const isFew = passing <= FEW || (exact ? passing <= exactShare * all : worth(compared))
  const share = Math.min(1, Math.max(passing, 1) / all)
  const fetch = Math.ceil(Math.min(Math.max(want, FETCH_MAX), (want * MARGIN) / share))
  const found =
    isFew || worth(selected) ? await select(pinned, where, limitOf(passing), signal) : undefined
  if (found === undefined) return { selection: undefined, isFew: false, fetch }
  return { selection: withVectors(found), isFew, fetch }
}

function wayTo({ snapshot }: Pinned, where: Where): Way {
  const way = wayOf(planWhere(snapshot, where))
  if (way !== 'ranged') return way
  // What was read for a search before is at hand, as if one posting told of it.
  const name = nameOf(where)
  return name !== undefined && recall(snapshot, name) !== undefined ? 'listed' : way
}

function wayOf(plan: Plan | undefined): Way {
  switch (plan?.is) {
    case 'values':
      return plan.points === undefined ? 'ranged' : 'listed'
    case 'or':
      return slowest(plan.parts.map(wayOf))
    case 'and': {
      // Who is found by a value as well is not read for the type.
      const ways = plan.parts.map(wayOf).filter((way) => way !== 'read')
      return ways.length === 0 ? 'read' : slowest(ways)
    }
    case 'type':
    case undefined:
      return 'read'
  }
}

function slowest(ways: readonly Way[]): Way {
  if (ways.includes('read')) return 'read'
  return ways.includes('ranged') ? 'ranged' : 'listed'
}

/** An estimate is made of counts of the tables; what is newer comes on top. */
function limitOf(passing: number): number {
  return 2 * passing + FEW
}

/** About how many vectors there are: those of the tables, and at most what is newer than they are. */
function vectorsOf(pinned: Pinned): number {
  const newer = pinned.segments.reduce((sum, { learned }) => sum + learned.length, 0)
  return pinned.snapshot.counts().vectors + newer
}

function withVectors({ ordinals, revisions, exact }: Selection): Selection {
  const kept = { ordinals: new Uint32Array(ordinals.length), revisions: revisions.slice() }
  let count = 0
  for (let at = 0; at < ordinals.length; at++) {
    const revision = revisions[at] ?? 0
    if (revision === 0) continue
    kept.ordinals[count] = ordinals[at] ?? 0
    kept.revisions[count] = revision
    count += 1
  }
  return {
    ordinals: kept.ordinals.subarray(0, count),
    revisions: kept.revisions.subarray(0, count),
    exact
  }
}

/** The place of an ordinal in a selection, which is sorted by them, or -1. */
export function indexIn({ ordinals }: Selection, ordinal: number): number {
  let low = 0
  let high = ordinals.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ordinals[middle] ?? 0) < ordinal) low = middle + 1
    else high = middle
  }
  return ordinals[low] === ordinal ? low : -1
}
