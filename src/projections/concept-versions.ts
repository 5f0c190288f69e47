/** The versions of concepts in a segment of the overlay, by ordinal. */
import { assert } from '../assert.ts'
import type { ConceptId } from '../ids.ts'
import { LearnedConcept, readEvent } from '../log/event-reader.ts'
import type { WrittenFrame } from '../log/log.ts'
import { MessageReader } from '../storage/message-reader.ts'
import type { Version } from './overlay-segment.ts'
import { type ConceptState, foldConcept } from './state.ts'

type Concept = Version<ConceptState>

/** A concept between two positions: what it is, and what it was first. */
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
  /** The frames of those numbers: each from one place in the list on. */
  readonly #written: { from: number; frame: WrittenFrame }[] = []

  get size(): number {
    return this.#learned.length + this.#others.size
  }

  /** The newest version. */
  get(ordinal: number): Concept | undefined {
    const at = ordinal - this.#first
    const found = this.#learned[at]
    if (typeof found === 'number') return this.#unpack(at, found)
    if (found !== undefined || this.#others.size === 0) return found
    return this.#others.get(ordinal)
  }

  has(ordinal: number): boolean {
    return this.#learned[ordinal - this.#first] !== undefined || this.#others.has(ordinal)
  }

  /** The id of a concept that is here. */
  idOf(ordinal: number): ConceptId {
    const at = ordinal - this.#first
    const found = this.#learned[at] ?? this.#others.get(ordinal)
    if (typeof found === 'number') {
      const { bytes } = this.#read(at, found)
      return bytes.toString('hex', learned.id.at, learned.id.end) as ConceptId
    }
    let version = found
    while (version?.previous !== undefined) version = version.previous
    assert(version?.state !== undefined, 'the first version of what was learned here has a state')
    return version.state.id
  }

  /** The key of a concept that was learned at or before a position and is here as it was written. */
  writtenKey(ordinal: number, position: number): { key: string | undefined } | undefined {
    const at = ordinal - this.#first
    const found = this.#learned[at]
    if (typeof found !== 'number') return undefined
    if (this.#frameAt(at).first + found > position) return undefined
    const { bytes } = this.#read(at, found)
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
    const at = ordinal - this.#first
    if (this.#learned[at] !== undefined) this.#learned[at] = version
    else this.#others.set(ordinal, version)
  }

  /** Lets go of a concept that was learned at this position, unless it has changed since. */
  pack(ordinal: number, position: number, frame: WrittenFrame): void {
    const at = ordinal - this.#first
    const found = this.#learned[at]
    if (typeof found !== 'object' || found.position !== position) return
    this.#learned[at] = position - frame.first
    if (this.#written.at(-1)?.frame !== frame) this.#written.push({ from: at, frame })
  }

  /** Takes back the newest version of a concept. What was learned last goes first. */
  takeBack(ordinal: number): void {
    const before = this.get(ordinal)?.previous
    const at = ordinal - this.#first
    if (before !== undefined) this.set(ordinal, before)
    // Emptied, the list may stand just behind a concept of another segment.
    else if (this.#learned[at] === undefined) this.#others.delete(ordinal)
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
        const position = this.#frameAt(at).first + found
        yield { ordinal, first: position, newest: position }
      } else {
        yield changedAt(ordinal, found)
      }
    }
    for (const [ordinal, newest] of this.#others) yield changedAt(ordinal, newest)
  }

  #frameAt(at: number): WrittenFrame {
    const written = this.#written.findLast(({ from }) => from <= at)
    assert(written !== undefined, 'a packed concept has a frame')
    return written.frame
  }

  /** Finds the parts of a concept, in `learned`. */
  #read(at: number, event: number): { bytes: Buffer; frame: WrittenFrame } {
    const frame = this.#frameAt(at)
    const isLearned = learned.read(readerOf(frame, event))
    assert(isLearned, 'a packed concept was learned')
    return { bytes: frame.value, frame }
  }

  #unpack(at: number, number: number): Concept {
    const frame = this.#frameAt(at)
    const event = readEvent(readerOf(frame, number))
    assert(event.type === 'concept-learned', 'a packed concept was learned')
    const position = frame.first + number
    const commit = frame.commits.findLast(({ first }) => first <= position)
    assert(commit !== undefined, 'an event is of a commit')
    const state = foldConcept(undefined, event, { position, time: commit.time })
    return { position, state, previous: undefined }
  }
}

function readerOf({ value, starts }: WrittenFrame, event: number): MessageReader {
  return new MessageReader(value, starts[event] ?? value.length)
}

function changedAt(ordinal: number, newest: Concept): ChangedConcept {
  let version = newest
  while (version.previous !== undefined) version = version.previous
  return { ordinal, first: version.position, newest: newest.position }
}
