/** The parts of one open store and how they hold together. What callers see is in store.ts. */

import { setMaxListeners } from 'node:events'
import type { AppendedGroup } from '../append/writer.ts'
import { Writer } from '../append/writer.ts'
import type { VectorShape } from '../checks/vector.ts'
import { StoreError } from '../errors.ts'
import type { Embed, Limits } from '../options.ts'
import { NO_VECTORS } from '../pipeline/health.ts'
import { Pipeline } from '../pipeline/pipeline.ts'
import { Pinned } from '../projections/pinned.ts'
import type { Tables } from '../projections/tables/client.ts'
import type { TablesSnapshot } from '../projections/tables/snapshot.ts'
import type { VectorsClient } from '../projections/vectors/client.ts'
import { notDeclared, type ReaderHost } from '../query/reader.ts'
import type { VectorIndexReader } from '../query/search.ts'
import type { TelemetryHub } from '../telemetry/hub.ts'
import type { LatencyRecorder } from '../telemetry/latency.ts'
import type { OperationWatch } from '../telemetry/operation-watch.ts'
import type { RecallReport } from '../telemetry/types.ts'
import type { TelemetryRecorder } from '../telemetry-store/recorder.ts'
import { Alerts } from './alerts.ts'
import { CustomProjections } from './custom-projections.ts'
import { DiskGuard } from './disk-guard.ts'
import type { EngineParts } from './engine-parts.ts'
import { EventTimes } from './event-times.ts'
import { fillIds } from './fill-ids.ts'
import { type HeldIndex, IndexHolds } from './index-holds.ts'
import { IntervalSync } from './interval-sync.ts'
import { restartVectors } from './rebuild.ts'
import { RecallFile } from './recall-file.ts'
import { Scrub } from './scrub.ts'
import { SubscriptionsLater } from './subscriptions-later.ts'
import { tellSynced } from './tell-commit.ts'
import { VectorAccess } from './vector-access.ts'
import { livenessOf } from './vector-census.ts'
import { Watch } from './watch.ts'

export class Engine implements ReaderHost {
  readonly parts: EngineParts
  /** Who watches what callers ask for. */
  readonly operations: OperationWatch
  readonly pipeline: Pipeline
  readonly writer: Writer
  readonly projections: CustomProjections
  readonly diskGuard: DiskGuard
  readonly holds: IndexHolds = new IndexHolds()
  readonly scrub: Scrub
  readonly alerts: Alerts
  readonly watch: Watch
  readonly subscriptions: SubscriptionsLater
  /** The last check of the vectors; absent where none are declared. */
  readonly recall: RecallFile | undefined
  /** Told of damage that was met in the tables; may be called for every read of them. */
  onDamaged: (error: Error) => void = () => {}
  /** Keeps telemetry, if the caller wants that. */
  recorder: TelemetryRecorder | undefined
  /** What other processes look on through, if the caller allows it. */
  attached: { close(): Promise<void> } | undefined
  /** Fires when the store begins to close. */
  readonly closing: AbortController = new AbortController()
  readonly counters: { commits: number; events: number; frames: number } = {
    commits: 0,
    events: 0,
    frames: 0
  }
  readonly #intervalSync: IntervalSync
  readonly #times: EventTimes
  #filling: Promise<void> = Promise.resolve()
  #turn: Promise<unknown> = Promise.resolve()
  #replacing: Promise<void> | undefined
  /** Generations of the tables that were replaced and end with the last view that reads them. */
  readonly #retired = new Set<Promise<void>>()

