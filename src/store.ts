/**
 * The store as callers see it: each method checks what it was given and hands it to the part
 * that does the work. To read on: append/writer.ts for writes, query/reader.ts for reads.
 */
import { resolve } from 'node:path'
import { checkCommitOptions } from './append/commit-options.ts'
import { prepareCommit } from './append/prepare.ts'
import type { WaitingCommit } from './append/staged-commit.ts'
import { StoreError } from './errors.ts'
import type { IdInput } from './ids.ts'
import type { Limits } from './options.ts'
import type { Pinned } from './projections/pinned.ts'
import { checkOptions, checkWhole } from './query/read-options.ts'
import type { VectorIndexReader } from './query/search.ts'
import { Observable } from './rxjs.ts'
import { checkpoint } from './store/checkpoint.ts'
import { closeEngine } from './store/close.ts'
import type { Engine } from './store/engine.ts'
import { writeCommit } from './store/enter-line.ts'
import { events$Of, eventsOf } from './store/events-of.ts'
import { ImportLine } from './store/import-line.ts'
import type { HeldIndex } from './store/index-holds.ts'
import { ObservedReader } from './store/observed-reader.ts'
import { PinnedView } from './store/pinned-view.ts'
import { projectionsOf } from './store/projections-of.ts'
import { whenReady } from './store/ready.ts'
import { rebuild } from './store/rebuild.ts'
import { StatsReader } from './store/stats.ts'
import { tellCommit, tellFailure, timeEmbed } from './store/tell-commit.ts'
import { withVersion } from './telemetry/hub.ts'
import { nowUs } from './telemetry/latency.ts'
import { prometheusText } from './telemetry/metrics.ts'
import type { OpenTelemetry } from './telemetry/open-telemetry.ts'
import type { OperationWatch } from './telemetry/operation-watch.ts'
import type { RecallReport, Stats, TelemetryEvent } from './telemetry/types.ts'
import { readLater } from './telemetry-store/on-demand.ts'
import type { OpenStore } from './telemetry-store/segment.ts'
import type {
  AssociationPatch,
  AssociationRef,
  BackupReport,
  BatchHandler,
  BoundQueries,
  CheckVectorsOptions,
  Command,
  CommitOptions,
  ConceptPatch,
  EventHandler,
  EventsOptions,
  ExportOptions,
  ImportOptions,
  ImportReport,
  ImportSource,
  LongOptions,
  NewAssociation,
  NewConcept,
  ProjectionReadOptions,
  Projections,
  QueriedProjection,
  ReadOptions,
  Receipt,
  Reinforcement,
  Store,
  StoredEvent,
  StoredTelemetryOptions,
  SubscribeOptions,
  Subscription,
  SubscriptionInfo,
  Target,
  VerifyReport,
  View
} from './types.ts'

export class LocalStore extends ObservedReader implements Store {
  protected readonly operations: OperationWatch
  readonly projections: Projections
  readonly #engine: Engine
  readonly #views = new Set<PinnedView>()
  /** Of reads under way: segments may be merged meanwhile. */
  readonly #heldVectors = new Map<Pinned, HeldIndex | undefined>()
  readonly #stats: StatsReader
  readonly #telemetry: OpenTelemetry | undefined
  readonly #openSegment: OpenStore
  /** Keys of the imports under way that can be resumed. */
  readonly #imports = new Set<string>()
  #closing: Promise<void> | undefined

  constructor(engine: Engine, telemetry: OpenTelemetry | undefined, openSegment: OpenStore) {
    super(engine)
    this.#openSegment = openSegment
    this.operations = engine.operations
    this.#telemetry = telemetry
    this.#engine = engine
    this.#stats = new StatsReader(engine)
    this.projections = projectionsOf(engine, {
      toRead: (operation) => this.#assertOpen(operation),
      toWrite: (operation) => this.#assertWritable(operation)
    })
    engine.watch.start(() => this.stats())
    const { format, findings, hub } = engine.parts
    hub.followChannel(findings)
    if (telemetry === undefined) return
    telemetry.observe(format.storeId.toString('hex'), () => this.stats())
    const { spans } = telemetry
    // Ends with the stream, when the store is closed.
    spans.whenRecording(() => hub.events$.subscribe((event) => spans.onTelemetry(event)))
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
    const { alerts, parts } = this.#engine
    const { findings, hub } = parts
    return new Observable((subscriber) => {
      for (const finding of findings) subscriber.next(withVersion(finding))
      for (const alert of alerts.told) subscriber.next(alert)
      return hub.events$.subscribe(subscriber)
    })
  }

