import { WorkerLink } from '../storage/worker-link.ts'
import { type Columns, ColumnsBuilder } from './columns.ts'
import type { AssociationRow, ConceptRow, Encoder } from './writer.ts'

export type ColumnarFormat = 'parquet' | 'arrow'

/** Tells the thread what it is to write. */
export interface ColumnarJob {
  readonly format: ColumnarFormat
  /** 0: no column of embeddings. */
  readonly dimensions: number
}

/**
 * Packs records in a thread of its own: a row group takes tens of milliseconds in one go, which the
 * event loop does not have. Here they are gathered and handed over.
 */
export class ColumnarEncoder implements Encoder {
  readonly #link: WorkerLink
  readonly #builder: ColumnsBuilder
  /** What the thread makes of the rows before: packed while the next ones are read. */
  #packing: Promise<Uint8Array[]> = Promise.resolve([])

  private constructor(link: WorkerLink, builder: ColumnsBuilder) {
    this.#link = link
    this.#builder = builder
  }

  /** @throws StoreError `UNSUPPORTED` where the package for the format is missing. */
  static async open(job: ColumnarJob): Promise<ColumnarEncoder> {
    const script = new URL('./columnar-worker.js', import.meta.url)
    const link = new WorkerLink(script, job, () => {})
    const encoder = new ColumnarEncoder(link, new ColumnsBuilder(job.dimensions))
    try {
      // Said before the first record is read.
      await link.request(undefined)
    } catch (error) {
      await encoder.close()
      throw error
    }
    return encoder
  }

  get isFull(): boolean {
    return this.#builder.isFull
  }

  concept(row: ConceptRow): void {
    this.#builder.concept(row)
  }

  association(row: AssociationRow): void {
    this.#builder.association(row)
  }

  async *take(): AsyncGenerator<Uint8Array, void> {
    const columns = this.#builder.take()
    const before = this.#packing
    if (columns.rows > 0) this.#packing = this.#ask(columns)
    // Whoever takes the next chunks hears of a failure; nobody may when the export ends before.
    this.#packing.catch(() => undefined)
    yield* await before
  }

  async *end(): AsyncGenerator<Uint8Array, void> {
    yield* this.take()
    yield* await this.#packing
    yield* await this.#ask('end')
  }

  async close(): Promise<void> {
    await this.#link.terminate()
  }

  async #ask(body: Columns | 'end'): Promise<Uint8Array[]> {
    const transfer = body === 'end' ? [] : [body.floats.buffer as ArrayBuffer]
    // What the other end answers with, and nothing else: see columnar-worker.ts.
    return (await this.#link.request(body, transfer)) as Uint8Array[]
  }
}
