/** What telemetry says of a read, beside how long it took and how much it found. */
import type { TelemetryFields } from '../telemetry/events.ts'
import type { Operation, PathStrategy } from '../telemetry/types.ts'
import type { PathRequest } from './graph.ts'
import type { Found } from './search.ts'
import type { SearchRequest } from './search-options.ts'

export type QueryDetails = Omit<TelemetryFields['query'], 'kind' | 'us' | 'results'>

/** Whatever is found has one: a concept, an association, a path. */
export interface Confident {
  confidence: number
}

export function neighborDetails(first: Confident | undefined): QueryDetails {
  return { depth: 1, ...confidenceOf(first) }
}

export function pathDetails({ maxDepth }: PathRequest, first: Confident | undefined): QueryDetails {
  return { depth: maxDepth, ...confidenceOf(first) }
}

export function searchDetails(
  { k, ef, expand }: SearchRequest,
  { strategy, fetched, hits }: Found,
  expansionSearch: number
): QueryDetails {
  const [first] = hits
  return {
    k,
    strategy,
    ...(fetched === undefined ? {} : { ef: Math.max(fetched, ef ?? expansionSearch) }),
    ...(expand === undefined ? {} : { depth: expand.hops }),
    ...(first === undefined ? {} : { similarity: first.similarity }),
    ...confidenceOf(first?.state)
  }
}

export function confidenceOf(first: Confident | undefined): QueryDetails {
  return first === undefined ? {} : { confidence: first.confidence }
}

/** @param isApart Whether source and target are two concepts. */
export function strategyOf({ order, limit }: PathRequest, isApart: boolean): PathStrategy {
  if (!isApart) return 'none'
  if (limit > 1) return 'k-shortest'
  return order === 'hops' ? 'breadth-first' : 'best-first'
}

/** For whoever reads of a slow one: what was asked, without what it was about. */
export function describeQuery(kind: Operation, results: number, details: QueryDetails): string {
  const asked = Object.entries(details).map(([name, value]) => `${name} ${value}`)
  return [`${kind}: ${results} found`, ...asked].join(', ')
}
