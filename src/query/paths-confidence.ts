import type { Link, Links } from '../projections/tables/links.ts'
import { fewestHops } from './paths-bidirectional.ts'
import { type Label, LabelQueue } from './paths-queue.ts'
import { type Exploration, type Leg, ROUNDING, STEPS_PER_TURN } from './paths-search.ts'

/**
 * Finds the path of greatest confidence and, among those, of fewest hops.
 *
 * The path of fewest hops comes first: often there is none, or nothing is lost on it and it is the
 * answer; else its confidence bounds the search. That is Dijkstra's algorithm from both
 * ends, on labels instead of concepts: because hops are limited, a less confident way of fewer hops
 * to a concept may be the only one that still reaches the target. A label is dropped when
 * another one of its concept is at least as good in both.
 *
 * @returns The edges from the leg's source to the target, or `undefined`.
 * @see Martins, 1984, "On a multicriteria shortest path problem", European Journal of Operational
 *   Research 16, for labels and dominance.
 * @see Pohl, 1971, "Bi-directional search", Machine Intelligence 6, for the end of the search.
 */
export async function greatestConfidence(
  exploration: Exploration,
  leg: Leg
): Promise<Link[] | undefined> {
  const shortest = await fewestHops(exploration, leg)
  if (shortest === undefined) return undefined
  const confidence = shortest.reduce((product, edge) => product * edge.confidence, leg.confidence)
  if (confidence === leg.confidence) return shortest

  const search = new ConfidenceSearch(exploration, leg, confidence)
  // Labels of confidence 0 are left out: among paths of confidence 0 the fewest hops decide.
  return (await search.run()) ?? shortest
}

interface Side {
  readonly isForward: boolean
  readonly ways: readonly ('out' | 'in')[]
  /** Hops after which this side leaves the rest to the opposite one. */
  readonly maxHops: number
  /** Of each concept, the labels that no other one beats. Most concepts have one. */
  readonly labels: Map<number, Label[]>
  /** The labels whose edges are still to be followed. */
  readonly queue: LabelQueue
  /** The label whose edges are being followed. */
  current: Label | undefined
  /** The greatest confidence of a label with `maxHops`, which never enters the queue. */
  peakAtMaxHops: number
  steps: number
}

interface Meeting {
  readonly forward: Label
  readonly backward: Label
  readonly confidence: number
  readonly hops: number
}

class ConfidenceSearch {
  readonly #exploration: Exploration
  readonly #leg: Leg
  readonly #forward: Side
  readonly #backward: Side
  /** Paths that make the whole less confident than this are of no use. */
  #minConfidence: number
  #best: Meeting | undefined

  constructor(exploration: Exploration, leg: Leg, confidence: number) {
    this.#exploration = exploration
    this.#leg = leg
    this.#minConfidence = Math.max(leg.minConfidence, confidence * ROUNDING)
    // The forward side starts with the confidence of the path so far, so that its products, and
    // what underflows to 0, are those of the whole path.
    this.#forward = this.#begin(true, leg.source, leg.confidence)
    this.#backward = this.#begin(false, exploration.query.target, 1)
  }

