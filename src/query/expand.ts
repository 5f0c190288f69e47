/** What the matches of a search are associated with: nearest first, then strongest first. */
import { StoreError } from '../errors.ts'
import type { AssociationEnd } from '../log/event.ts'
import { otherEnd, type Pinned } from '../projections/pinned.ts'
import type { ConceptState } from '../projections/state.ts'
import type { Association, Related } from '../types.ts'
import { type AdjacencyQuery, adjacency, type Seen } from './adjacency.ts'
import { ReadPace } from './pace.ts'
import { toAssociation, toConcept } from './present.ts'
import {
  checkDirection,
  checkFraction,
  checkNames,
  checkTypes,
  checkWhole,
  queryInvalid
} from './read-options.ts'

export interface ExpandRequest {
  hops: number
  limit: number
  adjacency: AdjacencyQuery
  exploredMax: number
}

const HOPS_MAX = 3
const LIMIT = 10
const LIMIT_MAX = 1000
const NAMES = ['hops', 'types', 'direction', 'minStrength', 'limit']

/** @throws StoreError `QUERY_INVALID` */
export function checkExpand(value: unknown, exploredMax: number): ExpandRequest {
  if (typeof value !== 'object' || value === null) {
    throw queryInvalid('expand', value, 'an object')
  }
  checkNames('expand', value, NAMES)
  const { hops, types, direction = 'both', minStrength, limit } = value as Record<string, unknown>
  return {
    hops: checkWhole('expand.hops', hops, 1, HOPS_MAX) ?? 1,
    limit: checkWhole('expand.limit', limit, 1, LIMIT_MAX) ?? LIMIT,
    adjacency: {
      direction: checkDirection(direction, 'expand.direction'),
      types: checkTypes(types, 'expand.types'),
      minStrength: checkFraction('expand.minStrength', minStrength),
      accept: undefined,
      limit: Number.MAX_SAFE_INTEGER,
      after: undefined,
      include: { concept: false, vector: false }
    },
    exploredMax
  }
}

/** Where an expansion has come to: a match, or a concept that it is associated with. */
interface Node {
  concept: ConceptState
  via: readonly Association[]
  strength: number
  confidence: number
}

/** One step from a node, not taken yet. */
interface Step {
  from: Node
  seen: Seen
  end: AssociationEnd
  strength: number
  confidence: number
}

/**
 * Each concept stands once in an answer: with the match that it is fewest hops from; of several,
 * with the best one. All matches take a hop before any takes the next.
 *
 * @returns What belongs to each of the matches, in their order.
 * @throws StoreError `PATH_TOO_LARGE` after more associations than `limits.pathExplored`.
 */
export async function expandFrom(
  pinned: Pinned,
  matches: readonly ConceptState[],
  request: ExpandRequest,
  include: { concept: boolean; signal: AbortSignal | undefined }
): Promise<Related[][]> {
  const expansion = new Expansion(pinned, matches, request, include.signal)
  const related: Related[][] = matches.map(() => [])
  let frontiers = matches.map((concept): Node[] => [
    { concept, via: [], strength: 1, confidence: 1 }
  ])
  for (let hops = 1; hops <= request.hops; hops++) {
    const next: Node[][] = []
    for (const [i, own] of related.entries()) {
      const nodes = await expansion.next(frontiers[i] ?? [], request.limit - own.length)
      own.push(...nodes.map((node) => toRelated(node, hops, include.concept)))
      next.push(nodes)
    }
    frontiers = next
  }
  return related
}

class Expansion {
  readonly #pinned: Pinned
  readonly #request: ExpandRequest
  readonly #pace: ReadPace
  /** Ordinals that stand in the answer. */
  readonly #taken: Set<number>
  #explored = 0

  constructor(
    pinned: Pinned,
    matches: readonly ConceptState[],
    request: ExpandRequest,
    signal: AbortSignal | undefined
  ) {
    this.#pinned = pinned
    this.#request = request
    this.#pace = new ReadPace(signal, 'search')
    this.#taken = new Set(matches.map(({ ordinal }) => ordinal))
  }

  /** The strongest that are one step further, at most `room`; from now on they are taken. */
  async next(frontier: readonly Node[], room: number): Promise<Node[]> {
    if (room === 0) return []
    const steps = new Strongest(room)
    for (const from of frontier) {
      for (const seen of adjacency(this.#pinned, from.concept, this.#request.adjacency)) {
        this.#count()
        if (seen !== undefined) this.#offer(steps, from, seen)
        if (this.#pace.step()) await this.#pace.rest()
      }
    }
    const nodes: Node[] = []
    for (const step of steps.best) {
      this.#taken.add(step.end.ordinal)
      const concept = this.#pinned.concept(step.end.ordinal)
      // An association whose end is dead is not shown; one that is shown has a living end.
      if (concept === undefined) continue
      const { state, side } = step.seen
      const via = [...step.from.via, toAssociation(state, side, concept.key)]
      nodes.push({ concept, via, strength: step.strength, confidence: step.confidence })
      if (this.#pace.step()) await this.#pace.rest()
    }
    return nodes
  }

  #offer(steps: Strongest, from: Node, seen: Seen): void {
    const end = otherEnd(seen.state, seen.side)
    if (this.#taken.has(end.ordinal)) return
    const strength = from.strength * seen.state.strength
    const confidence = from.confidence * seen.state.confidence
    steps.offer({ from, seen, end, strength, confidence })
  }

  #count(): void {
    const max = this.#request.exploredMax
    this.#explored += 1
    if (this.#explored <= max) return
    const message = `Expanding the matches meets more than ${max} associations`
    throw new StoreError('PATH_TOO_LARGE', message, { explored: this.#explored, max })
  }
}

/** The strongest steps to different concepts: a hub of a million takes no more memory than a few. */
class Strongest {
  readonly #room: number
  readonly #byEnd = new Map<number, Step>()
  /** Strongest first. */
  readonly best: Step[] = []

  constructor(room: number) {
    this.#room = room
  }

  offer(step: Step): void {
    const known = this.#byEnd.get(step.end.ordinal)
    // Of equal ones the first stays, in the order of associations.
    if (known !== undefined) {
      if (compareSteps(step, known) >= 0) return
      this.best.splice(this.best.indexOf(known), 1)
    }
    const last = this.best[this.#room - 1]
    if (last !== undefined && compareSteps(step, last) >= 0) return
    let at = this.best.length
    for (; at > 0; at--) {
      const before = this.best[at - 1]
      if (before === undefined || compareSteps(before, step) <= 0) break
    }
    this.best.splice(at, 0, step)
    this.#byEnd.set(step.end.ordinal, step)
    const dropped = this.best.length > this.#room ? this.best.pop() : undefined
    if (dropped !== undefined) this.#byEnd.delete(dropped.end.ordinal)
  }
}

function compareSteps(a: Step, b: Step): number {
  if (a.strength !== b.strength) return b.strength - a.strength
  if (a.confidence !== b.confidence) return b.confidence - a.confidence
  if (a.end.id === b.end.id) return 0
  return a.end.id < b.end.id ? -1 : 1
}

function toRelated({ concept, via, strength }: Node, hops: number, withConcept: boolean): Related {
  const { id, key } = concept
  return {
    id,
    ...(key === undefined ? {} : { key }),
    hops,
    strength,
    via: [...via],
    ...(withConcept ? { concept: toConcept(concept) } : {})
  }
}
