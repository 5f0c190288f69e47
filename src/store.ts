/**
 * The store as callers see it: each method checks what it was given and hands it to the part
 * that does the work. To read on: append/writer.ts for writes, query/reader.ts for reads.
 */
import { resolve } from 'node:path'
import { Observable } from 'rxjs'
import { checkCommitOptions } from './append/commit-options.ts'
import { prepareCommit } from './append/prepare.ts'
import type { WaitingCommit } from './append/staged-commit.ts'
import { StoreError } from './errors.ts'
import type { IdInput } from './ids.ts'
import { importRecords } from './import/import.ts'
import type { Limits, StoreOptions } from './options.ts'
import { observeEvents, readEvents } from './pipeline/events.ts'
import type { Pinned } from './projections/pinned.ts'
import { checkOptions, checkWhole } from './query/read-options.ts'
import { PinnedReader } from './query/reader.ts'
import type { VectorIndexReader } from './query/search.ts'
import { backup } from './store/backup.ts'
import { checkVectors } from './store/check-vectors.ts'
import { closeEngine } from './store/close.ts'
import { Engine } from './store/engine.ts'
import { healByRebuilding } from './store/healing.ts'
import { ImportLine } from './store/import-line.ts'
import { openParts } from './store/open-parts.ts'
import { PinnedView } from './store/pinned-view.ts'
import { rebuild } from './store/rebuild.ts'
import { repairLog } from './store/repair.ts'
import { StatsReader } from './store/stats.ts'
import type { HeldIndex } from './store/vector-access.ts'
import { verify } from './store/verify.ts'
import { nowUs } from './telemetry/latency.ts'
import { prometheusText } from './telemetry/metrics.ts'
import type { RecallReport, Stats, TelemetryEvent } from './telemetry/types.ts'
import type {
  AssociationPatch,
  AssociationRef,
  BackupReport,
  CheckVectorsOptions,
  Command,
  CommitOptions,
  ConceptPatch,
  EventsOptions,
  ExportOptions,
  ImportOptions,
  ImportReport,
  ImportSource,
  LongOptions,
  NewAssociation,
  NewConcept,
  ReadOptions,
  Receipt,
  Reinforcement,
  RepairOptions,
  RepairReport,
  Schema,
  Store,
  StoredEvent,
  Target,
  VerifyReport,
  View
} from './types.ts'

export { migrate } from './store/migrate.ts'
export { restore } from './store/restore.ts'

/**
 * Opens the store in a directory, or makes one there.
 *
 * @throws StoreError `STORE_LOCKED`, `STORE_NOT_FOUND`, `NOT_A_STORE`, `FORMAT_UNSUPPORTED`,
 *   `STORE_DAMAGED`, `LOG_DAMAGED`, `LOG_BEHIND_CHECKPOINT`, `OPTION_INVALID`, `OPTION_CONFLICT`,
 *   `MODEL_CONFLICT`, `MIGRATION_UNFINISHED`, `IO_FAILED`.
 */
export async function open<S extends Schema = Schema>(
  directory: string,
  options: StoreOptions = {}
): Promise<Store<S>> {
  if (typeof directory !== 'string' || directory === '') {
    throw new TypeError(`'directory' must be a non-empty string, received ${String(directory)}`)
  }
  const engine = new Engine(await openParts(directory, options))
  healByRebuilding(engine)
  engine.start()
  // The schema narrows names and metadata for the compiler alone.
  return new LocalStore(engine) as unknown as Store<S>
}

class LocalStore extends PinnedReader implements Store {
  readonly #engine: Engine
  readonly #views = new Set<PinnedView>()
  /** Of reads under way: segments may be merged meanwhile. */
  readonly #heldVectors = new Map<Pinned, HeldIndex | undefined>()
  readonly #stats: StatsReader
  /** Keys of the imports under way that can be resumed. */
  readonly #imports = new Set<string>()
  #closing: Promise<void> | undefined

  constructor(engine: Engine) {
    super(engine)
    this.#engine = engine
    this.#stats = new StatsReader(engine)
  }

  get directory(): string {
    return this.#engine.parts.directory
  }

  get limits(): Readonly<Limits> {
    return this.#engine.limits
  }

  get head(): number {
    return this.#engine.parts.log.head
  }

  get position(): number {
    return this.head
  }

  get telemetry$(): Observable<TelemetryEvent> {
    const { findings, hub } = this.#engine.parts
    return new Observable((subscriber) => {
      for (const finding of findings) subscriber.next(finding)
      return hub.events$.subscribe(subscriber)
    })
  }

  async learn(concept: NewConcept, options?: CommitOptions): Promise<Receipt> {
    return this.commit([{ do: 'learn', ...concept }], options)
  }

  async associate(association: NewAssociation, options?: CommitOptions): Promise<Receipt> {
    return this.commit([{ do: 'associate', ...association }], options)
  }

  async reinforce(
    target: Target,
    change: Reinforcement,
    options?: CommitOptions
  ): Promise<Receipt> {
    return this.commit([{ do: 'reinforce', target, ...change }], options)
  }

  async revise(
    target: Target,
    patch: ConceptPatch | AssociationPatch,
    options?: CommitOptions
  ): Promise<Receipt> {
    return this.commit([{ do: 'revise', target, ...patch }], options)
  }

  async forget(id: IdInput, options?: CommitOptions): Promise<Receipt> {
    return this.commit([{ do: 'forget', id }], options)
  }

  async dissociate(ref: AssociationRef, options?: CommitOptions): Promise<Receipt> {
    return this.commit([{ do: 'dissociate', ...ref }], options)
  }

