import { closeSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { assert } from '../../assert.ts'
import { syncDirectory } from '../../storage/files.ts'
import { type FlatRows, findRevision } from './flat-rows.ts'
import type { Growing } from './growing.ts'
import { checkSealed, IndexDamage, readSeal, syncFile, writeSealed } from './index-files.ts'
import type { SegmentSeal } from './manifest.ts'
import type { Pace } from './pace.ts'
import type { GraphSource, RowCursor } from './scan.ts'
import type { GraphFactory, VectorGraph } from './vector-index.ts'

const SCAN_BYTES = 128 * 1024
const ID_BYTES = 8

export type SegmentFile = 'usearch' | 'f32' | 'ids'

export function segmentPath(directory: string, name: string, file: SegmentFile): string {
  return join(directory, `${name}.${file}`)
}

/**
 * An immutable segment: its graph is mapped, its ids are in memory (8 bytes a vector), its exact
 * vectors stay on disk and are read where a query needs them.
 */
export class Segment implements GraphSource {
  readonly seal: SegmentSeal
  readonly graph: VectorGraph
  readonly #ids: Uint32Array
  readonly #vectors: number
  readonly #dimensions: number
  readonly #single: FileCursor

  private constructor(seal: SegmentSeal, graph: VectorGraph, ids: Uint32Array, vectors: number) {
    this.seal = seal
    this.graph = graph
    this.#ids = ids
    this.#vectors = vectors
    this.#dimensions = seal.vectors.bytes / seal.count / 4
    this.#single = this.#cursorOver(1)
  }

  /** @param seal Its files were checked. */
  static open(
    directory: string,
    seal: SegmentSeal,
    parts: { graph: VectorGraph; ids: Uint32Array }
  ): Segment {
    const vectors = openSync(segmentPath(directory, seal.name, 'f32'), 'r')
    return new Segment(seal, parts.graph, parts.ids, vectors)
  }

  get from(): number {
    return 0
  }

  get to(): number {
    return this.seal.count
  }

  ordinalAt(row: number): number {
    return this.#ids[2 * row] ?? 0
  }

  rowOf(revision: number): number {
    if (revision < this.seal.first || revision > this.seal.last) return -1
    return findRevision(0, this.seal.count, revision, (row) => this.#ids[2 * row + 1] ?? 0)
  }

  /** Reads one row at a time: for the hits of a graph. Shared, so use it without awaiting. */
  single(): RowCursor {
    return this.#single
  }

  /** @param near Whether most rows in between are wanted too; it then reads ahead. */
  cursor(near: boolean): RowCursor {
    const ahead = Math.max(1, Math.floor(SCAN_BYTES / (4 * this.#dimensions)))
    return this.#cursorOver(near ? Math.min(ahead, this.seal.count) : 1)
  }

  close(): void {
    closeSync(this.#vectors)
  }

  #cursorOver(rows: number): FileCursor {
    return new FileCursor(this.#vectors, this.#ids, this.#dimensions, rows)
  }
}

/** Keeps a window of rows in memory and moves it forward by reading. */
class FileCursor implements RowCursor {
  readonly vectors: Float32Array
  readonly inverseNorm: number = Number.NaN
  readonly #file: number
  readonly #ids: Uint32Array
  readonly #dimensions: number
  readonly #windowRows: number
  #windowStart = 0
  #windowEnd = 0
  #row = 0

  constructor(file: number, ids: Uint32Array, dimensions: number, windowRows: number) {
    this.#file = file
    this.#ids = ids
    this.#dimensions = dimensions
    this.#windowRows = windowRows
    this.vectors = new Float32Array(windowRows * dimensions)
  }

  seek(row: number): void {
    this.#row = row
    if (row >= this.#windowStart && row < this.#windowEnd) return
    const rows = Math.min(this.#windowRows, this.#ids.length / 2 - row)
    const rowBytes = 4 * this.#dimensions
    const bytes = new Uint8Array(this.vectors.buffer, 0, rows * rowBytes)
    this.#windowEnd = 0
    const read = readSync(this.#file, bytes, 0, bytes.length, row * rowBytes)
    assert(read === bytes.length, 'a checked file of vectors is read in full')
    this.#windowStart = row
    this.#windowEnd = row + rows
  }

  get offset(): number {
    return (this.#row - this.#windowStart) * this.#dimensions
  }

  get ordinal(): number {
    return this.#ids[2 * this.#row] ?? 0
  }

  get revision(): number {
    return this.#ids[2 * this.#row + 1] ?? 0
  }
}

/** Writes rows and their graph as a new segment, synced, and checks what was written. */
export async function writeSegment(
  directory: string,
  name: string,
  from: { growing: Growing; factory: GraphFactory },
  pace: Pace
): Promise<SegmentSeal> {
  const { growing, factory } = from
  const { rows, graph, graphed, graphCount: count } = growing
  const path = (file: SegmentFile): string => segmentPath(directory, name, file)
  // usearch ignores a failed close: only reading back tells whether the graph is all there.
  graph.save(path('usearch'))
  await syncFile(path('usearch'))
  const seal: SegmentSeal = {
    name,
    count,
    first: rows.revisionAt(rows.from),
    last: rows.revisionAt(graphed - 1),
    graph: await readSeal(path('usearch'), pace),
    vectors: await writeSealed(path('f32'), vectorBytes(growing), pace),
    ids: await writeSealed(path('ids'), [new Uint8Array(growing.ids().buffer)], pace)
  }
  await checkSealed(path('f32'), seal.vectors, pace)
  await checkSealed(path('ids'), seal.ids, pace)
  factory.view(path('usearch'), count)
  // The names of the files must be there before a manifest names them.
  await syncDirectory(directory)
  return seal
}

/**
 * Checks every block of a segment's files before a byte of them is used: usearch does not
 * survive a flipped bit.
 *
 * @returns The ids: ordinal, revision, ordinal, …
 * @throws IndexDamage
 */
export async function checkSegment(
  directory: string,
  seal: SegmentSeal,
  dimensions: number,
  pace: Pace
): Promise<Uint32Array> {
  const { name, count, graph, vectors, ids } = seal
  if (vectors.bytes !== count * dimensions * 4 || ids.bytes !== count * ID_BYTES || count === 0) {
    throw new IndexDamage(`segment ${name}: sizes of its files differ from its count`)
  }
  await checkSealed(segmentPath(directory, name, 'usearch'), graph, pace)
  await checkSealed(segmentPath(directory, name, 'f32'), vectors, pace)
  const bytes = new Uint8Array(ids.bytes)
  let at = 0
  await checkSealed(segmentPath(directory, name, 'ids'), ids, pace, (block) => {
    bytes.set(block.subarray(0, bytes.length - at), at)
    at += block.length
  })
  return new Uint32Array(bytes.buffer)
}

/** Copies the rows of a checked segment into memory. */
export function loadRows(
  directory: string,
  seal: SegmentSeal,
  ids: Uint32Array,
  rows: FlatRows
): void {
  const rowBytes = seal.vectors.bytes / seal.count
  const file = openSync(segmentPath(directory, seal.name, 'f32'), 'r')
  try {
    const window = Math.min(seal.count, Math.ceil(SCAN_BYTES / rowBytes))
    const cursor = new FileCursor(file, ids, rowBytes / 4, window)
    for (let row = 0; row < seal.count; row++) {
      cursor.seek(row)
      const bytes = new Uint8Array(cursor.vectors.buffer, 4 * cursor.offset, rowBytes)
      rows.append(cursor.ordinal, cursor.revision, bytes)
    }
  } finally {
    closeSync(file)
  }
}

function* vectorBytes({ rows, graphed }: Growing): Generator<Uint8Array> {
  for (const { vectors } of rows.pieces(rows.from, graphed)) {
    yield new Uint8Array(vectors.buffer, vectors.byteOffset, vectors.byteLength)
  }
}
