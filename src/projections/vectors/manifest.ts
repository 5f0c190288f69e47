import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { VectorsDeclared } from '../../log/event.ts'
import { isMissing, namesIn, replaceFile } from '../../storage/files.ts'
import { type FileSeal, IndexDamage } from './index-files.ts'

/** One immutable piece of the index: three files of one name. */
export interface SegmentSeal {
  /** Digits. Never used twice, so that a mapped file is never overwritten. */
  name: string
  /** Vectors, and the first and the last of their revisions, which increase. */
  count: number
  first: number
  last: number
  /** `.usearch`: the graph. `.f32`: the exact vectors. `.ids`: pairs of ordinal and revision. */
  graph: FileSeal
  vectors: FileSeal
  ids: FileSeal
}

/**
 * What `vectors/` holds: every file that it does not name is a leftover. Two lines of text: JSON,
 * and the CRC-32 of that in hex.
 */
export interface Manifest {
  format: 1
  storeId: string
  space: string
  dimensions: number
  metric: string
  quantization: string
  connectivity: number
  /** Checkpoint: the segments hold every vector of the log up to here, and none beyond. */
  position: number
  /** The next segment gets this number as its name. */
  nextName: number
  segments: SegmentSeal[]
}

const FILE = 'MANIFEST'
const OURS = /^(MANIFEST\..*tmp|[0-9]+\.(usearch|f32|ids))$/
const NAME = /^[0-9]{1,15}$/

export function emptyManifest(storeId: string, declared: VectorsDeclared): Manifest {
  const { space, dimensions, metric, quantization, connectivity } = declared
  return {
    format: 1,
    storeId,
    space,
    dimensions,
    metric,
    quantization,
    connectivity,
    position: 0,
    nextName: 1,
    segments: []
  }
}

/**
 * The manifest of a directory, or `undefined` where an index was never saved.
 *
 * @param expected An index of another store, or made for other vectors, is refused.
 * @throws IndexDamage
 */
export async function readManifest(
  directory: string,
  expected: Manifest
): Promise<Manifest | undefined> {
  const text = await readIfPresent(join(directory, FILE))
  if (text === undefined) return undefined
  const [json = '', sum] = text.split('\n')
  if (sum !== checksum(json)) throw new IndexDamage(`${FILE}: checksum differs`)
  // The checksum proves that this program wrote it; the names below prove which version of it.
  const manifest = parse(json)
  const names = [
    'format',
    'storeId',
    'space',
    'dimensions',
    'metric',
    'quantization',
    'connectivity'
  ] as const
  for (const name of names) {
    if (manifest[name] !== expected[name]) {
      const found = JSON.stringify(manifest[name])
      throw new IndexDamage(`${FILE}: ${name} is ${found}, expected ${expected[name]}`)
    }
  }
  if (!manifest.segments.every(isSeal)) {
    throw new IndexDamage(`${FILE}: a malformed segment`)
  }
  return manifest
}

function parse(json: string): Manifest {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (cause) {
    throw new IndexDamage(`${FILE}: not JSON`, { cause })
  }
  const found = value as Partial<Manifest> | null
  const isWhole =
    typeof found === 'object' &&
    found !== null &&
    Array.isArray(found.segments) &&
    Number.isSafeInteger(found.position) &&
    Number.isSafeInteger(found.nextName)
  if (!isWhole) throw new IndexDamage(`${FILE}: malformed`)
  return found as Manifest
}

function isSeal(value: Partial<SegmentSeal> | null): boolean {
  if (typeof value !== 'object' || value === null || !NAME.test(String(value.name))) return false
  const { count, first, last, graph, vectors, ids } = value
  const isFile = (file: Partial<FileSeal> | undefined): boolean =>
    Number.isSafeInteger(file?.bytes) && Array.isArray(file?.blocks)
  return [count, first, last].every(Number.isSafeInteger) && [graph, vectors, ids].every(isFile)
}

/** After this, the index on disk is the one that the manifest describes: all of it or the old. */
export async function publishManifest(directory: string, manifest: Manifest): Promise<void> {
  const json = JSON.stringify(manifest)
  await replaceFile(join(directory, FILE), `${json}\n${checksum(json)}\n`)
}

/** Deletes what a crash or an older manifest left behind. */
export async function sweep(directory: string, segments: readonly SegmentSeal[]): Promise<void> {
  const named = new Set(segments.map((segment) => segment.name))
  for (const name of await namesIn(directory)) {
    if (!OURS.test(name) || named.has(name.slice(0, name.indexOf('.')))) continue
    // A system that does not delete mapped files keeps it; the sweep of the next open gets it.
    await rm(join(directory, name), { force: true }).catch(ignoreBusy)
  }
}

export async function discardManifest(directory: string): Promise<void> {
  await rm(join(directory, FILE), { force: true })
}

function ignoreBusy(cause: unknown): void {
  if (!hasCode(cause, 'EBUSY') && !hasCode(cause, 'EPERM')) throw cause
}

async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    if (isMissing(cause)) return undefined
    throw cause
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

function checksum(json: string): string {
  return crc32(json).toString(16).padStart(8, '0')
}
