import { throwIfAborted } from '../errors.ts'
import type { PathEdge } from './paths.ts'
import { type Exploration, farEnd, isClosedStep, type Leg, STEPS_PER_TURN } from './paths-search.ts'

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

interface Reached<E> {
  readonly hops: number
  confidence: number
  /** The edge it was reached by; `undefined` at the end where the side began. */
  edge: E | undefined
}

interface Side<E> {
  readonly start: number
  readonly ways: readonly ('out' | 'in')[]
  readonly reached: Map<number, Reached<E>>
  /** Concepts `done` hops away. Everything up to there is reached, with its final confidence. */
  frontier: number[]
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
  /** Hops of the shortest path seen, then its confidence and the concept where its halves met. */
  #shortest = Number.POSITIVE_INFINITY
  #confidence = 0
  #middle = -1
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
    return this.#shortest === Number.POSITIVE_INFINITY ? undefined : this.#path()
  }

  /** A frontier is read whole, as far as it makes sense to hold it. */
  async #fetch({ frontier, ways }: Side<E>): Promise<void> {
    const { graph } = this.#exploration
    const ordinals = frontier.slice(0, FETCHED_MAX)
    for (const way of ways) await graph.fetch?.(ordinals, way)
    throwIfAborted(this.#exploration.query.signal, 'path search')
  }

  #begin(start: number, ways: Side<E>['ways']): Side<E> {
    this.#exploration.reach()
    const reached = new Map([[start, { hops: 0, confidence: 1, edge: undefined }]])
    return { start, ways, reached, frontier: [start], done: 0, peak: 1, steps: 0 }
  }

  /** Expands one side level by level; stops for breath after each grain and each level. */
  *#walk(side: Side<E>, opposite: Side<E>): Generator<void, void, void> {
    const { graph } = this.#exploration
    while (side.frontier.length > 0) {
      const next: number[] = []
      for (const ordinal of side.frontier) {
        const confidence = side.reached.get(ordinal)?.confidence ?? 0
        for (const way of side.ways) {
          if (++side.steps % STEPS_PER_TURN === 0) yield
          for (const edge of graph.edges(ordinal, way)) {
            if (++side.steps % STEPS_PER_TURN === 0) yield
            this.#follow(edge, ordinal, confidence, side, opposite, next)
            if (this.#unbeatable) return
          }
        }
      }
      this.#advance(side, next)
      yield
    }
  }

  #advance(side: Side<E>, next: number[]): void {
    side.frontier = next
    side.steps = 0
    side.done = next.length > 0 ? side.done + 1 : Number.POSITIVE_INFINITY
    side.peak = 0
    for (const ordinal of next) {
      side.peak = Math.max(side.peak, side.reached.get(ordinal)?.confidence ?? 0)
    }
  }

  #follow(
    edge: E,
    ordinal: number,
    confidence: number,
    side: Side<E>,
    opposite: Side<E>,
    next: number[]
  ): void {
    const { other } = edge
    const hops = side.done + 1
    const product = confidence * edge.confidence
    const known = side.reached.get(other)
    // Reached before by fewer hops (a self-loop always is), or by as many with no less confidence.
    if (known !== undefined && (known.hops < hops || known.confidence >= product)) return

    const met = opposite.reached.get(other)
    if (known === undefined) {
      if (this.#leg.closedConcepts.has(other)) return
      // A concept is worth reaching only if the opposite end can be near enough.
      const room = this.#maxHops - hops
      if (met === undefined ? opposite.done >= room : met.hops > room) return
    }
    if (isClosedStep(this.#leg, ordinal, edge)) return
    if (!this.#exploration.query.accept(edge)) return

    if (known === undefined) {
      this.#exploration.reach()
      side.reached.set(other, { hops, confidence: product, edge })
      next.push(other)
    } else {
      known.confidence = product
      known.edge = edge
    }
    if (met !== undefined) this.#meet(other, hops + met.hops, product * met.confidence)
  }

  #meet(middle: number, hops: number, confidence: number): void {
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

  #path(): E[] {
    const toMiddle = chain(this.#forward, this.#middle).reverse()
    return [...toMiddle, ...chain(this.#backward, this.#middle)]
  }
}

/** What the rest of a side's level costs is unknown: at least its concepts, and what it cost. */
function cost<E>(side: Side<E>): number {
  return Math.max(side.frontier.length, side.steps)
}

/** The edges by which a side came to a concept, last first. */
function chain<E extends PathEdge>(side: Side<E>, from: number): E[] {
  const edges: E[] = []
  let ordinal = from
  for (;;) {
    const edge = side.reached.get(ordinal)?.edge
    if (edge === undefined) return edges
    edges.push(edge)
    ordinal = farEnd(edge, ordinal)
  }
}
