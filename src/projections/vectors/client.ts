import { aborted, StoreError, throwIfAborted } from '../../errors.ts'
import type { VectorsDeclared } from '../../log/event.ts'
import { WorkerLink } from '../../storage/worker-link.ts'
import type { TelemetryEvent, VectorStats } from '../../telemetry/types.ts'
import type { BatchApplied, Projection } from '../projection.ts'
import type { Candidates } from './nearest.ts'
import type {
  Answer,
  EngineReport,
  FilesChecked,
  QuestionKind,
  Questions,
  VectorsWorkerData
} from './protocol.ts'

export type { Candidates } from './nearest.ts'

export interface VectorsStart {
  /** Of the store, spelled as it was when the log was opened in this process. */
  directory: string
  storeId: Buffer
  declaration: VectorsDeclared
  readOnly: boolean
  /** Candidates that a search considers in each graph unless it asks for another number. */
  expansionSearch: number
  /** Vectors after which a segment is sealed; by default, chosen by their size. */
  sealRows?: number
  onTelemetry(event: TelemetryEvent): void
}

export interface VectorSearch {
  k: number
  ef?: number
  /** Compares with every vector instead of asking the graphs. */
  exact?: boolean
  /** Vectors of acknowledged events up to here are found. Later ones may be, too. */
  position: number
  signal?: AbortSignal
}

export interface VectorChoice {
  /** Pairs: the vector of an ordinal that has this revision. */
  ordinals: Uint32Array
  revisions: Uint32Array
  k: number
  position: number
  signal?: AbortSignal
}

const NOTHING: EngineReport = {
  position: 0,
  savedPosition: 0,
  indexed: 0,
  pending: 0,
  segments: 0,
  diskBytes: 0
}

// A worker in the middle of one long call of the graph engine cannot answer; then it is cut off.
const CLOSE_PATIENCE_MS = 5_000

/** The vector index as the main thread sees it. The work is done in a worker of its own. */
export class VectorsClient implements Projection {
  readonly name = 'vectors'
  readonly #link: WorkerLink
  readonly #dimensions: number
  readonly #onTelemetry: (event: TelemetryEvent) => void
  #report: EngineReport = NOTHING
  #nextTicket = 1
  #closing = false
  #death: Error | undefined

