import { commitsOfManyWriters, commitsOfOneWriter } from './commits.ts'
import type { Benchmark } from './harness.ts'
import { hub } from './hub.ts'
import { ingestConcepts, ingestGraph } from './ingest.ts'
import { durableHead, proofs } from './integrity.ts'
import { readLargeStore } from './reads.ts'
import { searchWords } from './vectors.ts'
import { besideIndexing } from './vectors-beside.ts'
import { memory } from './vectors-memory.ts'
import { searchWhere } from './vectors-where.ts'

/** Every benchmark, by the name that `npm run bench -- <name>` takes. */
export const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  'commits-1': commitsOfOneWriter,
  'commits-64': commitsOfManyWriters,
  'ingest-concepts': ingestConcepts,
  'ingest-graph': ingestGraph,
  reads: readLargeStore,
  hub,
  head: durableHead,
  proofs,
  vectors: searchWords,
  'vectors-where': searchWhere,
  'vectors-memory': memory,
  'vectors-384': besideIndexing
}
