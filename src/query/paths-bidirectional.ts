import { throwIfAborted } from '../errors.ts'
import type { Link, Links } from '../projections/tables/links.ts'
import { NONE, ReachedConcepts } from './paths-reached.ts'
import { type Exploration, type Leg, STEPS_PER_TURN } from './paths-search.ts'

/**
 * Finds the path of fewest hops and, among those, of greatest confidence.
 *
 * Two breadth-first searches, one from each end, meet in the middle. Each keeps, for every concept
 * it reached, the fewest hops and the greatest confidence of a path of that many hops. They
 * take turns in small grains, always the one whose current level has cost less so far, so that a
 * hub at one end does not matter while the other end's surroundings are small.
 *
 * @returns The edges from the leg's source to the target, or `undefined`.
 * @see Pohl, 1971, "Bi-directional search", Machine Intelligence 6, for searching from both ends
 *   and continuing the cheaper side.
 */
export async function fewestHops(exploration: Exploration, leg: Leg): Promise<Link[] | undefined> {
  const reached = ReachedConcepts.take()
  const search = new HopSearch(exploration, leg, reached)
  try {
    // A search that needs no rest is over in this turn: the next one of many finds its memory free.
    for (let rest = search.goOn(); rest !== undefined; rest = search.goOn()) await rest()
    return search.path
  } finally {
    search.end()
    reached.release()
  }
}

/**
 * A frontier of fewer is read as it is walked: most searches end in the middle of one. Reading all of
 * those of a hundred took paths of WordNet half as long again, with cold caches.
 */
const FETCHED_MIN = 2048
const FETCHED_MAX = 4096
/** Decoding these takes a millisecond or two; each portion is read beside the main thread. */
const FETCHED_AT_ONCE = 256

interface Side {
  readonly isForward: boolean
  readonly ways: readonly ('out' | 'in')[]
  /** Concepts `done` hops away. Everything up to there is reached, with its final confidence. */
  frontier: number[]
  /** Those reached from the frontier so far, which are one hop further. */
  next: number[]
  done: number
  /** The greatest confidence in the frontier: no path through it can be more confident. */
  peak: number
  /** Steps made from the frontier so far. */
  steps: number
  /** Whether the frontier was read ahead. */
  isFetched: boolean
  /** Whether the step that was counted last is still to be made: it stopped for breath before. */
  isRested: boolean
}

class HopSearch {
  readonly #exploration: Exploration
  readonly #leg: Leg
  readonly #reached: ReachedConcepts
  readonly #forward: Side
  readonly #backward: Side
  readonly #forwardWalk: Generator<void, void, void>
  readonly #backwardWalk: Generator<void, void, void>
  /** Hops of the shortest path seen, then its confidence and the concept where its halves met. */
  #shortest = Number.POSITIVE_INFINITY
  #confidence = 0
  #middle = NONE
  /** Hops beyond which a path is of no use. */
  #maxHops: number
  #unbeatable = false

  constructor(exploration: Exploration, leg: Leg, reached: ReachedConcepts) {
    this.#exploration = exploration
    this.#leg = leg
    this.#reached = reached
    this.#maxHops = leg.maxDepth
    this.#forward = this.#begin(true, leg.source)
    this.#backward = this.#begin(false, exploration.query.target)
    this.#forwardWalk = this.#walk(this.#forward)
    this.#backwardWalk = this.#walk(this.#backward)
  }

