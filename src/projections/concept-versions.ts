/** The versions of concepts in a segment of the overlay, by ordinal. */
import { assert } from '../assert.ts'
import type { ConceptId } from '../ids.ts'
import { LearnedConcept } from '../log/event-reader.ts'
import type { WrittenFrame } from '../log/log.ts'
import { type ConceptState, foldConcept } from './state.ts'
import { firstOf, type Version } from './version.ts'
import { WrittenFrames } from './written-frames.ts'

type Concept = Version<ConceptState>

/** A concept that changed, and the positions of its first and its newest version here. */
export interface ChangedConcept {
  ordinal: number
  first: number
  newest: number
}

/** One for the thread: what it holds is used at once. */
const learned = new LearnedConcept()

/**
 * Nearly all that a segment of an import holds was learned there, under ordinals in a row: those lie
 * in a list. A map of as many would be made anew as it grows, and walked by the collector each time.
 * Once written, they are no objects either, which would be copied twice until the tables have them:
 * the list says which event of which frame each is, and who asks for one gets it made.
 */
export class ConceptVersions {
  #first = 0
  /** The newest version, or for what was learned and written the number of the event in its frame. */
  readonly #learned: (Concept | number)[] = []
  readonly #others: Map<number, Concept> = new Map()
  readonly #frames = new WrittenFrames()

  get size(): number {
    return this.#learned.length + this.#others.size
  }

  /** The newest version. */
  get(ordinal: number): Concept | undefined {
    const found = this.#find(ordinal)
    if (typeof found === 'object') return found
    if (found === undefined) return this.#others.size === 0 ? undefined : this.#others.get(ordinal)
    // Kept: what is asked for once is asked for again, and those who remember versions know it again.
    const made = this.#unpack(ordinal - this.#first, found)
    this.#learned[ordinal - this.#first] = made
    return made
  }

  has(ordinal: number): boolean {
    return this.#find(ordinal) !== undefined || this.#others.has(ordinal)
  }

  /** The id of a concept that is here. */
  idOf(ordinal: number): ConceptId {
    const found = this.#find(ordinal) ?? this.#others.get(ordinal)
    if (typeof found === 'number') {
      const bytes = this.#read(ordinal - this.#first, found)
      return bytes.toString('hex', learned.id.at, learned.id.end) as ConceptId
    }
    const id = found === undefined ? undefined : firstOf(found).state?.id
    assert(id !== undefined, 'the first version of what was learned here has a state')
    return id
  }

  /** The key of a concept that was learned at or before a position and is here as it was written. */
  writtenKey(ordinal: number, position: number): { key: string | undefined } | undefined {
    const found = this.#find(ordinal)
    if (typeof found !== 'number') return undefined
    const at = ordinal - this.#first
    if (this.#frames.positionOf(at, found) > position) return undefined
    const bytes = this.#read(at, found)
    const { key } = learned
    return { key: key.end === 0 ? undefined : bytes.toString('utf8', key.at, key.end) }
  }

  /** The first version of a concept that was learned just now. */
  add(ordinal: number, version: Concept): void {
    if (this.#learned.length === 0) this.#first = ordinal
    // Behind a gap in the log ordinals are missing.
    if (ordinal === this.#first + this.#learned.length) this.#learned.push(version)
    else this.#others.set(ordinal, version)
  }

  /** A newer version: it has the one before behind it. */
  set(ordinal: number, version: Concept): void {
    if (this.#find(ordinal) !== undefined) this.#learned[ordinal - this.#first] = version
    else this.#others.set(ordinal, version)
  }

  /** Lets go of a concept that was learned at this position, unless it has changed since. */
  pack(ordinal: number, position: number, frame: WrittenFrame): void {
    const found = this.#find(ordinal)
    if (typeof found !== 'object' || found.position !== position) return
    const at = ordinal - this.#first
    this.#learned[at] = this.#frames.add(at, position, frame)
  }

  /** Takes back the newest version of a concept. What was learned last goes first. */
  takeBack(ordinal: number): void {
    const before = this.get(ordinal)?.previous
    const at = ordinal - this.#first
    if (before !== undefined) this.set(ordinal, before)
    // Emptied, the list may stand just behind a concept of another segment.
    else if (this.#find(ordinal) === undefined) this.#others.delete(ordinal)
    else {
      assert(at === this.#learned.length - 1, 'what was learned last is taken back first')
      this.#learned.pop()
    }
  }

  /** All that changed here. */
  *changed(): Generator<ChangedConcept> {
    for (const [at, found] of this.#learned.entries()) {
      const ordinal = this.#first + at
      if (typeof found === 'number') {
        const position = this.#frames.positionOf(at, found)
        yield { ordinal, first: position, newest: position }
      } else {
        yield changedAt(ordinal, found)
      }
    }
    for (const [ordinal, newest] of this.#others) yield changedAt(ordinal, newest)
  }

  /** In the list. Most that are asked for are older than it, and no array likes a negative index. */
  #find(ordinal: number): Concept | number | undefined {
    const at = ordinal - this.#first
    return at >= 0 && at < this.#learned.length ? this.#learned[at] : undefined
  }

  /** Finds the parts of a concept in the bytes, and says in `learned` where they are. */
  #read(at: number, number: number): Buffer {
    const reader = this.#frames.reader(at, number)
    assert(learned.read(reader), 'a packed concept was learned')
    return reader.bytes
  }

  #unpack(place: number, number: number): Concept {
    const { event, at } = this.#frames.event(place, number)
    assert(event.type === 'concept-learned', 'a packed concept was learned')
    return { position: at.position, state: foldConcept(undefined, event, at), previous: undefined }
  }
}

function changedAt(ordinal: number, newest: Concept): ChangedConcept {
  return { ordinal, first: firstOf(newest).position, newest: newest.position }
}
