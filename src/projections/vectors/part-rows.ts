import { closeSync, openSync, readSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { assert } from '../../assert.ts'
import { Deaths } from './deaths.ts'
import { IndexDamage } from './index-files.ts'
import { ID_BYTES, RowIds, Slab, slabRows } from './layout.ts'
import type { PartDescription } from './protocol.ts'

/** What is read ahead of a scan. Single rows are read alone. */
const AHEAD_BYTES = 128 * 1024

/** Files of exact vectors that a worker holds open, by the number of their segment. */
export class VectorFiles {
  readonly #open = new Map<number, number>()

  descriptor({ segment, path }: PartDescription): number {
    let descriptor = this.#open.get(segment)
    if (descriptor === undefined) {
      descriptor = openVectors(path)
      this.#open.set(segment, descriptor)
    }
    return descriptor
  }

  close(segment: number): void {
    const descriptor = this.#open.get(segment)
    if (descriptor === undefined) return
    this.#open.delete(segment)
    closeSync(descriptor)
  }
}

function openVectors(path: string): number {
  try {
    return openSync(`${path}.f32`, 'r')
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new IndexDamage(`${path}.f32 cannot be read: ${reason}`, { cause })
  }
}

/**
 * The rows of a segment, wherever they lie: in memory, or in a file from which they come into
 * memory where there is room for them. Each row has a checksum, which is compared when it is read.
 */
export class PartRows {
  readonly ids: RowIds
  readonly deaths: Deaths
  readonly path: string
  readonly dimensions: number
  readonly #part: PartDescription
  readonly #files: VectorFiles
  readonly #slabs: readonly (Slab | null)[]
  readonly #shift: number

  constructor(part: PartDescription, dimensions: number, files: VectorFiles) {
    this.ids = new RowIds(part.ids)
    this.deaths = new Deaths(part.deaths)
    this.path = part.path
    this.dimensions = dimensions
    this.#part = part
    this.#files = files
    this.#slabs = part.slabs.map((slab) => slab && new Slab(slab, dimensions))
    this.#shift = Math.log2(slabRows(dimensions))
  }

  get capacity(): number {
    return this.ids.buffer.byteLength / ID_BYTES
  }

  /** @param end Rows before this one may be read ahead; 0: none is. */
  cursor(end = 0): RowCursor {
    return new RowCursor(this, end)
  }

  slabOf(row: number): { slab: Slab | null; slot: number } {
    const slab = this.#slabs[row >> this.#shift] ?? null
    return { slab, slot: row & (2 ** this.#shift - 1) }
  }

  /** How many rows from this one on lie in the same slab. */
  leftInSlab(row: number): number {
    return 2 ** this.#shift - (row & (2 ** this.#shift - 1))
  }

  /** @throws IndexDamage if a row is not what was written. */
  read(row: number, rows: number, into: Uint8Array): void {
    const size = 4 * this.dimensions
    const read = readSync(this.#files.descriptor(this.#part), into, 0, rows * size, row * size)
    if (read !== rows * size) throw new IndexDamage(`${this.path}.f32 is cut short`)
    for (let i = 0; i < rows; i++) {
      if (crc32(into.subarray(i * size, (i + 1) * size)) === this.ids.checksumAt(row + i)) continue
      throw new IndexDamage(`${this.path}.f32 is damaged in row ${row + i}`)
    }
  }
}

/** Reads rows one after the other. What it shows belongs to the row of the last `seek`. */
export class RowCursor {
  vectors: Float32Array
  /** Where the row begins in `vectors`. */
  offset = 0
  /** `NaN` if it is not known. */
  inverseNorm: number = Number.NaN
  readonly #rows: PartRows
  readonly #end: number
  /** For rows that have no place in shared memory. */
  #window: Uint8Array | undefined
  #windowVectors = new Float32Array(0)
  #windowStart = 0
  #windowEnd = 0

  constructor(rows: PartRows, end: number) {
    this.#rows = rows
    this.#end = end
    this.vectors = this.#windowVectors
  }

  seek(row: number): void {
    const { slab, slot } = this.#rows.slabOf(row)
    if (slab === null) {
      this.#seekFile(row)
      return
    }
    if (!slab.isFilled(slot)) this.#fill(slab, slot, row)
    this.vectors = slab.vectors
    this.offset = slot * slab.dimensions
    this.inverseNorm = slab.inverseNorms[slot] as number
  }

  /** Several threads may do so at once: all of them write the same bytes. */
  #fill(slab: Slab, slot: number, row: number): void {
    const max = this.#ahead(row)
    let rows = 1
    // Rows that came into memory behind those of the files are in no file perhaps.
    while (rows < max && !slab.isFilled(slot + rows)) rows += 1
    this.#rows.read(row, rows, slab.bytesOf(slot, rows))
    for (let i = 0; i < rows; i++) slab.filled(slot + i)
  }

  #seekFile(row: number): void {
    const { dimensions } = this.#rows
    if (row < this.#windowStart || row >= this.#windowEnd) {
      const rows = this.#ahead(row)
      this.#windowEnd = 0
      const window = this.#windowOf(rows)
      this.#rows.read(row, rows, window)
      this.#windowStart = row
      this.#windowEnd = row + rows
    }
    this.vectors = this.#windowVectors
    this.offset = (row - this.#windowStart) * dimensions
    this.inverseNorm = Number.NaN
  }

  /** Never beyond a slab: the rows of the next one may be in memory, and in no file yet. */
  #ahead(row: number): number {
    const rows = Math.floor(AHEAD_BYTES / (4 * this.#rows.dimensions))
    return Math.max(1, Math.min(rows, this.#end - row, this.#rows.leftInSlab(row)))
  }

  #windowOf(rows: number): Uint8Array {
    const bytes = 4 * rows * this.#rows.dimensions
    if (this.#window === undefined || this.#window.length < bytes) {
      this.#windowVectors = new Float32Array(rows * this.#rows.dimensions)
      this.#window = new Uint8Array(this.#windowVectors.buffer)
    }
    assert(this.#window.length >= bytes, 'a window holds what is read ahead')
    return this.#window
  }
}
