import { StoreError } from '../errors.ts'
import type { Pinned } from '../projections/pinned.ts'
import type { VectorIndexReader } from '../query/search.ts'
import type { OperationWatch } from '../telemetry/operation-watch.ts'
import type {
  BoundQueries,
  ExportOptions,
  ProjectionReadOptions,
  QueriedProjection,
  View
} from '../types.ts'
import type { ViewPins } from './custom-projections.ts'
import type { Engine } from './engine.ts'
import type { HeldIndex } from './index-holds.ts'
import { ObservedReader } from './observed-reader.ts'

/** A state of the store that stays as it is. Pinning copies nothing. */
export class PinnedView extends ObservedReader implements View {
  protected readonly operations: OperationWatch
  readonly #engine: Engine
  readonly #pinned: Pinned
  readonly #vectors: HeldIndex | undefined
  readonly #projections: ViewPins
  readonly #onClose: () => void
  readonly #exports = new Set<AsyncGenerator<Uint8Array, void>>()
  #isClosed = false

  constructor(engine: Engine, pinned: Pinned, onClose: () => void) {
    super(engine)
    this.operations = engine.operations
    this.#engine = engine
    this.#pinned = pinned
    this.#vectors = engine.holdVectors()
    this.#projections = engine.projections.pinAll(pinned.position)
    this.#onClose = onClose
    pinned.snapshot.hold()
  }

  get position(): number {
    return this.#pinned.position
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#onClose()
    // One whose consumer never comes back would hold the snapshot, and with it the store, forever.
    for (const chunks of this.#exports) await chunks.return()
    this.#engine.holds.release(this.#vectors)
    await this.#projections.release()
    await this.#pinned.snapshot.release()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  export(options: ExportOptions = {}): AsyncGenerator<Uint8Array, void> {
    const chunks = this.#chunks(options)
    if (!this.operations.watches('task')) return chunks
    return this.operations.iterate({ group: 'task', operation: 'export' }, chunks)
  }

  async *#chunks(options: ExportOptions): AsyncGenerator<Uint8Array, void> {
    const { exportRows } = await import('../export/export.ts')
    const pinned = this.pin()
    const chunks = exportRows(
      {
        pinned,
        dimensions: this.host.vectorShape()?.dimensions ?? 0,
        vectors: async (revisions) =>
          this.vectorIndex('export').vectors(revisions, pinned.position),
        assertOpen: () => this.#assertOpen()
      },
      options
    )
    this.#exports.add(chunks)
    try {
      yield* chunks
      // Ended by `close`: what came out is not the whole file, which must not go unnoticed.
      this.#assertOpen()
    } finally {
      this.#exports.delete(chunks)
    }
  }

  projection<Q>(
    definition: QueriedProjection<Q>,
    options: ProjectionReadOptions = {}
  ): BoundQueries<Q> {
    const assertOpen = (): unknown => this.pin()
    return this.#engine.projections.bind(definition, options, assertOpen, this.#projections)
  }

  protected override vectorIndex(operation: string): VectorIndexReader {
    return this.#engine.vectorIndex(operation, this.#vectors)
  }

  protected pin(): Pinned {
    if (!this.#isClosed) return this.#pinned
    const { position } = this.#pinned
    throw new StoreError('VIEW_CLOSED', `The view of position ${position} is closed`, { position })
  }

  #assertOpen(): void {
    if (!this.#engine.closing.signal.aborted) {
      this.pin()
      return
    }
    throw new StoreError('STORE_CLOSED', 'The store is closed', { operation: 'export' })
  }
}
