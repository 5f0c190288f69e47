import { assert } from '../../assert.ts'
import { DeadBehind, Deaths, newDeaths } from './deaths.ts'
import { ID_BYTES, newIds, newSlab, RowIds, Slab, slabRows } from './layout.ts'
import type { SegmentSeal } from './manifest.ts'
import type { FlushTask, GraphDescription, PartDescription } from './protocol.ts'
import type { GraphShape } from './vector-index.ts'

/** About what the graph of a full segment takes: in the builder's memory, and on every search. */
const GRAPH_BYTES = 256 * 1024 * 1024
const ROWS_MAX = 1_000_000
const SCALAR_BYTES = { f32: 4, f16: 2, bf16: 2, i8: 1 } as const

/** Numbers of segments, graphs and sets: they are never used twice in a process. */
let numbers = 0
export function nextNumber(): number {
  numbers += 1
  return numbers
}

/** Bytes of a graph, about: numbers, edges of the lowest level and what there is above it. */
export function graphBytes(shape: GraphShape, rows: number): number {
  const { dimensions, quantization, connectivity } = shape
  return rows * (dimensions * SCALAR_BYTES[quantization] + connectivity * 8 * 1.1 + 32)
}

/** Rows after which a segment takes no more. */
export function segmentRows(shape: GraphShape): number {
  return Math.min(ROWS_MAX, Math.floor(GRAPH_BYTES / graphBytes(shape, 1)))
}

/** A graph that was saved, or is on its way into the manifest. */
export interface SavedGraphFile extends GraphDescription {
  name: string
  seal: { bytes: number; blocks: number[] }
}

/**
 * A segment as the main thread keeps it: where its rows lie, and how far its files and its graph
 * have come.
 */
export class Segment {
  readonly number: number = nextNumber()
  /** Of its files. */
  readonly name: string
  readonly path: string
  readonly capacity: number
  readonly ids: RowIds
  readonly deaths: Deaths
  /** Rows there are, and those in the files. */
  rows = 0
  flushed = 0
  /** Rows that are known to be dead. */
  dead = 0
  /** Vectors in the graph that the builder has in memory: it leaves out rows that were dead. */
  builtVectors = 0
  /** What the manifest on disk says of it. */
  saved: SegmentSeal | undefined
  readonly #dimensions: number
  readonly #slabRows: number
  readonly #slabs: (SharedArrayBuffer | null)[] = []
  readonly #unbuilt: DeadBehind
  readonly #scanned: DeadBehind
  #graph: SavedGraphFile | undefined
  #last: Slab | undefined
  #isClosed = false

  constructor(path: string, name: string, capacity: number, dimensions: number) {
    this.path = path
    this.name = name
    this.capacity = capacity
    this.ids = new RowIds(newIds(capacity))
    this.deaths = new Deaths(newDeaths(capacity))
    this.#unbuilt = new DeadBehind(this.deaths)
    this.#scanned = new DeadBehind(this.deaths)
    this.#dimensions = dimensions
    this.#slabRows = slabRows(dimensions)
  }

  /** Rows from the first on that the builder's graph was made of. */
  get built(): number {
    return this.#unbuilt.from
  }

  /** The graph that searches use. */
  get graph(): SavedGraphFile | undefined {
    return this.#graph
  }

  /** Live rows that are in no graph, and those that searches compare one by one. */
  get pending(): number {
    return this.rows - this.built - this.#unbuilt.count
  }

  get scanned(): number {
    return this.rows - this.#scanned.from - this.#scanned.count
  }

  setBuilt(rows: number, vectors: number): void {
    this.#unbuilt.moveTo(rows)
    this.builtVectors = vectors
  }

  setGraph(graph: SavedGraphFile): void {
    this.#scanned.moveTo(graph.rows)
    this.#graph = graph
  }

  /** @param position At which the row was dead already: durable. */
  bury(row: number, position: number): void {
    if (this.deaths.isDead(row)) return
    this.deaths.set(row, position)
    this.dead += 1
    this.#unbuilt.buried(row)
    this.#scanned.buried(row)
  }

  /** Rows up to one that are in no graph and not known to be dead. */
  pendingUpTo(rows: number): number {
    let pending = this.pending
    // There are few of them: what is not durable yet.
    for (let row = Math.max(rows, this.built); row < this.rows; row++) {
      if (!this.deaths.isDead(row)) pending -= 1
    }
    return pending
  }

