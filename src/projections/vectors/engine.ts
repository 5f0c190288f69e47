import { assert } from '../../assert.ts'
import type { VectorsDeclared } from '../../log/event.ts'
import type { FrameReader } from '../../log/reader.ts'
import type { TelemetryEvent } from '../../telemetry/types.ts'
import type { BatchApplied } from '../projection.ts'
import { Query } from './distance.ts'
import type { Growing } from './growing.ts'
import { IndexDirectory } from './index-directory.ts'
import { LogIngest } from './log-ingest.ts'
import { type Candidates, Nearest } from './nearest.ts'
import type { Pace } from './pace.ts'
import type {
  AmongRequest,
  EngineReport,
  FilesChecked,
  SearchRequest,
  VectorsReply
} from './protocol.ts'
import {
  chosenPart,
  type GraphSource,
  offerRow,
  type RowSource,
  type ScanPart,
  scan
} from './scan.ts'
import type { Segment } from './segment.ts'
import type { GraphFactory } from './vector-index.ts'

const BATCH_VECTORS = 2_000
const BATCH_EVENTS = 20_000

/** An HNSW search for a quarter of its rows touches most of them: a scan is then faster. */
const SCAN_FRACTION = 4

export interface EngineSetup {
  reader: FrameReader
  factory: GraphFactory
  /** `vectors/` of the store. */
  directory: string
  storeId: string
  declaration: VectorsDeclared
  readOnly: boolean
  expansionSearch: number
  /** A segment of this many vectors is mapped and never grows again. */
  sealRows: number
  emit(event: TelemetryEvent): void
}

/**
 * The vector index, as it lives in its worker.
 *
 * A row is in exactly one place: a sealed segment, the growing graph, or behind that, where it is
 * scanned exactly. So a search sees a vector as soon as its frame was ingested.
 */
export class VectorEngine {
  readonly #setup: EngineSetup
  readonly #disk: IndexDirectory
  readonly #growing: Growing
  readonly #segments: Segment[]
  readonly #ingest: LogIngest
  #position: number
  #unreported = { vectors: 0, ms: 0 }

  private constructor(
    setup: EngineSetup,
    disk: IndexDirectory,
    growing: Growing,
    segments: Segment[]
  ) {
    this.#setup = setup
    this.#disk = disk
    this.#growing = growing
    this.#segments = segments
    this.#position = disk.position
    const { reader, declaration } = setup
    this.#ingest = new LogIngest(reader, declaration.space, growing.rows, disk.position)
  }

  static async open(setup: EngineSetup, pace: Pace): Promise<VectorEngine> {
    const { disk, segments, growing } = await IndexDirectory.open(setup, pace)
    return new VectorEngine(setup, disk, growing, segments)
  }

  report(): EngineReport {
    const { rows, graphCount, graphed } = this.#growing
    return {
      position: this.#position,
      savedPosition: this.#disk.position,
      indexed: this.#sealedCount() + graphCount,
      pending: rows.to - graphed,
      segments: this.#segments.length + (graphCount > 0 ? 1 : 0),
      diskBytes: this.#disk.bytes
    }
  }