  /** Searches on. @returns What has to be waited for before it goes on; `undefined` at its end. */
  goOn(): (() => Promise<void>) | undefined {
    const [forward, backward] = [this.#forward, this.#backward]
    // Every path of at most `done + done` hops was seen when the later of its halves was reached.
    while (!this.#unbeatable && forward.done + backward.done < this.#maxHops) {
      const isForward = cost(forward) <= cost(backward)
      const side = isForward ? forward : backward
      if (!side.isFetched && side.frontier.length >= FETCHED_MIN) {
        side.isFetched = true
        return () => this.#fetch(side)
      }
      const walk = isForward ? this.#forwardWalk : this.#backwardWalk
      walk.next()
      if (this.#reached.isCrowded) return () => this.#makeRoom()
      if (this.#exploration.tired) return () => this.#exploration.pause()
    }
    return undefined
  }

  /** Lets go of the graph's iterators, which may hold resources of the storage. */
  end(): void {
    this.#forwardWalk.return()
    this.#backwardWalk.return()
  }

  /** The edges of the best path found. */
  get path(): Link[] | undefined {
    return this.#middle === NONE ? undefined : this.#path(this.#middle)
  }

  /** A frontier is read whole, as far as it makes sense to hold it: what is read is decoded here. */
  async #fetch({ frontier, ways }: Side): Promise<void> {
    const { graph, query } = this.#exploration
    const ordinals = frontier.slice(0, FETCHED_MAX).map((at) => this.#reached.ordinals[at] ?? 0)
    for (const way of ways) {
      for (let at = 0; at < ordinals.length; at += FETCHED_AT_ONCE) {
        await graph.fetch?.(ordinals.slice(at, at + FETCHED_AT_ONCE), way)
        throwIfAborted(query.signal, 'path search')
      }
    }
  }

  async #makeRoom(): Promise<void> {
    await this.#reached.makeRoom(async () => this.#exploration.pause())
  }

  #begin(isForward: boolean, start: number): Side {
    this.#exploration.reach()
    const reached = this.#reached
    const first = reached.add(start, isForward, 0, NONE)
    reached.confidences[first] = 1
    reached.cameBy(first, NONE, undefined, 0)
    const ways = this.#exploration.ways[isForward ? 'forward' : 'backward']
    const frontier = [first]
    const begun = { done: 0, peak: 1, steps: 0, isFetched: false, isRested: false }
    return { isForward, ways, frontier, next: [], ...begun }
  }

  /**
   * Expands one side level by level; stops for breath after each grain and each level. Iterators stay
   * alive while a generator rests, so they cost more here than what they iterate over.
   */
  *#walk(side: Side): Generator<void, void, void> {
    const { graph } = this.#exploration
    while (side.frontier.length > 0) {
      for (let i = 0; i < side.frontier.length; i++) {
        const from = side.frontier[i] ?? NONE
        const ordinal = this.#reached.ordinals[from] ?? 0
        for (let j = 0; j < side.ways.length; j++) {
          const way = side.ways[j] ?? 'out'
          if (++side.steps % STEPS_PER_TURN === 0) yield
          const few = graph.few(ordinal, way)
          if (few === undefined) yield* this.#walkPieces(graph.pieces(ordinal, way), from, side)
          else {
            let at = this.#follow(few, 0, from, side)
            for (; at < few.count; at = this.#follow(few, at, from, side)) yield
          }
          if (this.#unbeatable) return
        }
      }
      this.#advance(side)
      yield
    }
  }

  *#walkPieces(pieces: Iterable<Links>, from: number, side: Side): Generator<void, void, void> {
    for (const links of pieces) {
      let at = this.#follow(links, 0, from, side)
      for (; at < links.count; at = this.#follow(links, at, from, side)) yield
      if (this.#unbeatable) return
      // What was read for nothing took its time as well.
      if (links.count === 0) yield
    }
  }

  #advance(side: Side): void {
    side.frontier = side.next
    side.next = []
    side.steps = 0
    side.isFetched = false
    side.done = side.frontier.length > 0 ? side.done + 1 : Number.POSITIVE_INFINITY
    side.peak = 0
    for (const at of side.frontier) {
      side.peak = Math.max(side.peak, this.#reached.confidences[at] ?? 0)
    }
  }

  /**
   * Follows the links of a concept from one index on. Each is a step.
   *
   * @returns The index of the link before which it is time for a breath; or how many there are.
   */
  #follow(links: Links, start: number, from: number, side: Side): number {
    const reached = this.#reached
    const { others } = links
    const ours = Number(side.isForward)
    const hops = side.done + 1
    const confidence = reached.confidences[from] ?? 0
    for (let i = start; i < others.length; i++) {
      // Where it stopped it was counted then.
      if (side.isRested) side.isRested = false
      else if (++side.steps % STEPS_PER_TURN === 0) {
        side.isRested = true
        return i
      }
      const other = others[i] ?? 0
      const product = confidence * links.confidenceAt(i)
      // One look-up tells of both sides: most concepts are met by one alone.
      const found = reached.find(other)
      const isOurs = reached.forward[found] === ours
      const known = isOurs ? found : (reached.twins[found] ?? NONE)
      // Reached before by fewer hops (a self-loop always is), or by as many with no less confidence.
      if (known !== NONE) {
        if ((reached.hops[known] ?? 0) < hops) continue
        if ((reached.confidences[known] ?? 0) >= product) continue
      }
      const met = isOurs ? (reached.twins[found] ?? NONE) : found
      if (known === NONE && !this.#isWorthReaching(other, hops, met, side)) continue
      const ordinal = reached.ordinals[from] ?? 0
      if (!this.#exploration.mayFollow(this.#leg, ordinal, links, i)) continue

      const at = known === NONE ? this.#reach(other, hops, met, side) : known
      reached.confidences[at] = product
      reached.cameBy(at, from, links, i)
      if (met === NONE) continue
      this.#meet(at, met)
      if (this.#unbeatable) break
    }
    return others.length
  }

  /** A concept is worth it only if the opposite end can be near enough. */
  #isWorthReaching(other: number, hops: number, met: number, side: Side): boolean {
    if (this.#leg.closedConcepts.has(other)) return false
    const room = this.#maxHops - hops
    if (met !== NONE) return (this.#reached.hops[met] ?? 0) <= room
    return (side.isForward ? this.#backward : this.#forward).done < room
  }

  #reach(ordinal: number, hops: number, met: number, side: Side): number {
    this.#exploration.reach()
    const added = this.#reached.add(ordinal, side.isForward, hops, met)
    side.next.push(added)
    return added
  }

  #meet(at: number, met: number): void {
    const { hops, confidences } = this.#reached
    const length = (hops[at] ?? 0) + (hops[met] ?? 0)
    const confidence = (confidences[at] ?? 0) * (confidences[met] ?? 0)
    if (length > this.#shortest) return
    if (length === this.#shortest && confidence <= this.#confidence) return
    this.#shortest = length
    this.#maxHops = length
    this.#confidence = confidence
    this.#middle = at

    // All shorter paths are seen by now, and no other of this length can be more confident.
    const { done, peak } = this.#forward
    const last = length === done + this.#backward.done + 1
    this.#unbeatable = last && confidence >= peak * this.#backward.peak
  }

  #path(middle: number): Link[] {
    const toMiddle = this.#chain(middle)
    const onwards = this.#chain(this.#reached.twins[middle] ?? NONE)
    const isForward = this.#reached.forward[middle] === 1
    return isForward ? [...toMiddle.reverse(), ...onwards] : [...onwards.reverse(), ...toMiddle]
  }

  /** The edges by which a side came to a concept, last first. */
  #chain(to: number): Link[] {
    const { links, places, froms } = this.#reached
    const edges: Link[] = []
    for (let at = to; at !== NONE; at = froms[at] ?? NONE) {
      const edge = links[at]?.at(places[at] ?? 0)
      if (edge !== undefined) edges.push(edge)
    }
    return edges
  }
}

/** What the rest of a side's level costs is unknown: at least its concepts, and what it cost. */
function cost(side: Side): number {
  return Math.max(side.frontier.length, side.steps)
}
