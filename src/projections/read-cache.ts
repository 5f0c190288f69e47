/**
 * Rows of the tables as reads decoded them: concepts, and the associations of one side of a
 * concept where they are few.
 *
 * An entry tells what the live snapshot says. It comes in only from that snapshot, and only while
 * the overlay has nothing newer; it goes when an event that changes it is appended, which is before
 * the tables can hold that event. So it is never older than the snapshot that reads begin at. Views
 * may read older ones: a concept says when it changed last, a list is as of a checkpoint.
 */
import type { AssociationEnd, LogEvent } from '../log/event.ts'
import { type CacheStats, GenerationCache } from './generation-cache.ts'
import type { OverlaySegment } from './overlay-segment.ts'
import type { AssociationState, ConceptState } from './state.ts'
import type { Side } from './tables/keys.ts'
import type { Links } from './tables/links.ts'
import type { TablesSnapshot } from './tables/snapshot.ts'

/** Associations of one side, all of them, as of a checkpoint. */
interface List<T> {
  /** `undefined` where they are many: to know that saves reading it again. */
  readonly items: T | undefined
  readonly checkpoint: number
}

/** Objects and their headers, as measured on filled caches; texts come on top. */
const CONCEPT_BYTES = 320
const ASSOCIATION_BYTES = 340
const LIST_BYTES = 160

/** Fewer are read one by one before a question to another thread is answered. */
const FETCH_MIN = 24

export class ReadCache {
  readonly #overlay: { readonly segments: readonly OverlaySegment[] }
  readonly #live: { readonly snapshot: TablesSnapshot }
  readonly #concepts: GenerationCache<ConceptState>
  readonly #lists: GenerationCache<List<readonly AssociationState[]>>
  readonly #links: GenerationCache<List<Links>>

  /** @param bytesMax Asked again and again: others may come to need more of what there is. */
  constructor(
    bytesMax: () => number,
    overlay: { readonly segments: readonly OverlaySegment[] },
    live: { readonly snapshot: TablesSnapshot }
  ) {
    this.#overlay = overlay
    this.#live = live
    const share = (): number => bytesMax() / 3
    this.#concepts = new GenerationCache(share, conceptBytes)
    this.#lists = new GenerationCache(share, associationsBytes)
    this.#links = new GenerationCache(share, linksBytes)
  }

  get stats(): { concepts: CacheStats; associations: CacheStats; links: CacheStats } {
    return {
      concepts: this.#concepts.stats,
      associations: this.#lists.stats,
      links: this.#links.stats
    }
  }

  /** A concept as the snapshot has it. */
  concept(ordinal: number, snapshot: TablesSnapshot): ConceptState | undefined {
    const known = this.#concepts.get(ordinal)
    // Unchanged since a position that an older snapshot has too: so it has this very state.
    if (known !== undefined && known.position <= snapshot.checkpoint) return known
    const state = snapshot.concept(ordinal)
    if (state !== undefined && this.#mayKeep(snapshot) && !this.#isChanged(ordinal)) {
      this.#concepts.set(ordinal, state)
    }
    return state
  }