  async commit(commands: readonly Command[], options: CommitOptions = {}): Promise<Receipt> {
    const started = nowUs()
    const prepared = this.#prepare(commands, options)
    // Without an embed function nothing was awaited so far: the limits are checked in this turn.
    const commit = prepared instanceof Promise ? await prepared : prepared
    const room = this.#engine.roomFor(commit)
    if (room !== undefined) await room
    const { receipt } = await this.#engine.writer.commit(commit)
    this.#engine.latency.record('commit', nowUs() - started)
    return receipt
  }

  async view(): Promise<View> {
    const started = nowUs()
    const view = new PinnedView(this.#engine, this.pin(), () => this.#views.delete(view))
    this.#views.add(view)
    this.#engine.latency.record('view', nowUs() - started)
    return view
  }

  async caughtUp(position?: number, options: ReadOptions = {}): Promise<void> {
    this.#assertWritable('caughtUp')
    checkOptions(options, [])
    const target = checkWhole('position', position, 0, this.head) ?? this.head
    await this.#engine.pipeline.caughtUp(target, options.signal)
  }

  events(options: EventsOptions = {}): AsyncIterable<StoredEvent> {
    this.#assertOpen('events')
    return readEvents(this.#engine.parts.log, options, this.#engine.closing.signal)
  }

  events$(options: EventsOptions = {}): Observable<StoredEvent> {
    this.#assertOpen('events')
    return observeEvents(this.#engine.parts.log, options, this.#engine.closing.signal)
  }

  stats(): Stats {
    this.#assertOpen('stats')
    return this.#stats.read(this.#views.size)
  }

  metrics(): string {
    return prometheusText(this.stats())
  }

  async rebuild(options: LongOptions & { projections?: readonly string[] } = {}): Promise<void> {
    this.#assertWritable('rebuild')
    await rebuild(this.#engine, options)
  }

  async verify(options: LongOptions = {}): Promise<VerifyReport> {
    this.#assertWritable('verify')
    return verify(this.#engine, options)
  }

  async checkVectors(options: CheckVectorsOptions = {}): Promise<RecallReport> {
    this.#assertWritable('checkVectors')
    return checkVectors(this.#engine, options)
  }

  async backup(directory: string, options: LongOptions = {}): Promise<BackupReport> {
    this.#assertOpen('backup')
    return backup(this.#engine, directory, options)
  }

  async import(source: ImportSource, options: ImportOptions = {}): Promise<ImportReport> {
    this.#assertWritable('import')
    const line = new ImportLine(this.#engine, this.#imports, () => this.#assertWritable('import'))
    return importRecords(line, source, options)
  }

  async *export(options: ExportOptions = {}): AsyncGenerator<Uint8Array, void> {
    const view = await this.view()
    try {
      yield* view.export(options)
    } catch (error) {
      // Closing a store closes its views: the caller of this one never heard of a view.
      this.#assertOpen('export')
      throw error
    } finally {
      await view.close()
    }
  }

  async checkpoint(): Promise<void> {
    this.#assertWritable('checkpoint')
    const { log, vectors } = this.#engine.parts
    await log.checkpoint()
    const position = log.durableHead
    await this.#engine.pipeline.caughtUp(position)
    await vectors?.save(log.durableHead)
  }

  /** May be called again: both calls resolve when the store is closed. */
  async close(): Promise<void> {
    this.#closing ??= closeEngine(this.#engine, async () => {
      for (const view of [...this.#views]) await view.close()
    })
    await this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  protected pin(): Pinned {
    this.#assertOpen('read')
    return this.#engine.pin()
  }

  protected override hold(pinned: Pinned): void {
    super.hold(pinned)
    this.#heldVectors.set(pinned, this.#engine.holdVectors())
  }

  protected override async letGo(pinned: Pinned): Promise<void> {
    const held = this.#heldVectors.get(pinned)
    this.#heldVectors.delete(pinned)
    held?.client.unpin(held.pin)
    await super.letGo(pinned)
  }

  protected override vectorIndex(operation: string, pinned: Pinned): VectorIndexReader {
    return this.#engine.vectorIndex(operation, this.#heldVectors.get(pinned))
  }

  #prepare(
    commands: readonly Command[],
    options: CommitOptions
  ): WaitingCommit | Promise<WaitingCommit> {
    this.#assertWritable('commit')
    const { limits, parts, embed } = this.#engine
    const scope = { command: undefined, limits }
    const valid = checkCommitOptions(scope, options, parts.options.durability)
    const context = { limits, vectors: parts.declaration }
    return prepareCommit(context, embed, commands, valid, undefined)
  }

  #assertOpen(operation: string): void {
    if (this.#closing === undefined) return
    throw new StoreError('STORE_CLOSED', 'The store is closed', { operation })
  }

  #assertWritable(operation: string): void {
    this.#assertOpen(operation)
    if (!this.#engine.parts.options.readOnly) return
    throw new StoreError('STORE_READ_ONLY', 'The store was opened read-only', { operation })
  }
}

/**
 * Repairs the log of a store that is not open: keeps every intact frame, puts a gap where something
 * is lost, makes tables and vectors anew and leaves the damaged files aside. A whole log is not
 * touched. Resolves when the store can be opened again.
 *
 * @throws StoreError `STORE_NOT_FOUND`, `STORE_LOCKED`, `FORMAT_UNSUPPORTED`, `ABORTED`.
 */
export async function repair(
  directory: string,
  options: RepairOptions = {}
): Promise<RepairReport> {
  checkOptions(options, ['dryRun', 'onProgress'])
  const report = await repairLog(resolve(directory), options)
  if (!report.changed) return report
  const store = await open(directory, { createIfMissing: false })
  try {
    await store.caughtUp()
  } finally {
    await store.close()
  }
  return report
}
