import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { type Anchor, type Anchors, anchorOf, OTHER_HISTORY } from '../../log/anchor.ts'
import type { VectorsDeclared } from '../../log/event.ts'
import { isDirectory, isMisplaced, isMissing, namesIn, replaceFile } from '../../storage/files.ts'
import { type FileSeal, IndexDamage } from './index-files.ts'

/**
 * One piece of the index. Rows are only ever added to its files, each of which has a name that is
 * never used twice; a graph that has grown is a new file.
 */
export interface SegmentSeal {
  /** Digits. `.f32`: the exact vectors. `.ids`: ordinal, revision and checksum of each. */
  name: string
  /** Vectors, and the first and the last of their revisions, which increase. */
  rows: number
  first: number
  last: number
  vectors: FileSeal
  ids: FileSeal
  /** `.usearch`: the graph of the first rows, and how many of them are in it, unless all are; its scale. */
  graph?: { name: string; rows: number; vectors?: number; scale?: number; file: FileSeal }
}

/**
 * What `vectors/` holds: every file that it does not name is a leftover. Two lines of text: JSON,
 * and the CRC-32 of that in hex.
 */
export interface Manifest {
  /** 3: graphs may have a scale, and leave out the dead. An older program makes the index anew. */
  format: 2 | 3
  storeId: string
  space: string
  dimensions: number
  metric: string
  quantization: string
  connectivity: number
  /** Checkpoint: the segments hold every vector of the log up to here, and none beyond. */
  position: number
  /** Of which history: an older program names none, or leaves that of an older position. */
  anchor?: Anchor | undefined
  /** The next file gets this number as its name. */
  nextName: number
  segments: SegmentSeal[]
}

export const MANIFEST_FILE = 'MANIFEST'
/** What was measured on the graphs of the index that is there. */
export const RECALL_FILE = 'RECALL'
const OURS = /^(MANIFEST\..*tmp|[0-9]+\.(usearch|f32|ids))$/
const NAME = /^[0-9]{1,15}$/
/** What is written; older ones are read. */
export const MANIFEST_FORMAT: 3 = 3
const FORMATS: readonly number[] = [2, MANIFEST_FORMAT]

export function emptyManifest(storeId: string, declared: VectorsDeclared): Manifest {
  const { space, dimensions, metric, quantization, connectivity } = declared
  return {
    format: MANIFEST_FORMAT,
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
  const text = await readIfPresent(join(directory, MANIFEST_FILE))
  if (text === undefined) return undefined
  const [json = '', sum] = text.split('\n')
  if (sum !== checksum(json)) throw new IndexDamage(`${MANIFEST_FILE}: checksum differs`)
  // The checksum proves that this program wrote it; the names below prove which version of it.
  const manifest = parse(json)
  if (!FORMATS.includes(manifest.format)) {
    const found = JSON.stringify(manifest.format)
    throw new IndexDamage(`${MANIFEST_FILE}: format is ${found}, expected ${FORMATS.join(' or ')}`)
  }
  const names = [
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
      throw new IndexDamage(`${MANIFEST_FILE}: ${name} is ${found}, expected ${expected[name]}`)
    }
  }
  if (!manifest.segments.every(isSeal)) {
    throw new IndexDamage(`${MANIFEST_FILE}: a malformed segment`)
  }
  return manifest
}

/** @throws IndexDamage for an index that was made of other facts than those of the log. */
export async function checkHistory(
  { position, anchor }: Manifest,
  anchors: Pick<Anchors, 'hold'>
): Promise<void> {
  if (await anchors.hold(anchorOf(position, anchor))) return
  throw new IndexDamage(`${MANIFEST_FILE}: ${OTHER_HISTORY}`)
}

/** The checkpoint of the index in a directory; 0 if it is another store's, or cannot be read. */
export async function promisedByManifest(directory: string, storeId: Buffer): Promise<number> {
  try {
    const text = (await readIfPresent(join(directory, MANIFEST_FILE))) ?? ''
    const [json = '', sum] = text.split('\n')
    if (sum !== checksum(json)) return 0
    const manifest = parse(json)
    return manifest.storeId === storeId.toString('hex') ? manifest.position : 0
  } catch (error) {
    if (!(error instanceof IndexDamage)) throw error
    return 0
  }
}