  async run(): Promise<Link[] | undefined> {
    const [forward, backward] = [this.#forward, this.#backward]
    const forwardWalk = this.#walk(forward)
    const backwardWalk = this.#walk(backward)
    try {
      while (!this.#isSettled()) {
        // By edges read, so that a hub at one end waits while the other end has little to do.
        const isForward = next(backward) === undefined || forward.steps <= backward.steps
        const walk = isForward && next(forward) !== undefined ? forwardWalk : backwardWalk
        walk.next()
        if (this.#exploration.tired) await this.#exploration.pause()
      }
    } finally {
      // Lets go of the graph's iterators, which may hold resources of the storage.
      forwardWalk.return()
      backwardWalk.return()
    }
    const best = this.#best
    return best && [...chain(best.forward).reverse(), ...chain(best.backward)]
  }

  /**
   * Whether no path is left that could be better than the best one seen.
   *
   * The halves of an unseen path go through an unfinished label of each side, or through one of one
   * side and a label at the other side's last hop. No half is better than the best of its kind.
   */
  #isSettled(): boolean {
    const [forward, backward] = [this.#forward, this.#backward]
    const ahead = next(forward)
    const behind = next(backward)
    if (ahead !== undefined) {
      const { confidence, hops } = ahead
      if (this.#isUseful(confidence * backward.peakAtMaxHops, hops + backward.maxHops)) return false
    }
    if (behind !== undefined) {
      const { confidence, hops } = behind
      if (this.#isUseful(confidence * forward.peakAtMaxHops, hops + forward.maxHops)) return false
    }
    if (ahead === undefined || behind === undefined) return true
    return !this.#isUseful(ahead.confidence * behind.confidence, ahead.hops + behind.hops)
  }

  #isUseful(confidence: number, hops: number): boolean {
    if (confidence === 0 || confidence < this.#minConfidence) return false
    const best = this.#best
    return best === undefined || confidence > best.confidence || hops < best.hops
  }

  #begin(isForward: boolean, ordinal: number, confidence: number): Side {
    this.#exploration.reach()
    // Together they make up the depth: any path is then split where the two sides can meet.
    const half = this.#leg.maxDepth / 2
    const label = { ordinal, hops: 0, confidence, edge: undefined, from: undefined, dropped: false }
    const side: Side = {
      isForward,
      ways: this.#exploration.ways[isForward ? 'forward' : 'backward'],
      maxHops: isForward ? Math.ceil(half) : Math.floor(half),
      labels: new Map(),
      queue: new LabelQueue(),
      current: undefined,
      peakAtMaxHops: 0,
      steps: 0
    }
    keep(side, label)
    return side
  }

  /** Follows the edges of one label after the other; stops for breath after each and each grain. */
  *#walk(side: Side): Generator<void, void, void> {
    for (let label = next(side); label !== undefined; label = next(side)) {
      side.queue.pop()
      side.current = label
      side.steps++
      for (const way of side.ways) {
        for (const links of this.#exploration.links(label.ordinal, way)) {
          for (let i = 0; i < links.count; i++) {
            if (++side.steps % STEPS_PER_TURN === 0) yield
            this.#follow(links, i, label, side)
          }
        }
      }
      side.current = undefined
      yield
    }
  }

  #follow(links: Links, index: number, from: Label, side: Side): void {
    const hops = from.hops + 1
    const confidence = from.confidence * links.confidenceAt(index)
    const whole = side.isForward ? confidence : confidence * this.#leg.confidence
    if (confidence === 0 || whole < this.#minConfidence) return
    const other = links.others[index] ?? 0
    if (this.#leg.closedConcepts.has(other)) return
    const labels = side.labels.get(other)
    if (labels !== undefined && isBeaten(labels, hops, confidence)) return
    if (!this.#exploration.mayFollow(this.#leg, from.ordinal, links, index)) return

    this.#exploration.reach()
    const edge = links.at(index)
    const label = { ordinal: other, hops, confidence, edge, from, dropped: false }
    keep(side, label)
    const opposite = side.isForward ? this.#backward : this.#forward
    for (const met of opposite.labels.get(other) ?? []) {
      if (side.isForward) this.#meet(label, met)
      else this.#meet(met, label)
    }
  }

  #meet(forward: Label, backward: Label): void {
    const hops = forward.hops + backward.hops
    const confidence = forward.confidence * backward.confidence
    const best = this.#best
    if (confidence === 0 || (best !== undefined && confidence < best.confidence)) return
    if (best !== undefined && confidence === best.confidence && hops >= best.hops) return
    this.#best = { forward, backward, confidence, hops }
    this.#minConfidence = Math.max(this.#minConfidence, confidence * ROUNDING)
  }
}

/** The best label of a side that is not finished. Throws away what was dropped meanwhile. */
function next(side: Side): Label | undefined {
  if (side.current !== undefined) return side.current
  while (side.queue.first?.dropped === true) side.queue.pop()
  return side.queue.first
}

function isBeaten(labels: readonly Label[], hops: number, confidence: number): boolean {
  for (const label of labels) {
    if (label.hops <= hops && label.confidence >= confidence) return true
  }
  return false
}

/** Takes in a label that no other one of its concept beats, and drops those that it beats. */
function keep(side: Side, label: Label): void {
  const labels = side.labels.get(label.ordinal)
  if (labels === undefined) side.labels.set(label.ordinal, [label])
  else replaceBeaten(labels, label)

  if (label.hops < side.maxHops) side.queue.push(label)
  else side.peakAtMaxHops = Math.max(side.peakAtMaxHops, label.confidence)
}

function replaceBeaten(labels: Label[], label: Label): void {
  let kept = 0
  for (const old of labels) {
    old.dropped = label.hops <= old.hops && label.confidence >= old.confidence
    if (!old.dropped) labels[kept++] = old
  }
  labels.length = kept
  labels.push(label)
}

/** The edges by which a label came about, last first. */
function chain(label: Label): Link[] {
  const edges: Link[] = []
  for (let at: Label | undefined = label; at?.edge !== undefined; at = at.from) {
    edges.push(at.edge)
  }
  return edges
}