  /** All associations of one side as the snapshot has them; `undefined` where they are many. */
  associations(
    self: AssociationEnd,
    side: Side,
    snapshot: TablesSnapshot
  ): readonly AssociationState[] | undefined {
    const { ordinal, id, key } = self
    // Each of them holds the end: a whole concept, with its content, must not live as long as they do.
    return this.#list(this.#lists, ordinal, side, snapshot, () =>
      snapshot.fewAssociations({ ordinal, id, key }, side)
    )
  }

  /** The same, as far as walking a graph needs them. */
  links(ordinal: number, side: Side, snapshot: TablesSnapshot): Links | undefined {
    return this.#list(this.#links, ordinal, side, snapshot, () => snapshot.fewLinks(ordinal, side))
  }

  /**
   * Reads concepts that will be asked for, all at once. Nothing is kept when the tables move on
   * meanwhile: whoever asks reads them one by one then.
   */
  async fetchConcepts(ordinals: readonly number[], snapshot: TablesSnapshot): Promise<void> {
    if (!this.#mayKeep(snapshot)) return
    const missing = ordinals.filter((ordinal) => !this.#concepts.has(ordinal))
    if (missing.length < FETCH_MIN) return
    const states = await snapshot.manyConcepts(missing)
    for (const [i, state] of states.entries()) {
      if (!this.#mayKeep(snapshot)) return
      const ordinal = missing[i] ?? 0
      if (state !== undefined && !this.#isChanged(ordinal)) this.#concepts.set(ordinal, state)
    }
  }

  /** The same for the links of one side. */
  async fetchLinks(
    ordinals: readonly number[],
    side: Side,
    snapshot: TablesSnapshot
  ): Promise<void> {
    if (!this.#mayKeep(snapshot)) return
    const missing = ordinals.filter((ordinal) => !this.#links.has(listKey(ordinal, side)))
    if (missing.length < FETCH_MIN) return
    const lists = await snapshot.manyLinks(missing, side)
    const { checkpoint } = snapshot
    for (const [i, items] of lists.entries()) {
      if (!this.#mayKeep(snapshot)) return
      const ordinal = missing[i] ?? 0
      if (items === undefined || this.#isLinked(ordinal, side)) continue
      this.#links.set(listKey(ordinal, side), { items, checkpoint })
    }
  }

  /** Lets go of what an event changes. */
  changed(event: LogEvent): void {
    switch (event.type) {
      case 'concept-learned':
        // An ordinal that was given just now was never read: imports bring millions of them.
        if (event.created) return
        this.#forget(event.ordinal)
        return
      case 'concept-reinforced':
      case 'concept-revised':
      case 'concept-forgotten':
        this.#forget(event.ordinal)
        return
      case 'association-created':
      case 'association-reinforced':
      case 'association-revised':
      case 'association-removed':
        this.#drop(event.source.ordinal, 'out')
        this.#drop(event.target.ordinal, 'in')
        return
      case 'vectors-declared':
      case 'commit-noted':
      case 'event-quarantined':
      case 'event-released':
    }
  }

  /** After a sweep: a dead end that nobody remembers as dead must not come back from here. */
  clearAssociations(): void {
    this.#lists.clear()
    this.#links.clear()
  }

  /** Another generation of the tables is live. */
  clear(): void {
    this.#concepts.clear()
    this.clearAssociations()
  }

  #list<T>(
    cache: GenerationCache<List<T>>,
    ordinal: number,
    side: Side,
    snapshot: TablesSnapshot,
    read: () => T | undefined
  ): T | undefined {
    const key = listKey(ordinal, side)
    const known = cache.get(key)
    // Another generation may hold associations of the dead that the older one, which a view reads,
    // had erased, so that the view no longer knows them for dead.
    const isOfLive = snapshot.isBeside(this.#live.snapshot)
    if (isOfLive && known !== undefined && known.checkpoint <= snapshot.checkpoint) {
      return known.items
    }
    const items = read()
    if (this.#mayKeep(snapshot) && !this.#isLinked(ordinal, side)) {
      cache.set(key, { items, checkpoint: snapshot.checkpoint })
    }
    return items
  }

  #forget(ordinal: number): void {
    this.#concepts.delete(ordinal)
    // A list names the concept that it belongs to, by a key that may be new.
    this.#drop(ordinal, 'out')
    this.#drop(ordinal, 'in')
  }

  #drop(ordinal: number, side: Side): void {
    const key = listKey(ordinal, side)
    this.#lists.delete(key)
    this.#links.delete(key)
  }

  #mayKeep(snapshot: TablesSnapshot): boolean {
    return snapshot === this.#live.snapshot
  }

  #isChanged(ordinal: number): boolean {
    return this.#overlay.segments.some(({ concepts }) => concepts.has(ordinal))
  }

  #isLinked(ordinal: number, side: Side): boolean {
    return this.#overlay.segments.some((one) => one.associations.touches(ordinal, side))
  }
}

function listKey(ordinal: number, side: Side): number {
  return ordinal * 2 + Number(side === 'in')
}

function conceptBytes({ content, key, type, data, metadata }: ConceptState): number {
  const texts = content.length + (key?.length ?? 0) + (type?.length ?? 0)
  // Data and metadata lie in the row, which stays with them.
  const row = data === undefined && metadata === undefined ? 0 : texts + FIELD_BYTES
  return CONCEPT_BYTES + texts + row + (data?.length ?? 0) + metadataBytes(metadata)
}

/** As bytes, and decoded once it is read again. */
function metadataBytes(metadata: Uint8Array | undefined): number {
  return metadata === undefined ? 0 : MEMBERS_BYTES + metadata.length * 3
}

const MEMBERS_BYTES = 56

const FIELD_BYTES = 120

function associationsBytes({ items = [] }: List<readonly AssociationState[]>): number {
  let bytes = LIST_BYTES
  for (const { metadata } of items) bytes += ASSOCIATION_BYTES + metadataBytes(metadata)
  return bytes
}

function linksBytes({ items }: List<Links>): number {
  return LIST_BYTES + (items?.bytes ?? 0)
}
