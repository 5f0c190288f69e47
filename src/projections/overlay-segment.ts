/** A segment of the overlay: what some thousand events in a row changed, version by version. */
import type { ConceptId } from '../ids.ts'
import type { LogCommit } from '../log/frame.ts'
import type { WrittenFrame } from '../log/log.ts'
import type { CommandResult } from '../types.ts'
import { type AssociationName, AssociationVersions } from './association-versions.ts'
import { ConceptVersions } from './concept-versions.ts'
import type { AssociationState, ConceptState } from './state.ts'
import { versionAt } from './version.ts'

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
  /** An entry for each version that was added, in order. */
  associations: number[]
  commits: string[]
}

export class OverlaySegment {
  readonly first: number
  last: number
  events = 0
  bytes = 0
  /** Concepts that got their key after they were learned. */
  lateKeys = 0
  readonly concepts: ConceptVersions = new ConceptVersions()
  readonly tombstones: Map<number, Tombstone> = new Map()
  readonly associations: AssociationVersions = new AssociationVersions()
  readonly commits: Map<string, NotedCommit> = new Map()
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
    for (const entry of mark.associations.reverse()) this.associations.takeBack(entry)
    for (const key of mark.commits) this.commits.delete(key)
    return mark.died
  }

  /** Lets go of what a commit brought: the frame has it, too. */
  pack({ first, events }: LogCommit, written: WrittenFrame): void {
    for (const [i, event] of events.entries()) {
      const { type } = event
      if (type === 'concept-learned' && event.created) {
        this.concepts.pack(event.ordinal, first + i, written)
      } else if (type === 'association-created' && event.created) {
        this.associations.pack(first + i, written)
      }
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
    ref: AssociationName,
    position: number,
    state: AssociationState | undefined
  ): void {
    const entry = this.associations.put(ref, position, state)
    this.#mark?.associations.push(entry)
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
}
