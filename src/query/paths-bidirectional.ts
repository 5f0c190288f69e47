import { throwIfAborted } from '../errors.ts'
import type { PathEdge } from './paths.ts'
import { type Exploration, isClosedStep, type Leg, STEPS_PER_TURN } from './paths-search.ts'

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
export async function fewestHops<E extends PathEdge>(
  exploration: Exploration<E>,
  leg: Leg<E>
): Promise<E[] | undefined> {
  const search = new HopSearch(exploration, leg)
  return search.run()
}

/**
 * A frontier of fewer is read as it is walked: most searches end in the middle of one. Reading all of
 * those of a hundred took paths of WordNet half as long again, with cold caches.
 */
const FETCHED_MIN = 2048
const FETCHED_MAX = 4096

/** A concept as one of the sides has reached it. */
interface Reached<E> {
  readonly ordinal: number
  readonly side: Side<E>
  readonly hops: number
  confidence: number
  /** The edge it was reached by, and where that began; `undefined` where the side began. */
  edge: E | undefined
  from: Reached<E> | undefined
  /** As the opposite side has reached it, if it has. */
  twin: Reached<E> | undefined
}

interface Side<E> {
  readonly ways: readonly ('out' | 'in')[]
  /** Concepts `done` hops away. Everything up to there is reached, with its final confidence. */
  frontier: Reached<E>[]
  done: number
  /** The greatest confidence in the frontier: no path through it can be more confident. */
  peak: number
  /** Steps made from the frontier so far. */
  steps: number
}

class HopSearch<E extends PathEdge> {
  readonly #exploration: Exploration<E>
  readonly #leg: Leg<E>
  readonly #forward: Side<E>
  readonly #backward: Side<E>
  /** Of both sides: most concepts are met by one alone, so one look-up tells of both. */
  readonly #reached = new Map<number, Reached<E>>()
  /** Hops of the shortest path seen, then its confidence and the concept where its halves met. */
  #shortest = Number.POSITIVE_INFINITY
  #confidence = 0
  #middle: Reached<E> | undefined
  /** Hops beyond which a path is of no use. */
  #maxHops: number
  #unbeatable = false

  constructor(exploration: Exploration<E>, leg: Leg<E>) {
    this.#exploration = exploration
    this.#leg = leg
    this.#maxHops = leg.maxDepth
    this.#forward = this.#begin(leg.source, exploration.ways.forward)
    this.#backward = this.#begin(exploration.query.target, exploration.ways.backward)
  }

  async run(): Promise<E[] | undefined> {
    const [forward, backward] = [this.#forward, this.#backward]
    const forwardWalk = this.#walk(forward, backward)
    const backwardWalk = this.#walk(backward, forward)
    try {
      // Every path of at most `done + done` hops was seen when the later of its halves was reached.
      while (!this.#unbeatable && forward.done + backward.done < this.#maxHops) {
        const isForward = cost(forward) <= cost(backward)
        const side = isForward ? forward : backward
        if (side.steps === 0 && side.frontier.length >= FETCHED_MIN) await this.#fetch(side)
        const walk = isForward ? forwardWalk : backwardWalk
        walk.next()
        if (this.#exploration.tired) await this.#exploration.pause()
      }
    } finally {
      // Lets go of the graph's iterators, which may hold resources of the storage.
      forwardWalk.return()
      backwardWalk.return()
    }
    return this.#middle === undefined ? undefined : this.#path(this.#middle)
  }

  /** A frontier is read whole, as far as it makes sense to hold it. */
  async #fetch({ frontier, ways }: Side<E>): Promise<void> {
    const { graph } = this.#exploration
    const ordinals = frontier.slice(0, FETCHED_MAX).map(({ ordinal }) => ordinal)
    for (const way of ways) await graph.fetch?.(ordinals, way)
    throwIfAborted(this.#exploration.query.signal, 'path search')
  }

  #begin(start: number, ways: Side<E>['ways']): Side<E> {
    this.#exploration.reach()
    const side: Side<E> = { ways, frontier: [], done: 0, peak: 1, steps: 0 }
    const first = { ordinal: start, side, hops: 0, confidence: 1 }
    const reached = { ...first, edge: undefined, from: undefined, twin: undefined }
    this.#reached.set(start, reached)
    side.frontier.push(reached)
    return side
  }

  /** Expands one side level by level; stops for breath after each grain and each level. */
  *#walk(side: Side<E>, opposite: Side<E>): Generator<void, void, void> {
    const { graph } = this.#exploration
    while (side.frontier.length > 0) {
      const next: Reached<E>[] = []
      for (const from of side.frontier) {
        for (const way of side.ways) {
          if (++side.steps % STEPS_PER_TURN === 0) yield
          for (const edge of graph.edges(from.ordinal, way)) {
            if (++side.steps % STEPS_PER_TURN === 0) yield
            this.#follow(edge, from, side, opposite, next)
            if (this.#unbeatable) return
          }
        }
      }
      this.#advance(side, next)
      yield
    }
  }

  #advance(side: Side<E>, next: Reached<E>[]): void {
    side.frontier = next
    side.steps = 0
    side.done = next.length > 0 ? side.done + 1 : Number.POSITIVE_INFINITY
    side.peak = 0
    for (const { confidence } of next) side.peak = Math.max(side.peak, confidence)
  }