  /** The row behind so many that are to go into the graph next, at most so far. */
  endOfBatch(size: number, upTo: number): number {
    let row = this.built
    for (let left = size; row < upTo && left > 0; row++) if (!this.deaths.isDead(row)) left -= 1
    return row
  }

  /** It takes no more rows. */
  get isFull(): boolean {
    return this.#isClosed || this.rows === this.capacity
  }

  /** Rows to come go into another segment. */
  close(): void {
    this.#isClosed = true
  }

  /** Slabs in memory, or with room to come into it. */
  get residentSlabs(): number {
    return this.#slabs.reduce((count, slab) => count + (slab === null ? 0 : 1), 0)
  }

  /** Bytes of rows that are in no file yet. */
  get unflushedBytes(): number {
    return (this.rows - this.flushed) * 4 * this.#dimensions
  }

  /** Takes the place of rows that are in the files, with memory for those that are read. */
  adopt(seal: SegmentSeal, resident: number): void {
    this.rows = seal.rows
    this.flushed = seal.rows
    this.saved = seal
    const slabs = Math.ceil(seal.rows / this.#slabRows)
    for (let slab = 0; slab < slabs; slab++) {
      this.#slabs.push(slab < resident ? newSlab(this.#dimensions) : null)
    }
  }

  /** Its rows were written into its files by somebody else. They are read from there. */
  adoptFlushed(rows: number): void {
    this.rows = rows
    this.flushed = rows
    for (let row = 0; row < rows; row += this.#slabRows) this.#slabs.push(null)
  }

  /** @returns Whether a slab came with it, which searches must be told of. */
  append(ordinal: number, revision: number, bytes: Uint8Array): boolean {
    assert(bytes.length === 4 * this.#dimensions, 'a vector has the declared dimensions')
    const { slab, isNew } = this.#slabToFill()
    slab.fill(this.rows % this.#slabRows, bytes)
    this.ids.set(this.rows, ordinal, revision)
    this.rows += 1
    return isNew
  }

  /** Memory that the next rows go to, and the row behind the last one that has room in it. */
  room(): { slab: SharedArrayBuffer; end: number; isNew: boolean } {
    const { slab, isNew } = this.#slabToFill()
    const end = (Math.floor(this.rows / this.#slabRows) + 1) * this.#slabRows
    return { slab: slab.buffer, end: Math.min(end, this.capacity), isNew }
  }

  /** Rows of the slabs that are to be written, up to a row. */
  toFlush(upTo: number): FlushTask {
    const slabs: FlushTask['slabs'][number][] = []
    for (let from = this.flushed; from < upTo; ) {
      const at = Math.floor(from / this.#slabRows)
      const slab = this.#slabs[at]
      assert(slab !== undefined && slab !== null, 'rows that are in no file are in memory')
      const to = Math.min(upTo, (at + 1) * this.#slabRows)
      slabs.push({ slab, from, to })
      from = to
    }
    const { path, ids } = this
    return { path, ids: ids.buffer, dimensions: this.#dimensions, slabs }
  }

  /** Lets go of memory for rows that are in the files, until so few slabs are left. */
  evict(count: number): number {
    let left = count
    const whole = Math.floor(this.flushed / this.#slabRows)
    for (let slab = 0; slab < whole && left > 0; slab++) {
      if (this.#slabs[slab] === null) continue
      this.#slabs[slab] = null
      left -= 1
    }
    return count - left
  }

  describe(): PartDescription {
    const { number, path, ids, deaths, graph } = this
    return {
      segment: number,
      path,
      ids: ids.buffer,
      deaths: deaths.buffer,
      slabs: [...this.#slabs],
      graph: graph && {
        graph: graph.graph,
        path: graph.path,
        rows: graph.rows,
        vectors: graph.vectors,
        scale: graph.scale
      }
    }
  }

  /** Bytes of its files. */
  get diskBytes(): number {
    return this.flushed * (4 * this.#dimensions + ID_BYTES) + (this.graph?.seal.bytes ?? 0)
  }

  #slabToFill(): { slab: Slab; isNew: boolean } {
    assert(!this.isFull, 'a full segment takes no more rows')
    const at = Math.floor(this.rows / this.#slabRows)
    let buffer = this.#slabs[at]
    const isNew = buffer === undefined || buffer === null
    if (isNew) {
      buffer = newSlab(this.#dimensions)
      this.#slabs[at] = buffer
    }
    assert(buffer !== undefined && buffer !== null, 'there is memory for the next row')
    if (this.#last?.buffer !== buffer) this.#last = new Slab(buffer, this.#dimensions)
    return { slab: this.#last, isNew }
  }
}
