/** A segment of the overlay: what some thousand events in a row changed, version by version. */
import { assert } from '../assert.ts'
import type { ConceptId } from '../ids.ts'
import type { AssociationEnd } from '../log/event.ts'
import type { LogCommit } from '../log/frame.ts'
import type { WrittenFrame } from '../log/log.ts'
import type { CommandResult } from '../types.ts'
import { ConceptVersions } from './concept-versions.ts'
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
interface Relearned {
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

/** How much a segment held before a commit, and what the commit has touched since. */
interface Mark {
  last: number
  events: number
  bytes: number
  lateKeys: number
  deltas: number
  created: number
  learned: number
  /** A concept for each version that was added, in order. */
  concepts: number[]
  died: number[]
  associations: AssociationChain[]
  commits: string[]
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
  readonly concepts: ConceptVersions = new ConceptVersions()
  readonly tombstones: Map<number, Tombstone> = new Map()
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
  readonly #learnedOrdinals: number[] = []
  readonly learnedTypes: (string | undefined)[] = []
  readonly learnedVectors: boolean[] = []
  /**
   * Where the ids learned here lead. Most are learned once, and the id table knows them: so this is
   * made when somebody asks, of as many as were learned until then.
   */
  readonly #ids: Map<ConceptId, number | Relearned> = new Map()
  #idsKnown = 0
  #mark: Mark | undefined

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
    const first = this.#associations.get(hashOf(source, target, key))
    return first && findIn(first, source, target, name, key)
  }

  /** Begins a commit that may be taken back. Marking costs it a few numbers, and lists of them. */
  mark(): void {
    this.#mark = {
      last: this.last,
      events: this.events,
      bytes: this.bytes,
      lateKeys: this.lateKeys,
      deltas: this.deltas.length,
      created: this.created.length,
      learned: this.learned.length,
      concepts: [],
      died: [],
      associations: [],
      commits: []
    }
  }

  /** From here on nothing is taken back. */
  keep(): void {
    this.#mark = undefined
  }

  /** Takes back all since the mark, the last first. Gives the concepts that had died. */
  rollback(): readonly number[] {
    const mark = this.#mark
    if (mark === undefined) return []
    this.#mark = undefined
    this.last = mark.last
    this.events = mark.events
    this.bytes = mark.bytes
    this.lateKeys = mark.lateKeys
    this.deltas.length = mark.deltas
    this.created.length = mark.created
    this.#forgetLearned(mark.learned)
    for (const ordinal of mark.concepts.reverse()) this.concepts.takeBack(ordinal)
    for (const ordinal of mark.died) this.tombstones.delete(ordinal)
    for (const chain of mark.associations.reverse()) this.#takeBack(chain)
    for (const key of mark.commits) this.commits.delete(key)
    return mark.died
  }

  /** Lets go of the concepts that a commit learned: the frame has them, too. */
  pack({ first, events }: LogCommit, written: WrittenFrame): void {
    for (const [i, event] of events.entries()) {
      if (event.type !== 'concept-learned' || !event.created) continue
      this.concepts.pack(event.ordinal, first + i, written)
    }
  }

  addEvent(position: number, bytes: number): void {
    this.last = position
    this.events += 1
    this.bytes += bytes
  }

  /** Adds a concept that was learned just now. */
  addConcept(state: ConceptState): void {
    const { ordinal, position } = state
    this.concepts.add(ordinal, { position, state, previous: undefined })
    this.learned.push(position)
    this.learnedTypes.push(state.type)
    this.learnedVectors.push(state.revision > 0)
    this.#learnedOrdinals.push(ordinal)
    this.#mark?.concepts.push(ordinal)
  }

  /** Adds a newer version of a concept; `undefined`: it was forgotten. */
  changeConcept(ordinal: number, position: number, state: ConceptState | undefined): void {
    this.concepts.set(ordinal, { position, state, previous: this.concepts.get(ordinal) })
    this.#mark?.concepts.push(ordinal)
  }

  bury(ordinal: number, tombstone: Tombstone): void {
    this.changeConcept(ordinal, tombstone.position, undefined)
    this.tombstones.set(ordinal, tombstone)
    this.#mark?.died.push(ordinal)
  }

  noteCommit(key: string, commit: NotedCommit): void {
    this.commits.set(key, commit)
    this.#mark?.commits.push(key)
  }

  /** Adds a version of an association; `undefined`: it was removed. */
  putAssociation(
    ref: Pick<AssociationChain, 'source' | 'target' | 'name' | 'key'>,
    position: number,
    state: AssociationState | undefined
  ): void {
    const { source, target, name, key } = ref
    const at = hashOf(source.ordinal, target.ordinal, key)
    const next = this.#associations.get(at)
    let chain = next && findIn(next, source.ordinal, target.ordinal, name, key)
    if (chain === undefined) {
      chain = { source, target, name, key, position, state, previous: undefined, next }
      this.#associations.set(at, chain)
      addTo(this.out, source.ordinal, chain)
      addTo(this.in, target.ordinal, chain)
    } else {
      chain.previous = { position: chain.position, state: chain.state, previous: chain.previous }
      chain.position = position
      chain.state = state
    }
    this.#mark?.associations.push(chain)
  }

  /** The ordinal that an id leads to at a position; `undefined` if nothing here says so. */
  ordinalAt(id: ConceptId, position: number): number | undefined {
    this.#knowIds()
    let found = this.#ids.get(id)
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

  #knowIds(): void {
    for (; this.#idsKnown < this.#learnedOrdinals.length; this.#idsKnown++) {
      const ordinal = this.#learnedOrdinals[this.#idsKnown] ?? 0
      const id = this.concepts.idOf(ordinal)
      const previous = this.#ids.get(id)
      this.#ids.set(id, previous === undefined ? ordinal : { ordinal, previous })
    }
  }

  #forgetLearned(kept: number): void {
    this.learned.length = kept
    this.learnedTypes.length = kept
    this.learnedVectors.length = kept
    this.#learnedOrdinals.length = kept
    if (this.#idsKnown <= kept) return
    // It is made anew if anybody asks again: taking back is rare.
    this.#ids.clear()
    this.#idsKnown = 0
  }

  #takeBack(chain: AssociationChain): void {
    const { previous } = chain
    if (previous !== undefined) {
      Object.assign(chain, previous)
      return
    }
    const at = hashOf(chain.source.ordinal, chain.target.ordinal, chain.key)
    assert(this.#associations.get(at) === chain, 'what was added last is taken back first')
    if (chain.next === undefined) this.#associations.delete(at)
    else this.#associations.set(at, chain.next)
    this.#removeLast(this.out, chain.source.ordinal)
    this.#removeLast(this.in, chain.target.ordinal)
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

/** The association itself, among those with the same hash. */
function findIn(
  first: AssociationChain,
  source: number,
  target: number,
  name: string,
  key: string
): AssociationChain | undefined {
  let chain: AssociationChain | undefined = first
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
