/**
 * The state of the store at one position: the tables at an older checkpoint with the overlay laid
 * over them. Everything here is synchronous and reads a row or two at a time.
 */
import type { ConceptId } from '../ids.ts'
import type { AssociationEnd } from '../log/event.ts'
import { type AssociationChain, chainSortKey } from './association-versions.ts'
import { compareSortKeys, type Seek, type SortKey } from './order.ts'
import type { OverlaySegment } from './overlay-segment.ts'
import type { ReadCache } from './read-cache.ts'
import type { AssociationState, ConceptState } from './state.ts'
import { linkOf } from './tables/association-row.ts'
import type { Side } from './tables/keys.ts'
import { type Link, Links } from './tables/links.ts'
import type { IdRow } from './tables/rows.ts'
import type { TablesSnapshot } from './tables/snapshot.ts'
import { versionAt } from './version.ts'

/** A fast way from an id to its newest ordinal, if it is known. */
export interface IdLookup {
  find(id: ConceptId): { ordinal: number; isAlive: boolean; isOnly: boolean } | undefined
  /** Whether an id that is not found surely never existed. */
  readonly complete: boolean
  /** Told what the tables say of an id that was not found, so that it is the next time. */
  remember(id: ConceptId, row: IdRow): void
}

/** The part of the overlay that a view pins. */
export interface OverlayView {
  readonly segments: readonly OverlaySegment[]
  /** When concepts died whose associations may still be stored, by ordinal. */
  readonly dead: ReadonlyMap<number, number>
}

/** Links of a hub that are read before the first of them is looked at. */
const LINKS_PER_PIECE = 64

export class Pinned {
  readonly position: number
  readonly snapshot: TablesSnapshot
  readonly segments: readonly OverlaySegment[]
  readonly dead: ReadonlyMap<number, number>
  readonly #ids: IdLookup
  readonly #cache: ReadCache | undefined
  /** The id that was just looked for and never was. */
  #unknown: ConceptId | undefined

  constructor(
    position: number,
    snapshot: TablesSnapshot,
    overlay: OverlayView,
    ids: IdLookup,
    cache?: ReadCache
  ) {
    this.position = position
    this.snapshot = snapshot
    this.segments = overlay.segments
    this.dead = overlay.dead
    this.#ids = ids
    this.#cache = cache
  }

  /** Whether this still is what a new one of the same position would be. */
  isOf(snapshot: TablesSnapshot, overlay: OverlayView): boolean {
    return (
      this.snapshot === snapshot && this.segments === overlay.segments && this.dead === overlay.dead
    )
  }

