/** A segment of the overlay: what some thousand events in a row changed, version by version. */
import { assert } from '../assert.ts'
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

/**
 * An association, with its newest version in the same object and older ones behind it: a hundred
 * thousand of them wait for the tables during an import, and each is copied by the collector.
 */
export interface AssociationChain extends Version<AssociationState> {
  source: AssociationEnd
  target: AssociationEnd
  name: string
  key: string
  /** The next one with the same hash of its ends. */
  next: AssociationChain | undefined
}

/** Where an id leads: the ordinal, from the first version of that concept in this segment on. */
export interface Relearned {
  ordinal: number
  /** Where it led before. */
  previous: number | Relearned
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
  /** Most ids are learned once: they lead to the ordinal alone. */
  readonly ids: Map<ConceptId, number | Relearned> = new Map()
  /** By the hash of their ends. */
  readonly #associations: Map<number, AssociationChain> = new Map()
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

  association(
    source: number,
    target: number,
    name: string,
    key: string
  ): AssociationChain | undefined {
    let chain = this.#associations.get(hashOf(source, target, key))
    while (chain !== undefined) {
      const isSame =
        chain.source.ordinal === source &&
        chain.target.ordinal === target &&
        chain.name === name &&
        chain.key === key
      if (isSame) return chain
      chain = chain.next
    }
    return undefined
  }

  addAssociation(chain: AssociationChain): void {
    const at = hashOf(chain.source.ordinal, chain.target.ordinal, chain.key)
    chain.next = this.#associations.get(at)
    this.#associations.set(at, chain)
    addTo(this.out, chain.source.ordinal, chain)
    addTo(this.in, chain.target.ordinal, chain)
  }

  /** Takes back the last addition. */
  removeAssociation(chain: AssociationChain): void {
    const at = hashOf(chain.source.ordinal, chain.target.ordinal, chain.key)
    assert(this.#associations.get(at) === chain, 'what was added last is taken back first')
    if (chain.next === undefined) this.#associations.delete(at)
    else this.#associations.set(at, chain.next)
    this.#removeLast(this.out, chain.source.ordinal)
    this.#removeLast(this.in, chain.target.ordinal)
  }

  /** The ordinal that an id leads to at a position; `undefined` if nothing here says so. */
  ordinalAt(id: ConceptId, position: number): number | undefined {
    let found = this.ids.get(id)
    while (found !== undefined) {
      const ordinal = typeof found === 'number' ? found : found.ordinal
      if (versionAt(this.concepts.get(ordinal), position) !== undefined) return ordinal
      found = typeof found === 'number' ? undefined : found.previous
    }
    return undefined
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

  #removeLast(lists: Adjacency, ordinal: number): void {
    const found = lists.get(ordinal)
    if (!Array.isArray(found)) {
      lists.delete(ordinal)
      return
    }
    found.pop()
    this.#sorted.delete(found)
  }
}

/**
 * A small integer, which costs a map no memory beside its slot. Types are left out: parallel
 * associations are few, unless they differ in their keys.
 */
function hashOf(source: number, target: number, key: string): number {
  let hash = Math.imul(source, 0x9e3779b1) ^ Math.imul(target ^ 0x5bd1e995, 0x85ebca77)
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
  return (hash ^ (hash >>> 15)) >> 2
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

function addTo(lists: Adjacency, ordinal: number, chain: AssociationChain): void {
  const found = lists.get(ordinal)
  if (found === undefined) lists.set(ordinal, chain)
  else if (Array.isArray(found)) found.push(chain)
  else lists.set(ordinal, [found, chain])
}
