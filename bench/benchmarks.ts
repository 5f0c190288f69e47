import { commitsOfFewWriters, commitsOfManyWriters, commitsOfOneWriter } from './commits.ts'
import { controllerInPractice, controllerInTheory } from './controller.ts'
import { diskUse } from './disk.ts'
import { singleBesideImport } from './fairness.ts'
import type { Benchmark } from './harness.ts'
import { hub } from './hub.ts'
import { importProfile } from './import-profile.ts'
import { ingestByDurability, ingestConcepts, ingestGraph } from './ingest.ts'
import { durableHead, proofs } from './integrity.ts'
import { importMemory } from './memory.ts'
import { coldNeighbours } from './neighbours.ts'
import { observersCost } from './observers.ts'
import { openAgain } from './open.ts'
import { readLargeStore } from './reads.ts'
import { telemetryCost } from './telemetry.ts'
import { telemetryStoreCost } from './telemetry-store.ts'
import { searchWords } from './vectors.ts'
import { besideIndexing } from './vectors-beside.ts'
import { memory } from './vectors-memory.ts'
import { denserGraph } from './vectors-recall.ts'
import { searchWhere } from './vectors-where.ts'
import { exportAll, rebuildTables, replay } from './whole.ts'
import { wordnetPaths } from './wordnet-paths.ts'
import { wordnetVectors } from './wordnet-vectors.ts'

/** Every benchmark, by the name that `npm run bench -- <name>` takes. */
export const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  'commits-1': commitsOfOneWriter,
  'commits-8': commitsOfFewWriters,
  'commits-64': commitsOfManyWriters,
  controller: controllerInTheory,
  'controller-store': controllerInPractice,
  fairness: singleBesideImport,
  'ingest-concepts': ingestConcepts,
  'ingest-graph': ingestGraph,
  'ingest-durability': ingestByDurability,
  'import-profile': importProfile,
  memory: importMemory,
  disk: diskUse,
  reads: readLargeStore,
  neighbours: coldNeighbours,
  paths: wordnetPaths,
  open: openAgain,
  replay,
  rebuild: rebuildTables,
  export: exportAll,
  hub,
  head: durableHead,
  proofs,
  telemetry: telemetryCost,
  'telemetry-store': telemetryStoreCost,
  observers: observersCost,
  wordnet: wordnetVectors,
  vectors: searchWords,
  'vectors-recall': denserGraph,
  'vectors-where': searchWhere,
  'vectors-memory': memory,
  'vectors-384': besideIndexing
}
