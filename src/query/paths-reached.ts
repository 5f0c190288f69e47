import type { Links } from '../projections/tables/links.ts'

/** Stands where there is no concept: they are numbered from 1. */
export const NONE = 0

/** Concepts that there is room for at first; most searches reach fewer. */
const ROOM = 1024
/** Slots of the table for each concept that there is room for: half of them stay empty. */
const SLOTS = 2

/** As it was when it was new: what a search leaves behind serves the next one. */
let spare: ReachedConcepts | undefined

/**
 * The concepts that the two sides of a search have reached, numbered in the order of their coming.
 * What is known of them stands in columns: a search that reaches a thousand makes no object for any.
 */
export class ReachedConcepts {
  count = 0
  ordinals: Uint32Array = new Uint32Array(ROOM + 1)
  /** Whether it was reached from the source. */
  forward: Uint8Array = new Uint8Array(ROOM + 1)
  /** The fewest there are, and the greatest confidence of a path of that many. */
  hops: Uint16Array = new Uint16Array(ROOM + 1)
  confidences: Float64Array = new Float64Array(ROOM + 1)
  /** From where it was reached, and over which link; `NONE` where a side began. */
  froms: Uint32Array = new Uint32Array(ROOM + 1)
  readonly links: (Links | undefined)[] = [undefined]
  places: Uint32Array = new Uint32Array(ROOM + 1)
  /** The same concept as the opposite side has reached it, or `NONE`. */
  twins: Uint32Array = new Uint32Array(ROOM + 1)
  /** By ordinal, with open addressing: the one of the two that came first. */
  #slots: Uint32Array = new Uint32Array(ROOM * SLOTS)
  #room = ROOM

  /** An empty one. To be given back by `release`. */
  static take(): ReachedConcepts {
    const taken = spare ?? new ReachedConcepts()
    spare = undefined
    return taken
  }

  release(): void {
    // A large search leaves its memory to the collector.
    if (this.#room > ROOM) return
    this.links.fill(undefined, 0, this.count + 1)
    this.#slots.fill(NONE)
    this.count = 0
    spare = this
  }

  /** The concept as the first side that came to it has reached it, or `NONE`. */
  find(ordinal: number): number {
    return this.#slots[this.#slotOf(ordinal)] ?? NONE
  }

  /** @param twin As the opposite side has reached it. */
  add(ordinal: number, isForward: boolean, hops: number, twin: number): number {
    if (this.count === this.#room) this.#grow()
    this.count += 1
    const added = this.count
    this.ordinals[added] = ordinal
    this.forward[added] = Number(isForward)
    this.hops[added] = hops
    this.twins[added] = twin
    if (twin === NONE) this.#slots[this.#slotOf(ordinal)] = added
    else this.twins[twin] = added
    return added
  }

  /** Notes how a concept was reached, in place of how it was before. */
  cameBy(reached: number, from: number, links: Links | undefined, place: number): void {
    this.froms[reached] = from
    this.links[reached] = links
    this.places[reached] = place
  }

  /** Where an ordinal is, or the empty slot where it would be. */
  #slotOf(ordinal: number): number {
    const slots = this.#slots
    const mask = slots.length - 1
    const mixed = Math.imul(ordinal, 0x9e3779b1)
    for (let at = (mixed ^ (mixed >>> 15)) & mask; ; at = (at + 1) & mask) {
      const found = slots[at] ?? NONE
      if (found === NONE || this.ordinals[found] === ordinal) return at
    }
  }

  #grow(): void {
    this.#room *= 2
    const room = this.#room + 1
    this.ordinals = extended(this.ordinals, new Uint32Array(room))
    this.forward = extended(this.forward, new Uint8Array(room))
    this.hops = extended(this.hops, new Uint16Array(room))
    this.confidences = extended(this.confidences, new Float64Array(room))
    this.froms = extended(this.froms, new Uint32Array(room))
    this.places = extended(this.places, new Uint32Array(room))
    this.twins = extended(this.twins, new Uint32Array(room))
    this.#slots = new Uint32Array(this.#room * SLOTS)
    // In the order of their coming: their ordinals are read in a row.
    for (let at = 1; at <= this.count; at++) {
      const twin = this.twins[at] ?? NONE
      if (twin === NONE || twin > at) this.#slots[this.#slotOf(this.ordinals[at] ?? 0)] = at
    }
  }
}

function extended<T extends { set(of: T): void }>(old: T, longer: T): T {
  longer.set(old)
  return longer
}
