/** A segment of the overlay: what some thousand events in a row changed, version by version. */
import type { ConceptId } from '../ids.ts'
import type { AssociationEnd } from '../log/event.ts'
import type { CommandResult } from '../types.ts'
import { compareSortKeys, type SortKey } from './order.ts'
import type { AssociationState, ConceptState } from './state.ts'
import type { Side } from './tables/keys.ts'

/** One state of something, the one before it behind it. */
export interface Version<T> {
  position: number
  /** `undefined`: forgotten or removed. */
  state: T | undefined
  previous: Version<T> | undefined
}

export interface AssociationChain {
  source: AssociationEnd
  target: AssociationEnd
  name: string
  key: string
  newest: Version<AssociationState>
}

interface IdVersion {
  position: number
  ordinal: number
  previous: IdVersion | undefined
}

/** A forgotten concept: the version that its forgetting made. */
export interface Tombstone {
  position: number
  version: number
}

export interface NotedCommit {
  first: number
  last: number
  digest: Uint8Array
  results: CommandResult[]
}

/** What one event changes in the counts. */
export interface CountDelta {
  position: number
  concepts: number
  vectors: number
  typeFrom: string | undefined
  typeTo: string | undefined
  /**
   * Forgetting a concept removes its associations, which may be a million. They are counted when
   * somebody asks; until then this is `undefined`.
   */
  associations: number | undefined
  /** The concept forgotten, while `associations` is not counted. */
  forgotten: number
}

/** Most concepts have one changed association a segment: no list is made for it. */
type Adjacency = Map<number, AssociationChain | AssociationChain[]>

export class OverlaySegment {
  readonly first: number
  last: number
  events = 0
  bytes = 0
  /** Concepts that got their key after they were learned. */
  lateKeys = 0
  readonly concepts: Map<number, Version<ConceptState>> = new Map()
  readonly tombstones: Map<number, Tombstone> = new Map()
  readonly ids: Map<ConceptId, IdVersion> = new Map()
  readonly associations: Map<string, AssociationChain> = new Map()
  readonly commits: Map<string, NotedCommit> = new Map()
  readonly out: Adjacency = new Map()
  readonly in: Adjacency = new Map()
  /** Sorted once for as long as nothing is added: a hub is not sorted again for every read. */
  readonly #sorted: Map<AssociationChain[], readonly AssociationChain[]> = new Map()
  /** What events change in the counts, in log order, but for what is created: see below. */
  readonly deltas: CountDelta[] = []
  /** Positions at which associations were created: the most frequent event by far. */
  readonly created: number[] = []
  /** Positions at which concepts were created, and of each its type and whether it has a vector. */
  readonly learned: number[] = []
  readonly learnedTypes: (string | undefined)[] = []
  readonly learnedVectors: boolean[] = []

  constructor(first: number) {
    this.first = first
    this.last = first - 1
  }

  adjacency(ordinal: number, side: Side): readonly AssociationChain[] {
    const found = (side === 'out' ? this.out : this.in).get(ordinal)
    if (found === undefined) return []
    if (!Array.isArray(found)) return [found]
    const known = this.#sorted.get(found)
    if (known?.length === found.length) return known
    const sorted = found.toSorted((a, b) =>
      compareSortKeys(chainSortKey(a, side), chainSortKey(b, side))
    )
    this.#sorted.set(found, sorted)
    return sorted
  }

  /** Takes back the last addition to a list. */
  removeLast(side: Side, ordinal: number): void {
    const lists = side === 'out' ? this.out : this.in
    const found = lists.get(ordinal)
    if (!Array.isArray(found)) {
      lists.delete(ordinal)
      return
    }
    found.pop()
    this.#sorted.delete(found)
  }
}

export function associationKey(source: number, target: number, name: string, key: string): string {
  return `${source} ${target} ${key.length} ${key}${name}`
}

/** The sort key of an association, seen from the end that `side` leaves. */
export function chainSortKey(
  chain: Pick<AssociationChain, 'source' | 'target' | 'name' | 'key'>,
  side: Side
): SortKey {
  const other = side === 'out' ? chain.target : chain.source
  return { name: chain.name, otherId: other.id, key: chain.key }
}

/** The newest version at or before a position. */
export function versionAt<T>(
  newest: Version<T> | undefined,
  position: number
): Version<T> | undefined {
  let version = newest
  while (version !== undefined && version.position > position) version = version.previous
  return version
}

export function addTo(lists: Adjacency, ordinal: number, chain: AssociationChain): void {
  const found = lists.get(ordinal)
  if (found === undefined) lists.set(ordinal, chain)
  else if (Array.isArray(found)) found.push(chain)
  else lists.set(ordinal, [found, chain])
}
