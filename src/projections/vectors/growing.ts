import { FlatRows } from './flat-rows.ts'
import type { Pace } from './pace.ts'
import type { GraphSource } from './scan.ts'
import type { GraphFactory, VectorGraph } from './vector-index.ts'

// Rows are added in pieces of about this long, so that a search waits no longer than that.
const PIECE_MS = 8
const PIECE_ROWS_MIN = 2
const PIECE_ROWS_MAX = 512

/** The segment that grows: exact rows in memory and a graph over the first part of them. */
export class Growing {
  readonly rows: FlatRows
  readonly #factory: GraphFactory
  #graph: VectorGraph
  #graphed = 0
  #pieceRows = 16

  constructor(factory: GraphFactory, dimensions: number) {
    this.#factory = factory
    this.rows = new FlatRows(dimensions)
    this.#graph = factory.create()
  }

  /** Goes on with the graph of a segment that was saved while it was small. */
  adopt(graph: VectorGraph): void {
    this.#graph = graph
    this.#graphed = this.rows.to
  }

  get graph(): VectorGraph {
    return this.#graph
  }

  /** Rows from `rows.from` up to here, exclusive, are in the graph; those behind it are not. */
  get graphed(): number {
    return this.#graphed
  }

  get graphCount(): number {
    return this.#graphed - this.rows.from
  }

  /** The rows that are in the graph, if any are. */
  graphSource(): GraphSource | undefined {
    if (this.graphCount === 0) return undefined
    const { rows } = this
    return {
      graph: this.#graph,
      from: rows.from,
      to: this.#graphed,
      ordinalAt: (row) => rows.ordinalAt(row),
      rowOf: (revision) => rows.rowOf(revision),
      single: () => rows.single(),
      cursor: () => rows.cursor()
    }
  }

  /** Adds the rows before `row` to the graph, in pieces, letting searches through in between. */
  async graphUpTo(row: number, pace: Pace): Promise<void> {
    while (this.#graphed < row) {
      const started = performance.now()
      const to = Math.min(row, this.#graphed + this.#pieceRows)
      for (const { revisions, vectors } of this.rows.pieces(this.#graphed, to)) {
        this.#graph.add(revisions, vectors)
      }
      this.#adaptPiece(to - this.#graphed, performance.now() - started)
      this.#graphed = to
      await pace.breathe()
    }
  }

  /** Ordinal and revision of each row in the graph, in turns. */
  ids(): Uint32Array {
    const ids = new Uint32Array(2 * this.graphCount)
    let at = 0
    for (const { ordinals, revisions } of this.rows.pieces(this.rows.from, this.#graphed)) {
      ordinals.forEach((ordinal, slot) => {
        ids[at++] = ordinal
        ids[at++] = revisions[slot] ?? 0
      })
    }
    return ids
  }

  /** Forgets the graph and its rows, which a sealed segment holds now. */
  startOver(): void {
    this.rows.drop(this.#graphed)
    this.#graph = this.#factory.create()
  }

  /** The time per row grows with the graph and with what else the machine does. */
  #adaptPiece(rows: number, ms: number): void {
    const fitting = (rows * PIECE_MS) / Math.max(ms, 0.1)
    const next = Math.min(fitting, 2 * this.#pieceRows)
    this.#pieceRows = Math.round(Math.max(PIECE_ROWS_MIN, Math.min(PIECE_ROWS_MAX, next)))
  }
}