  /** Brings one bounded batch into the graph. A batch ends where a frame ends. */
  async project(to: number, pace: Pace): Promise<BatchApplied> {
    const started = performance.now()
    const from = this.#position + 1
    const startRow = this.#growing.graphed
    let end = { position: this.#position, row: startRow }
    while (
      end.position < to &&
      end.row - startRow < BATCH_VECTORS &&
      end.position - from < BATCH_EVENTS
    ) {
      end = this.#ingest.takeFrame(to)
      if (pace.due) await pace.breathe()
    }
    await this.#growing.graphUpTo(end.row, pace)
    assert(end.position >= this.#position, 'a checkpoint only moves forward')
    this.#position = end.position
    if (this.#growing.graphCount >= this.#setup.sealRows && !this.#setup.readOnly) {
      await this.save(end.position, pace)
    }
    const ms = performance.now() - started
    this.#reportBuilt(end.row - startRow, ms, end.position >= to)
    return { from, to: end.position, events: end.position - from + 1, ms }
  }

  /** @throws StoreError `LOG_DAMAGED` */
  async search(request: SearchRequest, pace: Pace): Promise<Candidates> {
    await this.#ingest.upTo(request.position, pace)
    const query = new Query(request.query, this.#setup.declaration.metric)
    const total = this.#total()
    const nearest = new Nearest(Math.min(request.k, total))
    const wanted = Math.max(request.k, request.ef ?? this.#setup.expansionSearch)
    // From here to the scan nothing awaits, so that each row is met once, wherever it moves to.
    const parts: ScanPart[] = []
    for (const source of this.#graphs()) {
      const { from, to } = source
      if (request.exact || wanted * SCAN_FRACTION >= to - from) {
        parts.push({ cursor: source.cursor(true), rows: { from, to } })
      } else {
        const found = source.graph.nearest(query.vector, wanted)
        const cursor = source.single()
        for (const revision of found) {
          const row = source.rowOf(Number(revision))
          assert(row !== -1, 'a graph names revisions of its own segment')
          // After an add that failed half way, the scan below is what finds the rows behind `to`.
          if (row < to) offerRow(cursor, row, query, nearest)
        }
      }
    }
    const { rows, graphed } = this.#growing
    parts.push({ cursor: rows.cursor(), rows: { from: graphed, to: rows.to } })
    await scan(parts, query, nearest, pace)
    // With k at or above the count of every source, each of them was scanned.
    return nearest.candidates(request.k >= total)
  }

  /** The nearest of the given (ordinal, revision) pairs, exactly. */
  async among(request: AmongRequest, pace: Pace): Promise<Candidates> {
    await this.#ingest.upTo(request.position, pace)
    const ordinals = new Map<number, number>()
    request.revisions.forEach((revision, at) => {
      ordinals.set(revision, request.ordinals[at] ?? -1)
    })
    const wanted = Uint32Array.from(ordinals.keys()).sort()
    const parts = this.#everything.map((source) => chosenPart(source, wanted, ordinals))
    const found = parts.reduce((sum, part) => sum + part.rows.length, 0)
    const nearest = new Nearest(Math.min(request.k, found))
    const query = new Query(request.query, this.#setup.declaration.metric)
    await scan(parts, query, nearest, pace)
    return nearest.candidates(request.k >= found)
  }

  /** Exact vectors, one after the other; `found` tells which of the revisions exist. */
  async vectors(revisions: Uint32Array, position: number, pace: Pace): Promise<VectorsReply> {
    await this.#ingest.upTo(position, pace)
    const { dimensions } = this.#setup.declaration
    const found = new Uint8Array(revisions.length)
    const vectors = new Float32Array(revisions.length * dimensions)
    const places = this.#everything.map((source) => ({ source, cursor: source.single() }))
    revisions.forEach((revision, at) => {
      for (const { source, cursor } of places) {
        const row = source.rowOf(revision)
        if (row === -1) continue
        cursor.seek(row)
        const { offset } = cursor
        vectors.set(cursor.vectors.subarray(offset, offset + dimensions), at * dimensions)
        found[at] = 1
      }
    })
    return { vectors, found }
  }

  /** Persists everything up to the checkpoint. Does nothing when that is beyond `durableHead`. */
  async save(durableHead: number, pace: Pace): Promise<void> {
    if (this.#setup.readOnly) return
    if (this.#position > durableHead || this.#position === this.#disk.position) return
    const segment = await this.#disk.save(this.#position, this.#growing, pace)
    if (segment === undefined) return
    // The rows change their place between two searches.
    this.#segments.push(segment)
    this.#growing.startOver()
  }

  /** Reads every file of the saved index and compares it with what was written. */
  async check(pace: Pace): Promise<FilesChecked> {
    return this.#disk.check(pace)
  }

  close(): void {
    for (const segment of this.#segments) segment.close()
  }

  /** Where each row lies, once. */
  get #everything(): RowSource[] {
    return [...this.#segments, this.#growing.rows]
  }

  /** The rows that are in graphs. */
  #graphs(): GraphSource[] {
    const growing = this.#growing.graphSource()
    return growing === undefined ? this.#segments : [...this.#segments, growing]
  }

  #sealedCount(): number {
    return this.#segments.reduce((sum, { seal }) => sum + seal.count, 0)
  }

  #total(): number {
    return this.#sealedCount() + this.#growing.rows.to - this.#growing.rows.from
  }

  #reportBuilt(vectors: number, ms: number, upToDate: boolean): void {
    this.#unreported.vectors += vectors
    this.#unreported.ms += ms
    if (!upToDate || this.#unreported.vectors === 0) return
    this.#setup.emit({ type: 'index-built', time: Date.now(), ...this.#unreported })
    this.#unreported = { vectors: 0, ms: 0 }
  }
}