  private constructor(options: VectorsStart) {
    this.#dimensions = options.declaration.dimensions
    this.#onTelemetry = (event) => options.onTelemetry(event)
    this.#link = new WorkerLink(
      new URL('./worker.js', import.meta.url),
      workerDataOf(options),
      // The worker sends nothing else of its own accord.
      (notice) => this.#onTelemetry(notice as TelemetryEvent),
      (error) => this.#onDeath(error)
    )
  }

  /**
   * Opens what was saved, or starts from nothing where it is absent, damaged or foreign.
   *
   * @throws StoreError `VECTORS_UNAVAILABLE` where the graph engine does not load.
   */
  static async start(options: VectorsStart): Promise<VectorsClient> {
    const client = new VectorsClient(options)
    try {
      await client.#ask('open', undefined)
      return client
    } catch (error) {
      client.#closing = true
      await client.#link.ended()
      throw error
    }
  }

  /** Every vector up to here is in a graph, in memory or on disk. */
  get position(): number {
    return this.#report.position
  }

  /** Checkpoint of the files. */
  get savedPosition(): number {
    return this.#report.savedPosition
  }

  get diskBytes(): number {
    return this.#report.diskBytes
  }

  stats(): VectorStats {
    const { indexed, pending, segments, position } = this.#report
    return { declared: true, dimensions: this.#dimensions, indexed, pending, segments, position }
  }

  /** Ends where a frame ends, so slightly behind a `to` that is within one. */
  async project(to: number): Promise<BatchApplied> {
    return this.#ask('project', { to })
  }

  async search(query: Float32Array, options: VectorSearch): Promise<Candidates> {
    const { k, ef, exact = false, position, signal } = options
    const own = query.slice()
    const ask = { query: own, k, ef, exact, position }
    return this.#ask('search', ask, [own.buffer], signal)
  }

  /** Compares with the given vectors alone, exactly. */
  async among(query: Float32Array, options: VectorChoice): Promise<Candidates> {
    const { k, position, signal } = options
    const own = query.slice()
    const ordinals = options.ordinals.slice()
    const revisions = options.revisions.slice()
    const ask = { query: own, ordinals, revisions, k, position }
    return this.#ask('among', ask, [own.buffer, ordinals.buffer, revisions.buffer], signal)
  }

  /** The vectors bit for bit as they were given; `undefined` for a revision that is unknown. */
  async vectors(
    revisions: readonly number[],
    position: number
  ): Promise<(Float32Array | undefined)[]> {
    const own = Uint32Array.from(revisions)
    const ask = { revisions: own, position }
    const { vectors, found } = await this.#ask('vectors', ask, [own.buffer])
    return revisions.map((_, at) => {
      if (found[at] !== 1) return undefined
      return vectors.slice(at * this.#dimensions, (at + 1) * this.#dimensions)
    })
  }

  /** Makes the index durable up to its position, unless that is beyond the durable head. */
  async save(durableHead: number): Promise<void> {
    await this.#ask('save', { durableHead })
  }

  /** Checks every file of the saved index. */
  async check(): Promise<FilesChecked> {
    return this.#ask('check', undefined)
  }

  /** What is going on is cut off; it loses nothing that a save has promised. */
  async close(): Promise<void> {
    if (this.#closing || this.#death !== undefined) {
      await this.#link.ended()
      return
    }
    const answer = this.#ask('close', undefined)
    this.#closing = true
    const patience = setTimeout(() => void this.#link.terminate(), CLOSE_PATIENCE_MS)
    try {
      await answer
    } finally {
      await this.#link.ended()
      clearTimeout(patience)
    }
  }

  async #ask<K extends QuestionKind>(
    kind: K,
    ask: Questions[K]['ask'],
    transfer: ArrayBuffer[] = [],
    signal?: AbortSignal
  ): Promise<Questions[K]['reply']> {
    throwIfAborted(signal, kind)
    if (this.#closing) {
      throw new StoreError('STORE_CLOSED', `The ${kind} came after close`, { operation: kind })
    }
    if (this.#death !== undefined) throw workerDied(this.#death)
    const ticket = this.#nextTicket++
    const answer = this.#link.request({ do: kind, ticket, ask }, transfer)
    try {
      // The worker answers each kind of question as the protocol says.
      const { reply, report } = (await this.#unlessAborted(
        answer,
        ticket,
        kind,
        signal
      )) as Answer<K>
      this.#report = report
      return reply
    } catch (error) {
      const death = this.#death
      throw death !== undefined && error === death ? workerDied(death) : error
    }
  }

  async #unlessAborted(
    answer: Promise<unknown>,
    ticket: number,
    kind: QuestionKind,
    signal: AbortSignal | undefined
  ): Promise<unknown> {
    if (signal === undefined) return answer
    let onAbort = (): void => {}
    const abortion = new Promise<never>((_, reject) => {
      onAbort = () => {
        reject(aborted(signal, kind))
        // Its answer tells nothing; that it comes too late, or never, does not matter either.
        this.#ask('cancel', { ticket }).catch(() => undefined)
      }
    })
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      return await Promise.race([answer, abortion])
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  #onDeath(error: Error): void {
    this.#death = error
    if (this.#closing) return
    const { position } = this.#report
    const event = { projection: this.name, position, error: error.message }
    this.#onTelemetry({ type: 'projection-stopped', time: Date.now(), ...event })
  }
}

function workerDataOf(options: VectorsStart): VectorsWorkerData {
  const { directory, storeId, declaration, readOnly, expansionSearch, sealRows } = options
  return {
    directory,
    storeId: Uint8Array.from(storeId),
    declaration,
    readOnly,
    expansionSearch,
    sealRows
  }
}

function workerDied(cause: Error): StoreError<'VECTORS_UNAVAILABLE'> {
  const reason = cause.message
  const message = `The worker of the vector index died: ${reason}`
  return new StoreError('VECTORS_UNAVAILABLE', message, { reason }, { cause })
}