  storedTelemetry(options: StoredTelemetryOptions = {}): AsyncIterable<TelemetryEvent> {
    this.#assertOpen('storedTelemetry')
    const { recorder, parts } = this.#engine
    const place = parts.options.telemetry.store?.directory ?? parts.directory
    const kept = recorder?.read(options) ?? readLater(resolve(place), options, this.#openSegment)
    return this.operations.stream('storedTelemetry', kept)
  }

  async learn(concept: NewConcept, options?: CommitOptions): Promise<Receipt> {
    return this.#as('learn', [{ do: 'learn', ...concept }], options)
  }

  async associate(association: NewAssociation, options?: CommitOptions): Promise<Receipt> {
    return this.#as('associate', [{ do: 'associate', ...association }], options)
  }

  async reinforce(
    target: Target,
    change: Reinforcement,
    options?: CommitOptions
  ): Promise<Receipt> {
    return this.#as('reinforce', [{ do: 'reinforce', target, ...change }], options)
  }

  async revise(
    target: Target,
    patch: ConceptPatch | AssociationPatch,
    options?: CommitOptions
  ): Promise<Receipt> {
    return this.#as('revise', [{ do: 'revise', target, ...patch }], options)
  }

  async forget(id: IdInput, options?: CommitOptions): Promise<Receipt> {
    return this.#as('forget', [{ do: 'forget', id }], options)
  }

  async dissociate(ref: AssociationRef, options?: CommitOptions): Promise<Receipt> {
    return this.#as('dissociate', [{ do: 'dissociate', ...ref }], options)
  }

  async commit(commands: readonly Command[], options?: CommitOptions): Promise<Receipt> {
    return this.#as('commit', commands, options)
  }

  /** All changes are commits; whoever watches hears of the method that was called. */
  #as(
    method: string,
    commands: readonly Command[],
    options: CommitOptions | undefined
  ): Promise<Receipt> {
    return this.operations.commit(method, commands, () => this.#commit(commands, options))
  }

  async #commit(commands: readonly Command[], options: CommitOptions = {}): Promise<Receipt> {
    const started = nowUs()
    const engine = this.#engine
    let receipt: Receipt
    try {
      const prepared = this.#prepare(commands, options)
      // Without an embed function nothing was awaited so far: the limits are checked in this turn.
      const commit = prepared instanceof Promise ? await timeEmbed(engine, prepared) : prepared
      receipt = (await writeCommit(engine, commit)).receipt
    } catch (error) {
      tellFailure(engine, commands, error, nowUs() - started)
      throw error
    }
    tellCommit(engine, 'commit', commands.length, receipt, nowUs() - started)
    return receipt
  }

