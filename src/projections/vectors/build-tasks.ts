/** What the building worker does: graphs, files, and rows of merged segments. */
import { open } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { isMissing, syncDirectory } from '../../storage/files.ts'
import {
  checkBlocks,
  checkSealed,
  type FileSeal,
  readSeal,
  readSealed,
  syncFile
} from './index-files.ts'
import { ID_BYTES, RowIds, Slab, slabRows } from './layout.ts'
import { CancelFlag, Pace } from './pace.ts'
import type { PartRows } from './part-rows.ts'
import type {
  BuildTask,
  Built,
  FlushTask,
  GraphDescription,
  MergeTask,
  SavedGraph,
  SaveGraphTask,
  Sealed,
  SealTask,
  Tasks
} from './protocol.ts'
import { type OpenSets, readGraph } from './read-tasks.ts'
import type { GraphFactory, VectorGraph } from './vector-index.ts'

// Rows are added in pieces of about this long, so that a cancelled build ends soon.
const PIECE_MS = 50
const PIECE_ROWS_MIN = 16
const PIECE_ROWS_MAX = 2_048

const NOT_SAVED: SavedGraph = { rows: 0, vectors: 0, scale: 0, ms: 0 }

/** Vectors that tell how long they are. */
const SAMPLE_ROWS = 256
/** A graph of more rows keeps its scale. */
const RESCALED_MAX = 16_384
/** Powers of two by which the median may be off: f16 has room for more on both sides. */
const SCALE_SLACK = 3

/** A graph that grows in the memory of this worker. */
interface Growing {
  graph: VectorGraph
  /** The first rows were looked at; how many of them are in it. */
  rows: number
  vectors: number
  scale: number
  /** Rows that its scale was chosen by. */
  sampled: number
}

export class Builder {
  readonly #sets: OpenSets
  readonly #growing = new Map<number, Growing>()
  #pieceRows = 128

  constructor(sets: OpenSets) {
    this.#sets = sets
  }

  /** Segments that will not grow any more, or whose store is closed. */
  forget(segments: readonly number[]): void {
    for (const segment of segments) this.#growing.delete(segment)
  }

