import type { Links } from '../projections/tables/links.ts'

/** Stands where there is no concept: they are numbered from 1. */
export const NONE = 0

/** Concepts that there is room for at first; most searches reach fewer. */
const ROOM = 1024
/** Slots of the table for each concept that there is room for: half of them stay empty. */
const SLOTS = 2
/** More room is made in turns: of as much, it takes a few milliseconds to make twice that. */
const ROOM_AT_ONCE = 32_768
/** It is made once this share is taken: the rest is for what comes until the search is asked. */
const CROWDED = 0.75
/** Concepts that are put into their slots in one turn, some of them far apart in memory. */
const PIECE = 16_384

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
    return this.#slots[slotOf(this.#slots, this.ordinals, ordinal)] ?? NONE
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
    if (twin === NONE) this.#slots[slotOf(this.#slots, this.ordinals, ordinal)] = added
    else this.twins[twin] = added
    return added
  }

  /** Notes how a concept was reached, in place of how it was before. */
  cameBy(reached: number, from: number, links: Links | undefined, place: number): void {
    this.froms[reached] = from
    this.links[reached] = links
    this.places[reached] = place
  }

  /**
   * Whether it is time to make room in turns: to make it at once would keep the event loop for long.
   * What is left is enough until somebody asks again.
   */
  get isCrowded(): boolean {
    return this.#room >= ROOM_AT_ONCE && this.count > this.#room * CROWDED
  }

  /** Makes room piece by piece. Nothing may be added until it is done. */
  async makeRoom(pause: () => Promise<void>): Promise<void> {
    for (const _ of this.#enlarge()) await pause()
  }

  #grow(): void {
    const steps = this.#enlarge()
    while (steps.next().done !== true);
  }

  /** Doubles the room. It has the new one when this has come to its end. */
  *#enlarge(): Generator<void, void> {
    const { count } = this
    const room = this.#room * 2
    const ordinals = extended(this.ordinals, new Uint32Array(room + 1))
    yield
    const confidences = extended(this.confidences, new Float64Array(room + 1))
    yield
    const froms = extended(this.froms, new Uint32Array(room + 1))
    const places = extended(this.places, new Uint32Array(room + 1))
    yield
    const twins = extended(this.twins, new Uint32Array(room + 1))
    const hops = extended(this.hops, new Uint16Array(room + 1))
    const forward = extended(this.forward, new Uint8Array(room + 1))
    const slots = new Uint32Array(room * SLOTS)
    // In the order of their coming: their ordinals are read in a row.
    for (let at = 1; at <= count; at++) {
      if (at % PIECE === 0) yield
      const twin = twins[at] ?? NONE
      if (twin !== NONE && twin < at) continue
      slots[slotOf(slots, ordinals, ordinals[at] ?? 0)] = at
    }
    this.#room = room
    this.#slots = slots
    Object.assign(this, { ordinals, confidences, froms, places, twins, hops, forward })
  }
}

/** Where an ordinal is, or the empty slot where it would be. */
function slotOf(slots: Uint32Array, ordinals: Uint32Array, ordinal: number): number {
  const mask = slots.length - 1
  const mixed = Math.imul(ordinal, 0x9e3779b1)
  for (let at = (mixed ^ (mixed >>> 15)) & mask; ; at = (at + 1) & mask) {
    const found = slots[at] ?? NONE
    if (found === NONE || ordinals[found] === ordinal) return at
  }
}

function extended<T extends { set(of: T): void }>(old: T, longer: T): T {
  longer.set(old)
  return longer
}
