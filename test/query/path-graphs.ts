import { type Link, Links } from '#sutra/projections/tables/links.js'
import { type FoundPath, findPaths, type PathGraph, type PathQuery } from '#sutra/query/paths.js'

/** A graph that is read edge by edge, in pieces as large as chance would have them. */
export abstract class LazyGraph implements PathGraph {
  abstract edges(ordinal: number, direction: 'out' | 'in'): Iterable<Link>

  few(_ordinal: number, _direction: 'out' | 'in'): Links | undefined {
    return undefined
  }

  *pieces(ordinal: number, direction: 'out' | 'in'): Iterable<Links> {
    let piece: Link[] = []
    for (const edge of this.edges(ordinal, direction)) {
      piece.push(edge)
      if (piece.length <= ordinal % 70) continue
      yield new Links(ordinal, direction, piece)
      piece = []
    }
    yield new Links(ordinal, direction, piece)
  }
}

/**
 * All edges in a list; the order of each concept's edges is that of the list. `noise` puts
 * self-loops between them, which no path uses, but which make a search pause at odd places.
 * Concepts of the ordinals in `whole` tell all their edges at once.
 */
export class ListGraph extends LazyGraph {
  readonly #edges: readonly Link[]
  readonly #noise: number
  readonly #whole: (ordinal: number) => boolean

  constructor(
    edges: readonly Link[],
    noise = 0,
    whole: (ordinal: number) => boolean = (ordinal) => ordinal % 2 === 0
  ) {
    super()
    this.#edges = edges
    this.#noise = noise
    this.#whole = whole
  }

  override few(ordinal: number, direction: 'out' | 'in'): Links | undefined {
    if (!this.#whole(ordinal)) return undefined
    return new Links(ordinal, direction, [...this.edges(ordinal, direction)])
  }

  override *edges(ordinal: number, direction: 'out' | 'in'): Iterable<Link> {
    for (const edge of this.#edges) {
      for (let i = 0; i < this.#noise; i++) yield edgeOf(ordinal, ordinal, 'noise', `${i}`, 1)
      if (direction === 'out' && edge.source === ordinal) yield { ...edge, other: edge.target }
      if (direction === 'in' && edge.target === ordinal) yield { ...edge, other: edge.source }
    }
  }
}

/** One edge per line: source, type, target, confidence and perhaps a key. */
export function graphOf(lines: readonly string[]): PathGraph {
  return new ListGraph(
    lines.map((line) => {
      const [source, name = '', target, confidence, key] = line.split(' ')
      return edgeOf(Number(source), Number(target), name, key, Number(confidence))
    })
  )
}

export function edgeOf(
  source: number,
  target: number,
  name: string,
  key: string | undefined,
  confidence: number
): Link {
  return { source, target, other: target, name, key, strength: 1, confidence }
}

export async function find(
  graph: PathGraph,
  query: Partial<PathQuery>
): ReturnType<typeof findPaths> {
  return findPaths(graph, {
    source: 0,
    target: 1,
    direction: 'out',
    maxDepth: 6,
    order: 'hops',
    accept: undefined,
    maxExplored: 1_000_000,
    limit: 1,
    ...query
  })
}

export function show(path: FoundPath): string {
  const steps = path.edges.map((edge, i) => {
    const key = edge.key === undefined ? '' : `.${edge.key}`
    const against = edge.source === path.ordinals[i] ? '' : '<'
    return ` ${against}-${edge.name}${key}- ${path.ordinals[i + 1]}`
  })
  return `${path.ordinals[0]}${steps.join('')}`
}

export function orders(): ('hops' | 'confidence')[] {
  return ['hops', 'confidence']
}