  async ready(options: ReadOptions = {}): Promise<void> {
    return this.operations.task('ready', async () => {
      this.#assertWritable('ready')
      await whenReady(this.#engine, options)
    })
  }

  async view(): Promise<View> {
    return this.operations.task('view', async () => this.#view())
  }

  #view(): PinnedView {
    const started = nowUs()
    const view = new PinnedView(this.#engine, this.pin(), () => this.#views.delete(view))
    this.#views.add(view)
    this.#engine.latency.record('view', nowUs() - started)
    return view
  }

  async caughtUp(position?: number, options: ReadOptions = {}): Promise<void> {
    return this.operations.task('caughtUp', async () => {
      this.#assertWritable('caughtUp')
      checkOptions(options, [])
      const target = checkWhole('position', position, 0, this.head) ?? this.head
      await this.#engine.pipeline.caughtUp(target, options.signal)
    })
  }

  events(options: EventsOptions = {}): AsyncIterable<StoredEvent> {
    this.#assertOpen('events')
    return eventsOf(this.#engine, this.operations, options)
  }

  events$(options: EventsOptions = {}): Observable<StoredEvent> {
    this.#assertOpen('events')
    return events$Of(this.#engine, this.operations, options)
  }

  async subscribe(
    name: string,
    options: SubscribeOptions,
    handler: EventHandler | BatchHandler
  ): Promise<Subscription> {
    return this.operations.task('subscribe', async () => {
      this.#assertWritable('subscribe')
      return (await this.#engine.subscriptions.get()).subscribe(name, options, handler)
    })
  }

  async unsubscribe(name: string): Promise<boolean> {
    return this.operations.task('unsubscribe', async () => {
      this.#assertWritable('unsubscribe')
      return (await this.#engine.subscriptions.get()).unsubscribe(name)
    })
  }

  async subscriptions(): Promise<SubscriptionInfo[]> {
    return this.operations.task('subscriptions', async () => {
      this.#assertOpen('subscriptions')
      return (await this.#engine.subscriptions.get()).list()
    })
  }

  projection<Q>(
    definition: QueriedProjection<Q>,
    options: ProjectionReadOptions = {}
  ): BoundQueries<Q> {
    const assertOpen = (): void => this.#assertOpen('projection')
    return this.#engine.projections.bind(definition, options, assertOpen)
  }

  stats(): Stats {
    this.#assertOpen('stats')
    return this.#stats.read(this.#views.size)
  }

  metrics(): string {
    return prometheusText(this.stats())
  }

  async rebuild(options: LongOptions & { projections?: readonly string[] } = {}): Promise<void> {
    return this.operations.task('rebuild', async () => {
      this.#assertWritable('rebuild')
      await rebuild(this.#engine, options)
    })
  }

  async verify(options: LongOptions = {}): Promise<VerifyReport> {
    return this.operations.task('verify', async () => {
      this.#assertWritable('verify')
      const { verify } = await import('./store/verify.ts')
      return verify(this.#engine, options)
    })
  }

  async checkVectors(options: CheckVectorsOptions = {}): Promise<RecallReport> {
    return this.operations.task('checkVectors', async () => {
      this.#assertWritable('checkVectors')
      const { checkVectors } = await import('./store/check-vectors.ts')
      return checkVectors(this.#engine, options)
    })
  }

  async backup(directory: string, options: LongOptions = {}): Promise<BackupReport> {
    return this.operations.task('backup', async () => {
      this.#assertOpen('backup')
      const { backup } = await import('./store/backup.ts')
      return backup(this.#engine, directory, options)
    })
  }

  async import(source: ImportSource, options: ImportOptions = {}): Promise<ImportReport> {
    return this.operations.task('import', async () => {
      this.#assertWritable('import')
      const line = new ImportLine(this.#engine, this.#imports, () => this.#assertWritable('import'))
      const { importRecords } = await import('./import/import.ts')
      return importRecords(line, source, options)
    })
  }

  async *export(options: ExportOptions = {}): AsyncGenerator<Uint8Array, void> {
    const view = this.#view()
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
    return this.operations.task('checkpoint', async () => {
      this.#assertWritable('checkpoint')
      await checkpoint(this.#engine)
    })
  }

  /** May be called again: both calls resolve when the store is closed. */
  async close(): Promise<void> {
    this.#telemetry?.stopObserving()
    this.#closing ??= this.operations.task('close', () => closeEngine(this.#engine, this.#views))
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
    this.#engine.holds.release(held)
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
    const { limits, parts, embed, closing } = this.#engine
    const scope = { command: undefined, limits }
    const valid = checkCommitOptions(scope, options, parts.options.durability)
    const context = { limits, vectors: parts.declaration }
    const embedder = { embed, closing: closing.signal }
    return prepareCommit(context, embedder, commands, valid, undefined)
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