  #follow(edge: E, from: Reached<E>, side: Side<E>, opposite: Side<E>, next: Reached<E>[]): void {
    const { other } = edge
    const hops = side.done + 1
    const product = from.confidence * edge.confidence
    const found = this.#reached.get(other)
    const known = found?.side === side ? found : found?.twin
    // Reached before by fewer hops (a self-loop always is), or by as many with no less confidence.
    if (known !== undefined && (known.hops < hops || known.confidence >= product)) return

    const met = found?.side === side ? found.twin : found
    if (known === undefined) {
      if (this.#leg.closedConcepts.has(other)) return
      // A concept is worth reaching only if the opposite end can be near enough.
      const room = this.#maxHops - hops
      if (met === undefined ? opposite.done >= room : met.hops > room) return
    }
    if (isClosedStep(this.#leg, from.ordinal, edge)) return
    if (!this.#exploration.query.accept(edge)) return

    let reached = known
    if (reached === undefined) {
      this.#exploration.reach()
      reached = { ordinal: other, side, hops, confidence: product, edge, from, twin: met }
      if (met === undefined) this.#reached.set(other, reached)
      else met.twin = reached
      next.push(reached)
    } else {
      reached.confidence = product
      reached.edge = edge
      reached.from = from
    }
    if (met !== undefined) this.#meet(reached, hops + met.hops, product * met.confidence)
  }

  #meet(middle: Reached<E>, hops: number, confidence: number): void {
    if (hops > this.#shortest) return
    if (hops === this.#shortest && confidence <= this.#confidence) return
    this.#shortest = hops
    this.#maxHops = hops
    this.#confidence = confidence
    this.#middle = middle

    // All shorter paths are seen by now, and no other of this length can be more confident.
    const { done, peak } = this.#forward
    const last = hops === done + this.#backward.done + 1
    this.#unbeatable = last && confidence >= peak * this.#backward.peak
  }

  #path(middle: Reached<E>): E[] {
    const isForward = middle.side === this.#forward
    const [toMiddle, onwards] = [chain(middle), middle.twin === undefined ? [] : chain(middle.twin)]
    return isForward ? [...toMiddle.reverse(), ...onwards] : [...onwards.reverse(), ...toMiddle]
  }
}

/** What the rest of a side's level costs is unknown: at least its concepts, and what it cost. */
function cost<E>(side: Side<E>): number {
  return Math.max(side.frontier.length, side.steps)
}

/** The edges by which a side came to a concept, last first. */
function chain<E extends PathEdge>(to: Reached<E>): E[] {
  const edges: E[] = []
  for (let at: Reached<E> | undefined = to; at?.edge !== undefined; at = at.from)
    edges.push(at.edge)
  return edges
}