  constructor(parts: EngineParts, operations: OperationWatch) {
    const { options, log, tables, vectors, hub, latency, stage } = parts
    // Every call under way may listen to it, and there may be any number.
    setMaxListeners(0, this.closing.signal)
    this.parts = parts
    this.operations = operations
    this.#times = new EventTimes(log)
    this.recall = this.#recallFile()
    this.diskGuard = new DiskGuard(parts.directory, options.diskReserveBytes, hub)
    this.scrub = new Scrub(this, options.scrubBytesPerSec)
    this.alerts = new Alerts(this, options.alerts.rules, options.alerts.onAlert)
    this.watch = new Watch(this, options.telemetry.metricsMs)
    log.onSynced = (ms) => tellSynced(this, ms * 1000)
    this.#intervalSync = new IntervalSync(log, options.durabilityIntervalMs, (error) =>
      this.poisoned(error)
    )
    this.pipeline = new Pipeline({
      options: options.pipeline,
      source: {
        head: () => log.head,
        durableHead: () => log.durableHead,
        sync: async () => log.sync()
      },
      projections: vectors === undefined ? [tables] : [tables, vectors],
      primary: tables.name,
      line: () => this.writer.load,
      vectors: () => this.parts.vectors?.room.load ?? NO_VECTORS,
      timeOf: async (position) => this.timeAt(position),
      hub,
      latency,
      onStopped: (name, error) => {
        this.onDamaged(error)
        this.projections.stopped(name, error)
      }
    })
    this.writer = new Writer({
      log,
      stage,
      room: (load) => this.#room(() => this.pipeline.flow.room(load)),
      bulkRoom: (load) => this.#room(() => this.pipeline.flow.bulkRoom(load)),
      hasRoomFor: (load, beside) => this.pipeline.flow.queue.hasRoomFor(load, beside),
      bulkEvents: () => this.pipeline.flow.bulkEvents,
      backlog: () => this.pipeline.backlog,
      onLineMoved: () => this.pipeline.flow.lineMoved(),
      onAppended: (group) => this.#appended(group),
      onPoisoned: (error) => this.poisoned(error)
    })
    this.subscriptions = new SubscriptionsLater(this)
    this.projections = new CustomProjections(this, parts.projections)
    this.adopt(tables)
    if (vectors !== undefined) this.#watch(vectors)
  }

  get limits(): Readonly<Limits> {
    return this.parts.options.limits
  }

  get latency(): LatencyRecorder {
    return this.parts.latency
  }

  get hub(): TelemetryHub {
    return this.parts.hub
  }

  get embed(): Embed | undefined {
    return this.parts.options.embed
  }

  get expansionSearch(): number {
    const { declaration, options } = this.parts
    return options.vectors?.expansionSearch ?? declaration?.expansionSearch ?? 0
  }

  lastRecall(): RecallReport | undefined {
    return this.recall?.last
  }

  async timeAt(position: number): Promise<number> {
    return this.#times.at(position)
  }

  /** Starts what works by itself. */
  start(): void {
    this.projections.start()
    if (!this.parts.options.readOnly) this.pipeline.start()
    this.#filling = fillIds(this.parts, this.closing.signal)
    this.scrub.start()
  }

  /** The state at the head, or at an earlier position from the last checkpoint on. */
  pin(position: number = this.parts.log.head): Pinned {
    const { live, overlay, ids, cache } = this.parts
    return new Pinned(position, live.snapshot, overlay, ids, cache)
  }

  vectorShape(): VectorShape | undefined {
    return this.parts.declaration
  }

  /** @param held What a view reads, unless the index is made anew. */
  vectorIndex(operation: string, held?: HeldIndex): VectorIndexReader {
    const { declaration, vectorsError } = this.parts
    if (declaration === undefined) throw notDeclared(operation)
    if (vectorsError !== undefined) throw vectorsUnavailable(vectorsError)
    return new VectorAccess(this, held)
  }

  /** Ends when no other index is taking the place of the one there was. */
  async vectorsReplaced(): Promise<void> {
    while (this.#replacing !== undefined) await this.#replacing
  }

  /** The index; while another takes its place, the new one. */
  async vectorsClient(): Promise<VectorsClient> {
    // Here, since another one may begin while somebody else's promise is waited for.
    while (this.#replacing !== undefined) await this.#replacing
    const { vectors, vectorsError } = this.parts
    if (vectors === undefined) throw vectorsUnavailable(vectorsError)
    return vectors
  }

  /** Reads wait for the new index. If there is none, they are told why. */
  async replaceVectors(make: () => Promise<VectorsClient>): Promise<void> {
    if (this.closing.signal.aborted) throw storeClosed('replaceVectors')
    // Whoever meets the same damage finds that it is seen to.
    this.parts.vectors = undefined
    const replacing = this.#takeOver(make).finally(() => {
      if (this.#replacing === replacing) this.#replacing = undefined
    })
    this.#replacing = replacing
    this.retire(replacing)
    await replacing
  }

  async #takeOver(make: () => Promise<VectorsClient>): Promise<void> {
    const { parts, closing } = this
    try {
      const vectors = await make()
      parts.vectors = vectors
      parts.vectorsError = undefined
      this.#watch(vectors)
      // A store that closes meanwhile closes this one.
      if (!closing.signal.aborted) this.pipeline.add(vectors)
    } catch (error) {
      parts.vectors = undefined
      parts.vectorsError = vectorsUnavailable(error)
    }
  }

  /** What readers that stay at this position hold on to. */
  holdVectors(): HeldIndex | undefined {
    const { vectors, declaration, log } = this.parts
    return declaration === undefined ? undefined : this.holds.hold(vectors, log.head)
  }

  /** Damage that nobody met who could ask again: it heals all the same. */
  #watch(vectors: VectorsClient): void {
    vectors.whenDamaged(() => {
      if (this.closing.signal.aborted) return
      this.retire(restartVectors(this, vectors))
    })
    // A log that is written no more makes nobody wait, whichever index took the place of another.
    if (this.parts.log.poison !== undefined) vectors.room.open()
    // An open that only reads syncs nothing: its durable head may be behind what the index holds.
    if (this.parts.options.readOnly) return
    vectors.follow(livenessOf(this, vectors))
  }

  /** Takes a generation of the tables as the live one: reads follow its checkpoints from now on. */
  adopt(tables: Tables): void {
    this.parts.tables = tables
    tables.whenDamaged((error) => {
      // Views of a generation that was replaced may go on meeting its damage.
      if (this.parts.tables === tables) this.onDamaged(error)
    })
    tables.whenProjected(
      async (snapshot) => this.#moveTo(snapshot),
      async (ordinal) => {
        // A store that closes counts its snapshots: none is taken behind its back.
        if (this.closing.signal.aborted) return
        // A generation that was replaced may still be erasing: nobody reads from it any more.
        if (this.parts.tables !== tables) return
        // What the sweep erased is gone from a snapshot taken now, but not from the one in use.
        const moved = this.#moveTo(tables.snapshot())
        if (ordinal !== undefined) {
          // In the same turn: later another generation may be live, which has not erased them yet
          // and would show them if nobody knew the concept for dead.
          this.parts.overlay.swept(ordinal)
          this.parts.cache.clearAssociations()
        }
        await moved
      }
    )
  }

  /** Reads begin at the new generation now; the old one is let go once nobody reads it. */
  async replaceTables(next: Tables, letGo: (old: Tables) => Promise<void>): Promise<void> {
    const old = this.parts.tables
    const snapshot = next.snapshot()
    this.parts.overlay.addDead(await snapshot.dead())
    this.adopt(next)
    const moved = this.#moveTo(snapshot)
    // In the same turn: nobody reads rows of one generation through a snapshot of another.
    this.parts.cache.clear()
    await moved
    this.retire(letGo(old))
  }

  /** Rebuilds and comparisons take turns: each makes a generation of the tables of its own. */
  async inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work)
    // A failure belongs to whoever asked; the next in turn starts all the same.
    this.#turn = mine.catch(() => undefined)
    return mine
  }

  /** Ends when no rebuild and no comparison is under way. */
  async settled(): Promise<void> {
    await this.#turn
    await this.vectorsReplaced()
  }

  /** Keeps track of work that ends by itself, for `closeRetired`. */
  retire(work: Promise<void>): void {
    const tracked = work.finally(() => this.#retired.delete(tracked))
    this.#retired.add(tracked)
    // Who closes the store hears of a failure; until then it must not count as unhandled.
    tracked.catch(() => undefined)
  }

  async closeRetired(): Promise<void> {
    await Promise.all(this.#retired)
  }

  poisoned(error: Error): void {
    const { hub, log, vectors } = this.parts
    // Who waits for room would wait for ever for what is not durable, and is told by the writer.
    vectors?.room.open()
    if (!hub.active) return
    const { durableHead } = log
    hub.emit({ type: 'poisoned', time: Date.now(), durableHead, error: error.message })
  }

  /** Ends the timers and background work of this object; what was opened is closed elsewhere. */
  async stop(): Promise<void> {
    this.closing.abort()
    await this.watch.stop()
    await this.writer.close()
    await this.scrub.stop()
    await this.#intervalSync.stop()
    await this.#filling
  }

  #recallFile(): RecallFile | undefined {
    const { directory, format, declaration, hub } = this.parts
    if (declaration === undefined) return undefined
    return new RecallFile(directory, format.storeId, declaration, (reason) => {
      if (hub.active) hub.emit({ type: 'damage-found', time: Date.now(), part: 'recall', reason })
    })
  }

  /** From now on reads begin at this snapshot. Views that hold the old one keep it. */
  async #moveTo(snapshot: TablesSnapshot): Promise<void> {
    const { live } = this.parts
    const old = live.snapshot
    live.snapshot = snapshot
    this.parts.overlay.trim(snapshot.checkpoint)
    // The tables count vectors: now it may show that many of the index are dead.
    this.parts.vectors?.recount()
    await old.release()
  }

  /** Both are nearly always `undefined`: then nothing is awaited. */
  #room(inQueue: () => Promise<void> | undefined): Promise<void> | undefined {
    const disk = this.diskGuard.room()
    return disk === undefined ? inQueue() : disk.then(inQueue)
  }

  #appended(group: AppendedGroup): void {
    const { first, last, bytes, commits, us, written } = group
    const events = last - first + 1
    if (written !== undefined) this.parts.overlay.pack(commits, written)
    this.counters.commits += commits.length
    this.parts.vectors?.appended(commits, first, last)
    for (const { events: changes } of commits) {
      for (const event of changes) this.parts.cache.changed(event)
    }
    this.counters.events += events
    this.counters.frames += 1
    this.pipeline.appended({ head: last, events, bytes })
    this.diskGuard.appended(bytes)
    if (group.isPending) this.#intervalSync.schedule()
    this.subscriptions.appended()
    const { hub } = this.parts
    if (!hub.active) return
    const time = Date.now()
    const size = { commits: commits.length, events, bytes }
    hub.emit({ type: 'group-commit', time, ...size, us, first, last })
  }
}

function vectorsUnavailable(cause: unknown): StoreError<'VECTORS_UNAVAILABLE'> {
  const reason = cause instanceof Error ? cause.message : 'the index is not open'
  const message = `Vectors cannot be used: ${reason}`
  return new StoreError('VECTORS_UNAVAILABLE', message, { reason }, { cause })
}

function storeClosed(operation: string): StoreError<'STORE_CLOSED'> {
  return new StoreError('STORE_CLOSED', 'The store is closed', { operation })
}