  /** The same at another position, from the checkpoint of the snapshot on. */
  at(position: number): Pinned {
    return new Pinned(position, this.snapshot, this, this.#ids, this.#cache)
  }

  /** The concept with this ordinal, if it lives at the position. */
  concept(ordinal: number): ConceptState | undefined {
    for (let i = this.segments.length - 1; i >= 0; i--) {
      const newest = this.segments[i]?.concepts.get(ordinal)
      const version = newest === undefined ? undefined : versionAt(newest, this.position)
      if (version !== undefined) return version.state
    }
    return this.#cache === undefined
      ? this.snapshot.concept(ordinal)
      : this.#cache.concept(ordinal, this.snapshot)
  }

  conceptById(id: ConceptId): ConceptState | undefined {
    const newest = this.#ids.find(id)
    if (newest === undefined && this.#ids.complete) return undefined
    // The newest ordinal is the right one unless the id was learned again behind the position.
    const known = newest === undefined ? undefined : this.concept(newest.ordinal)
    // Learned once: behind the position, or forgotten at it.
    if (known !== undefined || newest?.isOnly === true) return known
    const ordinal = this.ordinalAt(id)
    this.#unknown = ordinal === undefined ? id : undefined
    return ordinal === undefined ? undefined : this.concept(ordinal)
  }

  /** The concept as an end of associations. Its row is read only where something may have changed. */
  endById(id: ConceptId): AssociationEnd | undefined {
    const newest = this.#ids.find(id)
    // Ordinals are given once: one that the snapshot knows and that lives now has lived since then.
    if (newest?.isAlive === true && newest.ordinal <= this.snapshot.counts().ordinals) {
      return { ordinal: newest.ordinal, id, key: undefined }
    }
    const written = newest?.isAlive === true ? this.#writtenKey(newest.ordinal) : undefined
    if (newest !== undefined && written !== undefined) {
      return { ordinal: newest.ordinal, id, key: written.key }
    }
    return this.conceptById(id)
  }

  /** Of a concept that an import has just learned, and that nothing has changed since. */
  #writtenKey(ordinal: number): { key: string | undefined } | undefined {
    for (let i = this.segments.length - 1; i >= 0; i--) {
      const concepts = this.segments[i]?.concepts
      if (concepts?.has(ordinal) === true) return concepts.writtenKey(ordinal, this.position)
    }
    return undefined
  }

  /** The ordinal that the id led to at the position; its concept may be dead. */
  ordinalAt(id: ConceptId): number | undefined {
    for (let i = this.segments.length - 1; i >= 0; i--) {
      const ordinal = this.segments[i]?.ordinalAt(id, this.position)
      if (ordinal !== undefined) return ordinal
    }
    const row = this.snapshot.idRow(id)
    if (row !== undefined) this.#ids.remember(id, row)
    return row?.ordinal
  }

  /** The version that an id's forgetting made; 0 for an id that never was or is alive. */
  deadVersion(id: ConceptId): number {
    // Nearly every id that is learned is new: the id table knows that without a read.
    if (this.#ids.complete && this.#ids.find(id) === undefined) return 0
    // Beyond the table's budget it takes reads, which were just made to find no such concept.
    const isUnknown = this.#unknown === id
    this.#unknown = undefined
    if (isUnknown) return 0
    const ordinal = this.ordinalAt(id)
    if (ordinal === undefined) return 0
    for (let i = this.segments.length - 1; i >= 0; i--) {
      const tombstone = this.segments[i]?.tombstones.get(ordinal)
      if (tombstone !== undefined && tombstone.position <= this.position) return tombstone.version
    }
    return this.snapshot.idRow(id)?.deadVersion ?? 0
  }

  isDead(ordinal: number): boolean {
    const died = this.dead.get(ordinal)
    return died !== undefined && died <= this.position
  }

  get hasDead(): boolean {
    return this.dead.size > 0
  }

  /** One association between two living concepts. */
  association(
    source: AssociationEnd,
    target: AssociationEnd,
    name: string,
    key: string
  ): AssociationState | undefined {
    for (let i = this.segments.length - 1; i >= 0; i--) {
      const chain = this.segments[i]?.associations.find(source.ordinal, target.ordinal, name, key)
      const version = chain === undefined ? undefined : versionAt(chain, this.position)
      if (version !== undefined) return version.state
    }
    // A concept younger than the tables has nothing in them: imports ask this for every line.
    if (source.ordinal > this.snapshot.counts().ordinals) return undefined
    const stored = this.snapshot.association(source, target.id, name, key)
    // The id may have been forgotten and learned again: then the stored one led to another concept.
    return stored?.target.ordinal === target.ordinal ? stored : undefined
  }

  /**
   * The living associations of one side, in order, all at once; `undefined` where they are many or
   * have just changed. Whoever gets them leaves them as they are. They are kept for the next one
   * who asks, which long scans do not want; the end named `self` may lack its key in them.
   */
  fewAssociations(self: AssociationEnd, side: Side): readonly AssociationState[] | undefined {
    if (this.#isLinked(self.ordinal, side)) return undefined
    const stored =
      this.#cache === undefined
        ? this.snapshot.fewAssociations(self, side)
        : this.#cache.associations(self, side, this.snapshot)
    if (stored === undefined || this.dead.size === 0) return stored
    return stored.filter((state) => !this.isDead(otherEnd(state, side).ordinal))
  }

  /** Reads what is about to be asked for beside this thread. The caller holds the snapshot. */
  async fetchConcepts(ids: readonly ConceptId[]): Promise<void> {
    if (this.#cache === undefined) return
    const ordinals = ids.map((id) => this.#ids.find(id)?.ordinal ?? 0)
    const known = ordinals.filter((ordinal) => ordinal > 0)
    await this.#cache.fetchConcepts(known, this.snapshot)
  }

  async fetchLinks(ordinals: readonly number[], side: Side): Promise<void> {
    await this.#cache?.fetchLinks(ordinals, side, this.snapshot)
  }

  /** The living ones as far as walking a graph needs them; `undefined` as above. */
  fewLinks(ordinal: number, side: Side): Links | undefined {
    if (this.#isLinked(ordinal, side)) return undefined
    const stored =
      this.#cache === undefined
        ? this.snapshot.fewLinks(ordinal, side)
        : this.#cache.links(ordinal, side, this.snapshot)
    if (stored === undefined || this.dead.size === 0) return stored
    return stored.leadingTo((other) => !this.isDead(other))
  }

  /** All living ones, however many, piece by piece; one may be empty. Reads as it is asked. */
  *links(ordinal: number, side: Side): Generator<Links> {
    let piece: Link[] = []
    let read = 0
    for (const link of this.#eachLink(ordinal, side)) {
      // Counted as they are read, so that a hub whose ends are all dead gives pieces, too.
      if (!this.isDead(link.other)) piece.push(link)
      read += 1
      if (read % LINKS_PER_PIECE !== 0) continue
      yield new Links(ordinal, side, piece)
      piece = []
    }
    yield new Links(ordinal, side, piece)
  }

  /** Those to the dead may be among them. */
  *#eachLink(ordinal: number, side: Side): Generator<Link> {
    if (!this.#isLinked(ordinal, side)) {
      yield* this.snapshot.links(ordinal, side)
      return
    }
    const self = this.concept(ordinal)
    if (self === undefined) return
    for (const state of this.associations(self, side)) yield linkOf(state, side)
  }

  /** Whether the overlay knows of associations on this side. */
  #isLinked(ordinal: number, side: Side): boolean {
    return this.segments.some(({ associations }) => associations.touches(ordinal, side))
  }

  /**
   * The living associations of one side, in order, from where `seek` says. Reads as it is asked:
   * the first ten of a hub cost a page or two.
   */
  *associations(self: AssociationEnd, side: Side, seek?: Seek): Generator<AssociationState> {
    const changes = this.#changes(self.ordinal, side, seek)
    let change = changes.next()
    for (const stored of this.snapshot.associations(self, side, seek)) {
      const storedKey = stateSortKey(stored, side)
      let isReplaced = false
      while (!change.done) {
        const order = compareSortKeys(change.value.key, storedKey)
        if (order > 0) break
        if (order === 0) isReplaced = sameEnds(change.value.chain, stored)
        if (change.value.state !== undefined) yield change.value.state
        change = changes.next()
      }
      if (!isReplaced && !this.isDead(otherEnd(stored, side).ordinal)) yield stored
    }
    while (!change.done) {
      if (change.value.state !== undefined) yield change.value.state
      change = changes.next()
    }
  }

  /** What the overlay knows of one side, merged over its segments; the newest segment wins. */
  *#changes(ordinal: number, side: Side, seek: Seek | undefined): Generator<Change> {
    const lists = this.segments
      .map((segment) => segment.associations.of(ordinal, side))
      .filter((list) => list.length > 0)
    const at = lists.map((list) => (seek === undefined ? 0 : firstIn(list, side, seek)))
    for (;;) {
      let best: { chain: AssociationChain; key: SortKey } | undefined
      for (let i = 0; i < lists.length; i++) {
        const chain = lists[i]?.[at[i] ?? 0]
        if (chain === undefined) continue
        const key = chainSortKey(chain, side)
        const order = best === undefined ? -1 : compareSortKeys(key, best.key)
        if (order <= 0) best = { chain, key }
      }
      if (best === undefined) return
      // Every list that stands at this key moves on; equal keys of other ordinals come one by one.
      const states: Change[] = []
      for (let i = 0; i < lists.length; i++) {
        for (;;) {
          const chain = lists[i]?.[at[i] ?? 0]
          if (chain === undefined) break
          if (compareSortKeys(chainSortKey(chain, side), best.key) !== 0) break
          at[i] = (at[i] ?? 0) + 1
          this.#note(states, chain, best.key, side)
        }
      }
      yield* states
    }
  }

  /** Adds what a chain says at the position; a later segment's word replaces an earlier one's. */
  #note(states: Change[], chain: AssociationChain, key: SortKey, side: Side): void {
    const version = versionAt(chain, this.position)
    if (version === undefined) return
    const other = side === 'out' ? chain.target : chain.source
    const state = this.isDead(other.ordinal) ? undefined : version.state
    const same = states.findIndex((change) => sameEnds(change.chain, chain))
    if (same >= 0) states.splice(same, 1)
    states.push({ chain, key, state })
  }
}

interface Change {
  chain: AssociationChain
  key: SortKey
  /** `undefined`: removed, or its other end is dead. */
  state: AssociationState | undefined
}

interface Ends {
  source: AssociationEnd
  target: AssociationEnd
}

export function otherEnd(state: AssociationState, side: Side): AssociationEnd {
  return side === 'out' ? state.target : state.source
}

export function stateSortKey(state: AssociationState, side: Side): SortKey {
  return { name: state.name, otherId: otherEnd(state, side).id, key: state.key ?? '' }
}

function sameEnds(a: Ends, b: Ends): boolean {
  return a.source.ordinal === b.source.ordinal && a.target.ordinal === b.target.ordinal
}

/** Whether a place is where a seek ends, or behind it. */
export function isBehind(key: SortKey, seek: Seek): boolean {
  const order = compareSortKeys(key, seek.key)
  return seek.inclusive ? order >= 0 : order > 0
}

function firstIn(list: readonly AssociationChain[], side: Side, seek: Seek): number {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const chain = list[middle]
    const order = chain === undefined ? 1 : compareSortKeys(chainSortKey(chain, side), seek.key)
    if (order < 0 || (order === 0 && !seek.inclusive)) low = middle + 1
    else high = middle
  }
  return low
}