  /**
   * Brings the first rows of a part into its graph. If this worker died meanwhile, the new one goes
   * on from the graph that was saved last.
   *
   * @throws IndexDamage
   */
  async build(task: BuildTask, factory: GraphFactory): Promise<Built> {
    const part = this.#sets.get(task.set).parts[task.part]
    if (part === undefined) throw new RangeError(`there is no part ${task.part}`)
    const { description, rows } = part
    let growing = this.#growing.get(description.segment) ?? load(description.graph, factory)
    this.#growing.set(description.segment, growing)
    const cancel = new CancelFlag(task.cancel)
    const pace = new Pace()
    while (growing.rows < task.rows && !cancel.raised) {
      growing = wellScaled(growing, task.rows, rows, factory)
      this.#growing.set(description.segment, growing)
      const started = performance.now()
      const to = Math.min(task.rows, growing.rows + this.#pieceRows)
      const { revisions, vectors } = liveRows(rows, growing.rows, to)
      if (revisions.length > 0) growing.graph.add(revisions, vectors)
      growing.rows = to
      growing.vectors += revisions.length
      if (revisions.length > 0) this.#adaptPiece(revisions.length, performance.now() - started)
      await pace.breathe()
    }
    return { rows: growing.rows, vectors: growing.vectors }
  }

  /** Writes the graph as it is into a new file: see `sealGraph`. */
  saveGraph({ segment, path }: SaveGraphTask): SavedGraph {
    const growing = this.#growing.get(segment)
    // It went with its worker, or was let go of because another save has just written it.
    if (growing === undefined) return NOT_SAVED
    const { graph, rows, vectors, scale } = growing
    const started = performance.now()
    graph.save(path)
    return { rows, vectors, scale, ms: performance.now() - started }
  }

  /** The time per row grows with the graph and with what else the machine does. */
  #adaptPiece(rows: number, ms: number): void {
    const fitting = (rows * PIECE_MS) / Math.max(ms, 0.1)
    const next = Math.min(fitting, 2 * this.#pieceRows)
    this.#pieceRows = Math.round(Math.max(PIECE_ROWS_MIN, Math.min(PIECE_ROWS_MAX, next)))
  }
}

/** Makes a graph that was written durable, and reads it back. Another thread than the builder's can. */
export async function sealGraph(
  { graph }: Tasks['seal-graph']['ask'],
  factory: GraphFactory
): Promise<FileSeal> {
  await syncFile(graph.path)
  // usearch ignores a failed close: only reading back tells whether the graph is all there.
  const seal = await readSeal(graph.path, new Pace())
  factory.view(graph)
  return seal
}

function load(saved: GraphDescription | undefined, factory: GraphFactory): Growing {
  if (saved === undefined) return empty(factory, 0, 0)
  const { rows, vectors, scale } = saved
  return { graph: readGraph(() => factory.load(saved)), rows, vectors, scale, sampled: rows }
}

function empty(factory: GraphFactory, scale: number, sampled: number): Growing {
  return { graph: factory.create(scale), rows: 0, vectors: 0, scale, sampled }
}

/**
 * The graph, or an empty one in its place if what came since the last look is of quite another size.
 * Looked at each time the rows have doubled, while they are few: that costs less than they did.
 */
function wellScaled(
  growing: Growing,
  upTo: number,
  rows: PartRows,
  factory: GraphFactory
): Growing {
  if (growing.rows < 2 * growing.sampled || growing.rows > RESCALED_MAX) return growing
  const scale = factory.scaleOf(sampleOf(rows, upTo))
  const isNear = growing.rows > 0 && Math.abs(scale - growing.scale) <= SCALE_SLACK
  return isNear ? { ...growing, sampled: upTo } : empty(factory, scale, upTo)
}

/** Some vectors, at equal distances, dead ones too: they are as long as the others. */
function sampleOf(rows: PartRows, upTo: number): Float32Array {
  const { dimensions } = rows
  const step = Math.max(1, Math.floor(upTo / SAMPLE_ROWS))
  const sample = new Float32Array(Math.ceil(upTo / step) * dimensions)
  const cursor = rows.cursor()
  for (let row = 0, to = 0; row < upTo; row += step, to += dimensions) {
    cursor.seek(row)
    sample.set(cursor.vectors.subarray(cursor.offset, cursor.offset + dimensions), to)
  }
  return sample
}

/** What of a range of rows goes into a graph: no state to come needs those that are dead. */
function liveRows(
  rows: PartRows,
  from: number,
  to: number
): { revisions: Uint32Array; vectors: Float32Array } {
  const { dimensions, deaths, ids } = rows
  const revisions = new Uint32Array(to - from)
  const vectors = new Float32Array((to - from) * dimensions)
  const cursor = rows.cursor(to)
  let count = 0
  for (let row = from; row < to; row++) {
    if (deaths.isDead(row)) continue
    cursor.seek(row)
    const { offset } = cursor
    vectors.set(cursor.vectors.subarray(offset, offset + dimensions), count * dimensions)
    revisions[count] = ids.revisionAt(row)
    count += 1
  }
  return {
    revisions: revisions.subarray(0, count),
    vectors: vectors.subarray(0, count * dimensions)
  }
}

/** Writes rows from memory into the files of their segment, each with its checksum. Not synced. */
export async function flush({ path, ids: buffer, dimensions, slabs }: FlushTask): Promise<void> {
  const ids = new RowIds(buffer)
  const size = 4 * dimensions
  const vectors = await openForWriting(`${path}.f32`)
  const idFile = await openForWriting(`${path}.ids`)
  try {
    for (const { slab: memory, from, to } of slabs) {
      const slot = from % slabRows(dimensions)
      const bytes = new Slab(memory, dimensions).bytesOf(slot, to - from)
      for (let row = from; row < to; row++) {
        const at = (row - from) * size
        ids.setChecksum(row, crc32(bytes.subarray(at, at + size)))
      }
      await writeFully(vectors, bytes, from * size)
      await writeFully(idFile, ids.bytesOf(from, to), from * ID_BYTES)
    }
  } finally {
    await vectors.close()
    await idFile.close()
  }
}

/** Makes the first rows of a segment's files durable and tells what they are. */
export async function seal(task: SealTask): Promise<Sealed> {
  const { path, rows, dimensions, vectors: known, directory } = task
  await syncFile(`${path}.f32`)
  await syncFile(`${path}.ids`)
  const pace = new Pace()
  const vectors = { bytes: rows * 4 * dimensions, known }
  const sealed = {
    vectors: await readSeal(`${path}.f32`, pace, vectors),
    ids: await readSeal(`${path}.ids`, pace, { bytes: rows * ID_BYTES })
  }
  if (sealed.vectors.bytes !== vectors.bytes || sealed.ids.bytes !== rows * ID_BYTES) {
    throw new Error(`${path}: the files hold less than what was written`)
  }
  // The names of the files must be there before a manifest names them.
  await syncDirectory(directory)
  return sealed
}

/** @throws IndexDamage */
export async function check({ path, seal, ids, blocks }: Tasks['check']['ask']): Promise<void> {
  if (blocks !== undefined) {
    checkBlocks(path, seal, blocks)
    return
  }
  if (ids === undefined) {
    await checkSealed(path, seal, new Pace())
    return
  }
  await readSealed(path, seal, new Pace(), ids)
}

/** Copies the rows to keep of one part behind those that a new segment has already. */
export async function merge(sets: OpenSets, task: MergeTask): Promise<{ row: number }> {
  const { shape, parts } = sets.get(task.set)
  const part = parts[task.part]
  if (part === undefined) throw new RangeError(`there is no part ${task.part}`)
  const { rows } = part
  const size = 4 * shape.dimensions
  const ids = new RowIds(task.to.ids)
  const cancel = new CancelFlag(task.cancel)
  const pace = new Pace()
  const vectors = await openForWriting(`${task.to.path}.f32`)
  const idFile = await openForWriting(`${task.to.path}.ids`)
  let next = task.to.row
  try {
    const cursor = rows.cursor(task.rows)
    const windowRows = Math.max(1, Math.floor((1024 * 1024) / size))
    const window = new Float32Array(windowRows * shape.dimensions)
    const bytes = new Uint8Array(window.buffer)
    let filled = 0
    const write = async (): Promise<void> => {
      const from = next - filled
      await writeFully(vectors, bytes.subarray(0, filled * size), from * size)
      await writeFully(idFile, ids.bytesOf(from, next), from * ID_BYTES)
      filled = 0
    }
    for (let row = 0; row < task.rows && !cancel.raised; row++) {
      if (((task.keep[row >> 3] ?? 0) & (1 << (row & 7))) === 0) continue
      cursor.seek(row)
      const { offset } = cursor
      const at = filled * shape.dimensions
      window.set(cursor.vectors.subarray(offset, offset + shape.dimensions), at)
      ids.set(next, rows.ids.ordinalAt(row), rows.ids.revisionAt(row))
      ids.setChecksum(next, crc32(bytes.subarray(filled * size, (filled + 1) * size)))
      next += 1
      filled += 1
      if (filled === windowRows) await write()
      if (pace.due) await pace.breathe()
    }
    await write()
  } finally {
    await vectors.close()
    await idFile.close()
  }
  return { row: next }
}

type FileHandle = Awaited<ReturnType<typeof open>>

/** Never cut: what was written before stays, and rows are written where they belong. */
async function openForWriting(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r+')
  } catch (error) {
    if (!isMissing(error)) throw error
    return open(path, 'wx+')
  }
}

async function writeFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, position + at)
    at += bytesWritten
  }
}
