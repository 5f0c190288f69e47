import {
  type FoundPath,
  findPaths,
  type PathEdge,
  type PathGraph,
  type PathQuery
} from '#sutra/query/paths.js'

/**
 * All edges in a list; the order of each concept's edges is that of the list. `noise` puts
 * self-loops between them, which no path uses, but which make a search pause at odd places.
 */
export class ListGraph implements PathGraph<PathEdge> {
  readonly #edges: readonly PathEdge[]
  readonly #noise: number

  constructor(edges: readonly PathEdge[], noise = 0) {
    this.#edges = edges
    this.#noise = noise
  }

  *edges(ordinal: number, direction: 'out' | 'in'): Iterable<PathEdge> {
    for (const edge of this.#edges) {
      for (let i = 0; i < this.#noise; i++) yield edgeOf(ordinal, ordinal, 'noise', `${i}`, 1)
      // A new object each time, as a graph that reads from a disk makes them.
      if (direction === 'out' && edge.source === ordinal) yield { ...edge, other: edge.target }
      if (direction === 'in' && edge.target === ordinal) yield { ...edge, other: edge.source }
    }
  }
}

/** One edge per line: source, type, target, confidence and perhaps a key. */
export function graphOf(lines: readonly string[]): PathGraph<PathEdge> {
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
): PathEdge {
  return { source, target, other: target, name, key, strength: 1, confidence }
}

export async function find(
  graph: PathGraph<PathEdge>,
  query: Partial<PathQuery<PathEdge>>
): ReturnType<typeof findPaths<PathEdge>> {
  return findPaths(graph, {
    source: 0,
    target: 1,
    direction: 'out',
    maxDepth: 6,
    order: 'hops',
    accept: () => true,
    maxExplored: 1_000_000,
    limit: 1,
    ...query
  })
}

export function show(path: FoundPath<PathEdge>): string {
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
