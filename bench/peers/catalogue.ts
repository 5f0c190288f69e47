/** Who is compared, and what a reader of the table has to know about each. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Peer {
  name: string
  title: string
  /** Packages that its driver imports. Without them it is skipped. */
  packages: readonly string[]
  /** Address of the module that speaks to it. */
  driver: string
  /** What "loaded" means on disk. */
  durability: string
  /** How it is used, and why it cannot do what it is not asked. */
  note: string
}

/** @returns The version of each package, or why the peer cannot take part. */
export function installedVersions(
  peer: Peer
): { versions: Record<string, string> } | { missing: string } {
  const versions: Record<string, string> = {}
  for (const name of peer.packages) {
    const manifest = manifestOf(name, dirname(fileURLToPath(peer.driver)))
    if (manifest === undefined) {
      return { missing: `${name} is not installed: npm ci --prefix bench/peers` }
    }
    // What npm writes always has one.
    const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }
    versions[name] = version
  }
  return { versions }
}

/** Packages close their inner files off, so it is looked for as Node looks for the package. */
function manifestOf(name: string, from: string): string | undefined {
  const path = join(from, 'node_modules', name, 'package.json')
  if (existsSync(path)) return path
  const above = dirname(from)
  return above === from ? undefined : manifestOf(name, above)
}

function driverOf(name: string): string {
  return new URL(`drivers/${name}.mjs`, import.meta.url).href
}

export const OURS: Peer = {
  name: 'ours',
  title: 'sutra-storage',
  packages: ['classic-level', 'usearch'],
  driver: driverOf('ours'),
  durability: "'os' while loading, synced by close()",
  note:
    'store.import of records in memory; graph f16, connectivity 16, expansionAdd 128; ' +
    'hits ranked by exact vectors'
}

export const CATALOGUE: readonly Peer[] = [
  OURS,
  {
    name: 'usearch',
    title: 'usearch alone',
    packages: ['usearch'],
    driver: driverOf('usearch'),
    durability: 'one file, saved at the end',
    note:
      'the vectors and nothing else; f16, connectivity 16, expansionAdd 128, 2 threads; ' +
      'mapped to serve'
  },
  {
    name: 'lmdb',
    title: 'lmdb + usearch',
    packages: ['lmdb', 'usearch'],
    driver: driverOf('lmdb'),
    durability: 'waits for `flushed` at the end',
    note:
      'packed adjacency and a bidirectional search by hand; ' +
      'vectors in an f16 index alone, as above'
  },
  {
    name: 'classic-level',
    title: 'classic-level + usearch',
    packages: ['classic-level', 'msgpackr', 'usearch'],
    driver: driverOf('classic-level'),
    durability: 'the last batch with `sync: true`',
    note:
      'the rows of lmdb in LevelDB, getSync, a bidirectional search by hand; ' + 'vectors as above'
  },
  {
    name: 'sqlite',
    title: 'better-sqlite3 + sqlite-vec',
    packages: ['better-sqlite3', 'sqlite-vec'],
    driver: driverOf('sqlite'),
    durability: 'WAL, synchronous = NORMAL; close() syncs',
    note:
      'prepared statements, a bidirectional search by hand over them; ' +
      'vectors compared one by one'
  },
  {
    name: 'grafeo',
    title: 'Grafeo',
    packages: ['@grafeo-db/js'],
    driver: driverOf('grafeo'),
    durability: 'its default (WAL synced every 100 ms); close() writes a checkpoint',
    note: 'batch calls, GQL with ANY SHORTEST, a property index; graph f32, m 16, efConstruction 128'
  },
  {
    name: 'kuzu',
    title: 'Kuzu',
    packages: ['kuzu'],
    driver: driverOf('kuzu'),
    durability: 'COPY commits to its WAL; close() writes a checkpoint',
    note:
      'COPY from CSV (writing the files counts), prepared statements, SHORTEST; ' +
      'graph mu 16, ml 32, efc 128'
  },
  {
    name: 'surrealdb',
    title: 'SurrealDB',
    packages: ['@surrealdb/node', 'surrealdb'],
    driver: driverOf('surrealdb'),
    durability: 'surrealkv with its default',
    note:
      'records and relations in batches of 1 000, recursive +shortest; HNSW F32, M 16, EFC 128, ' +
      'but the embedded engine of this version queues vectors and compares with each of them: ' +
      'nothing builds the graph'
  },
  {
    name: 'lancedb',
    title: 'LanceDB',
    packages: ['@lancedb/lancedb'],
    driver: driverOf('lancedb'),
    durability: 'each table and index is written when its call resolves',
    note: 'no associations; hnswSq of one partition, m 16, efConstruction 128, refineFactor 4'
  },
  {
    name: 'zvec',
    title: 'zvec',
    packages: ['@zvec/zvec'],
    driver: driverOf('zvec'),
    durability: 'closeSync() flushes',
    note: 'no associations; HNSW f32, m 16, efConstruction 128, optimizeSync behind the load'
  }
]
