import { mkdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { syncDirectory } from '../../storage/files.ts'
import type { NewTelemetryEvent } from '../../telemetry/types.ts'
import type { VectorsStart } from './client-types.ts'
import { checkShared } from './early-checks.ts'
import { IndexDamage, readSealed } from './index-files.ts'
import { IndexSaver } from './index-saver.ts'
import { IndexState } from './index-state.ts'
import { ID_BYTES } from './layout.ts'
import {
  checkHistory,
  discardManifest,
  emptyManifest,
  type Manifest,
  readManifest,
  type SegmentSeal,
  sweep
} from './manifest.ts'
import { Pace } from './pace.ts'
import type { RunOptions, VectorPool } from './pool.ts'
import { nextNumber, type Segment } from './segment.ts'

/** What is asked while a store opens takes less time than a thread does to start. */
export const OPENING: RunOptions = { role: 'read', isPatient: true }

/** Ids of so many bytes are read here: a thread starts for longer, and has graphs to check then. */
const HERE_BYTES = 16 * 1024 * 1024

/** What an index is made of when it opens. */
export interface OpenedIndex {
  pool: VectorPool
  state: IndexState
  saver: IndexSaver
  /** Ends when every graph that was saved was compared with its checksums. */
  checked: Promise<void>
}

/** Opens what was saved, or starts over from nothing if any of it cannot be trusted. */
export async function openIndex(pool: VectorPool, options: VectorsStart): Promise<OpenedIndex> {
  const { declaration, anchors, readOnly, onTelemetry } = options
  const started = performance.now()
  const directory = join(options.directory, 'vectors')
  const storeId = options.storeId.toString('hex')
  const expected = emptyManifest(storeId, declaration)
  const newState = (): IndexState =>
    new IndexState({
      directory,
      shape: declaration,
      cacheBytes: options.cacheBytes,
      segmentRows: options.segmentRows,
      forget: (notice) => pool.forget(notice)
    })
  let state = newState()
  let manifest: Manifest | undefined
  try {
    manifest = options.isTrusted ? await readManifest(directory, expected) : undefined
    if (manifest !== undefined) {
      await checkHistory(manifest, options.anchors)
      await adoptSegments(pool, state, directory, manifest)
    }
  } catch (cause) {
    if (!(cause instanceof IndexDamage)) throw cause
    tellDamage(onTelemetry, cause)
    if (!readOnly) await discardManifest(directory)
    manifest = undefined
    state = newState()
  }
  if (!readOnly) await tidy(directory, manifest?.segments ?? [])
  const setup = { pool, directory, storeId, declaration, state, anchors, emit: onTelemetry }
  const saver = new IndexSaver(setup, manifest)
  const checked = checkGraphs(pool, state, saver, options)
  if (manifest !== undefined) {
    const ms = performance.now() - started
    onTelemetry({ type: 'index-loaded', time: Date.now(), vectors: state.rows, ms })
  }
  return { pool, state, saver, checked }
}

/**
 * Takes over the segments of a manifest. Their ids are read, and compared with their checksums; the
 * exact vectors are compared row by row, when they are read.
 *
 * @throws IndexDamage
 */
async function adoptSegments(
  pool: VectorPool,
  state: IndexState,
  directory: string,
  manifest: Manifest
): Promise<void> {
  const { segments, position, nextName } = manifest
  await checkSizes(directory, manifest)
  state.adopt(segments, position, nextName)
  await Promise.all(
    state.segments.map(async (segment) => {
      const seal = segment.saved as SegmentSeal
      const ask = { path: `${segment.path}.ids`, seal: seal.ids, ids: segment.ids.buffer }
      if (segments.length * seal.ids.bytes > HERE_BYTES) await pool.run('check', ask, OPENING)
      else await readSealed(ask.path, ask.seal, new Pace(), ask.ids)
    })
  )
}

/**
 * Compares what a manifest says of its segments with the files, before memory is taken for them.
 *
 * @throws IndexDamage
 */
export async function checkSizes(
  directory: string,
  { segments, dimensions }: Manifest
): Promise<void> {
  for (const { name, rows, vectors, ids, graph } of segments) {
    const isRight =
      rows > 0 &&
      ids.bytes === rows * ID_BYTES &&
      vectors.bytes === rows * 4 * dimensions &&
      (graph === undefined || isInside(graph, rows))
    if (!isRight) throw new IndexDamage(`segment ${name}: sizes of its files differ from its rows`)
    await checkLength(join(directory, `${name}.f32`), vectors.bytes)
    await checkLength(join(directory, `${name}.ids`), ids.bytes)
  }
}

function isInside(graph: { rows: number; vectors?: number }, rows: number): boolean {
  const { rows: made, vectors = made } = graph
  return vectors > 0 && vectors <= made && made <= rows
}

async function checkLength(path: string, bytes: number): Promise<void> {
  const found = await stat(path).catch((cause: unknown) => {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new IndexDamage(`${path} cannot be read: ${reason}`, { cause })
  })
  if (!found.isFile()) throw new IndexDamage(`${path} is no file`)
  if (found.size < bytes) throw new IndexDamage(`${path} is cut short`)
}

/** usearch does not survive a flipped bit: no byte of a graph is mapped before it was checked. */
async function checkGraphs(
  pool: VectorPool,
  state: IndexState,
  saver: IndexSaver,
  { directory, declaration: shape, early, onTelemetry }: VectorsStart
): Promise<void> {
  const check = async (segment: Segment): Promise<void> => {
    const graph = segment.saved?.graph
    if (graph === undefined) return
    const { name, rows, vectors = rows, scale = 0, file } = graph
    const path = join(directory, 'vectors', `${name}.usearch`)
    try {
      const graph = { graph: nextNumber(), path, name, rows, vectors, scale, seal: file }
      if ((await early?.has(path, file)) === true) {
        // The thread that checked it has nothing else to do until the store is open.
        await pool.run(
          'view',
          { shape, graph: { graph: graph.graph, path, rows, vectors, scale } },
          OPENING
        )
      } else await checkShared(pool, path, file)
      segment.setGraph(graph)
      segment.setBuilt(rows, vectors)
    } catch (error) {
      // All its rows are compared until the graph is there again.
      tellDamage(onTelemetry, error instanceof Error ? error : new Error(String(error)))
      saver.retire(`${name}.usearch`)
    }
  }
  await Promise.all(state.segments.map(check))
  state.changed()
}

function tellDamage(emit: (event: NewTelemetryEvent) => void, { message: reason }: Error): void {
  emit({ type: 'damage-found', time: Date.now(), part: 'vectors', reason })
}

async function tidy(directory: string, segments: readonly SegmentSeal[]): Promise<void> {
  const made = await mkdir(directory, { recursive: true })
  if (made !== undefined) await syncDirectory(dirname(directory))
  await sweep(directory, segments)
}