/** Graphs that the manifest of a directory names; none where it cannot be read: others tell of that. */
export async function sealedGraphs(directory: string): Promise<{ path: string; seal: FileSeal }[]> {
  let manifest: Manifest | undefined
  try {
    const text = (await readIfPresent(join(directory, MANIFEST_FILE))) ?? ''
    const [json = '', sum] = text.split('\n')
    if (sum !== checksum(json)) return []
    manifest = parse(json)
  } catch {
    return []
  }
  return manifest.segments
    .filter(isSeal)
    .flatMap(({ graph }) =>
      graph === undefined
        ? []
        : [{ path: join(directory, `${graph.name}.usearch`), seal: graph.file }]
    )
}

function parse(json: string): Manifest {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (cause) {
    throw new IndexDamage(`${MANIFEST_FILE}: not JSON`, { cause })
  }
  const found = value as Partial<Manifest> | null
  const isWhole =
    typeof found === 'object' &&
    found !== null &&
    Array.isArray(found.segments) &&
    Number.isSafeInteger(found.position) &&
    Number.isSafeInteger(found.nextName)
  if (!isWhole) throw new IndexDamage(`${MANIFEST_FILE}: malformed`)
  return found as Manifest
}

function isSeal(value: Partial<SegmentSeal> | null): boolean {
  if (typeof value !== 'object' || value === null || !NAME.test(String(value.name))) return false
  const { rows, first, last, graph, vectors, ids } = value
  const isFile = (file: Partial<FileSeal> | undefined): boolean =>
    Number.isSafeInteger(file?.bytes) && Array.isArray(file?.blocks)
  if (![rows, first, last].every(Number.isSafeInteger)) return false
  if (![vectors, ids].every(isFile)) return false
  if (graph === undefined) return true
  const counts = [graph.rows, graph.vectors ?? graph.rows, graph.scale ?? 0]
  return NAME.test(String(graph.name)) && counts.every(Number.isSafeInteger) && isFile(graph.file)
}

/** After this, the index on disk is the one that the manifest describes: all of it or the old. */
export async function publishManifest(directory: string, manifest: Manifest): Promise<void> {
  const json = JSON.stringify(manifest)
  await replaceFile(join(directory, MANIFEST_FILE), `${json}\n${checksum(json)}\n`)
}

/** Deletes what a crash or an older manifest left behind: before anything new is written there. */
export async function sweep(directory: string, segments: readonly SegmentSeal[]): Promise<void> {
  const named = new Set(segments.flatMap(filesOf).map(({ name }) => name))
  const stray = (await namesIn(directory)).filter((name) => OURS.test(name) && !named.has(name))
  await removeFiles(directory, stray)
}

/** Deletes files that no manifest names any more. */
export async function removeFiles(directory: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    // A system that does not delete mapped files keeps it; the sweep of the next open gets it.
    await rm(join(directory, name), { recursive: true, force: true }).catch(ignoreBusy)
  }
}

/** The files of a segment, each with what it must be. */
export function filesOf(segment: SegmentSeal): { name: string; seal: FileSeal }[] {
  const { name, vectors, ids, graph } = segment
  const files = [
    { name: `${name}.f32`, seal: vectors },
    { name: `${name}.ids`, seal: ids }
  ]
  if (graph !== undefined) files.push({ name: `${graph.name}.usearch`, seal: graph.file })
  return files
}

/** The next open finds no index and makes one from the log. */
export async function discardManifest(directory: string): Promise<void> {
  // What is in the place of the directory holds nothing that was derived.
  if ((await isDirectory(directory)) === false) await rm(directory)
  // First what says something of it, which nobody would remove once it is gone.
  for (const name of [RECALL_FILE, MANIFEST_FILE]) {
    await rm(join(directory, name), { recursive: true, force: true })
  }
}

function ignoreBusy(cause: unknown): void {
  if (!hasCode(cause, 'EBUSY') && !hasCode(cause, 'EPERM')) throw cause
}

/** @throws IndexDamage */
async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    if (isMissing(cause)) return undefined
    if (isMisplaced(cause)) throw new IndexDamage(`${path} is out of place`, { cause })
    throw cause
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

function checksum(json: string): string {
  return crc32(json).toString(16).padStart(8, '0')
}
