/** The versions of concepts in a segment of the overlay, by ordinal. */
import { assert } from '../assert.ts'
import type { Version } from './overlay-segment.ts'
import type { ConceptState } from './state.ts'

/**
 * Nearly all that a segment of an import holds was learned there, under ordinals in a row: those lie
 * in a list. A map of as many would be made anew as it grows, and walked by the collector each time.
 */
export class ConceptVersions {
  #first = 0
  readonly #learned: Version<ConceptState>[] = []
  readonly #others: Map<number, Version<ConceptState>> = new Map()

  get size(): number {
    return this.#learned.length + this.#others.size
  }

  /** The newest version. */
  get(ordinal: number): Version<ConceptState> | undefined {
    const learned = this.#learned[ordinal - this.#first]
    if (learned !== undefined || this.#others.size === 0) return learned
    return this.#others.get(ordinal)
  }

  has(ordinal: number): boolean {
    return this.get(ordinal) !== undefined
  }

  /** The first version of a concept that was learned just now. */
  add(ordinal: number, version: Version<ConceptState>): void {
    if (this.#learned.length === 0) this.#first = ordinal
    // Behind a gap in the log ordinals are missing.
    if (ordinal === this.#first + this.#learned.length) this.#learned.push(version)
    else this.#others.set(ordinal, version)
  }

  /** A newer version: it has the one before behind it. */
  set(ordinal: number, version: Version<ConceptState>): void {
    const at = ordinal - this.#first
    if (this.#learned[at] !== undefined) this.#learned[at] = version
    else this.#others.set(ordinal, version)
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

  *[Symbol.iterator](): Generator<[number, Version<ConceptState>]> {
    for (const [i, version] of this.#learned.entries()) yield [this.#first + i, version]
    yield* this.#others
  }
}
