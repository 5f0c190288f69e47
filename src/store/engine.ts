/** The parts of one open store and how they hold together. What callers see is in store.ts. */

import type { Stage } from '../append/stage.ts'
import type { AppendedGroup } from '../append/writer.ts'
import { Writer } from '../append/writer.ts'
import type { VectorShape } from '../checks/vector.ts'
import { StoreError } from '../errors.ts'
import type { VectorsDeclared } from '../log/event.ts'
import type { LevelLog } from '../log/level-log.ts'
import type { Embed, Limits, ResolvedOptions } from '../options.ts'
import { Pipeline } from '../pipeline/pipeline.ts'
import type { IdTable } from '../projections/id-table.ts'
import type { Overlay } from '../projections/overlay.ts'
import { Pinned } from '../projections/pinned.ts'
import type { Tables } from '../projections/tables/client.ts'
import type { TablesSnapshot } from '../projections/tables/snapshot.ts'
import type { VectorsClient } from '../projections/vectors/client.ts'
import { ReadPace } from '../query/pace.ts'
import { notDeclared, type ReaderHost } from '../query/reader.ts'
import type { VectorIndexReader } from '../query/search.ts'
import type { Ownership } from '../storage/owner.ts'
import type { TelemetryHub } from '../telemetry/hub.ts'
import type { LatencyRecorder } from '../telemetry/latency.ts'
import type { TelemetryEvent } from '../telemetry/types.ts'
import { DiskGuard } from './disk-guard.ts'
import type { StoreFormat } from './format.ts'
import { IntervalSync } from './interval-sync.ts'
import { Scrub } from './scrub.ts'

/** What `openParts` found and opened. */
export interface EngineParts {
  directory: string
  format: StoreFormat
  options: ResolvedOptions
  ownership: Ownership
  hub: TelemetryHub
  latency: LatencyRecorder
  log: LevelLog
  tables: Tables
  overlay: Overlay
  ids: IdTable
  stage: Stage
  declaration: VectorsDeclared | undefined
  vectors: VectorsClient | undefined
  /** Why vectors are declared but cannot be used. */
  vectorsError: StoreError | undefined
  /** The snapshot that reads begin at; replaced after every batch. */
  live: { snapshot: TablesSnapshot }
  /** What was met while opening. */
  findings: readonly TelemetryEvent[]
}

export class Engine implements ReaderHost {
  readonly parts: EngineParts
  readonly pipeline: Pipeline
  readonly writer: Writer
  readonly diskGuard: DiskGuard
  readonly scrub: Scrub
  /** Told of damage that was met in the tables; may be called for every read of them. */
  onDamaged: (error: Error) => void = () => {}
  /** Fires when the store begins to close. */
  readonly closing: AbortController = new AbortController()
  readonly counters: { commits: number; events: number; frames: number } = {
    commits: 0,
    events: 0,
    frames: 0
  }
  readonly #intervalSync: IntervalSync
  #filling: Promise<void> = Promise.resolve()
  #turn: Promise<unknown> = Promise.resolve()
  /** Generations of the tables that were replaced and end with the last view that reads them. */
  readonly #retired = new Set<Promise<void>>()

  constructor(parts: EngineParts) {
    const { options, log, tables, vectors, hub, latency, stage } = parts
    this.parts = parts
    this.diskGuard = new DiskGuard(parts.directory, options.diskReserveBytes, hub)
    this.scrub = new Scrub(this, options.scrubBytesPerSec)
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
      hub,
      latency,
      onStopped: (_, error) => this.onDamaged(error)
    })
    this.writer = new Writer({
      log,
      stage,
      room: () => this.#room(),
      onAppended: (group) => this.#appended(group),
      onPoisoned: (error) => this.poisoned(error)
    })
    this.adopt(tables)
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

  /** Starts what works by itself: the pipeline, and filling the id table. */
  start(): void {
    if (!this.parts.options.readOnly) this.pipeline.start()
    this.#filling = this.#fillIds()
    this.scrub.start()
  }

  /** The state at the head, or at an earlier position from the last checkpoint on. */
  pin(position: number = this.parts.log.head): Pinned {
    const { live, overlay, ids } = this.parts
    return new Pinned(position, live.snapshot, overlay, ids)
  }

  vectorShape(): VectorShape | undefined {
    return this.parts.declaration
  }

  vectorIndex(operation: string): VectorIndexReader {
    const { declaration, vectors, vectorsError } = this.parts
    if (declaration === undefined) throw notDeclared(operation)
    if (vectors !== undefined) return vectors
    const reason = vectorsError?.message ?? 'the index is not open'
    throw new StoreError(
      'VECTORS_UNAVAILABLE',
      `Vectors cannot be used: ${reason}`,
      { reason },
      { cause: vectorsError }
    )
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
        await this.#moveTo(tables.snapshot())
        this.parts.overlay.swept(ordinal)
      }
    )
  }

  /** Reads begin at the new generation now; the old one is let go once nobody reads it. */
  async replaceTables(next: Tables, letGo: (old: Tables) => Promise<void>): Promise<void> {
    const old = this.parts.tables
    const snapshot = next.snapshot()
    this.parts.overlay.addDead(await snapshot.dead())
    this.adopt(next)
    await this.#moveTo(snapshot)
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
    const { hub, log } = this.parts
    if (!hub.active) return
    const { durableHead } = log
    hub.emit({ type: 'poisoned', time: Date.now(), durableHead, error: error.message })
  }

  /** Ends the timers and background work of this object; what was opened is closed elsewhere. */
  async stop(): Promise<void> {
    this.closing.abort()
    await this.writer.close()
    await this.scrub.stop()
    await this.#intervalSync.stop()
    await this.#filling
  }

  /** From now on reads begin at this snapshot. Views that hold the old one keep it. */
  async #moveTo(snapshot: TablesSnapshot): Promise<void> {
    const { live } = this.parts
    const old = live.snapshot
    live.snapshot = snapshot
    this.parts.overlay.trim(snapshot.checkpoint)
    await old.release()
  }

  /** Both are nearly always `undefined`: then nothing is awaited. */
  #room(): Promise<void> | undefined {
    const disk = this.diskGuard.room()
    return disk === undefined ? this.pipeline.room() : disk.then(() => this.pipeline.room())
  }

  #appended(group: AppendedGroup): void {
    const { first, last, bytes, commits, us } = group
    const events = last - first + 1
    this.counters.commits += commits
    this.counters.events += events
    this.counters.frames += 1
    this.pipeline.appended({ head: last, events, bytes })
    this.diskGuard.appended(bytes)
    if (group.isPending) this.#intervalSync.schedule()
    const { hub } = this.parts
    if (!hub.active) return
    hub.emit({ type: 'group-commit', time: Date.now(), commits, events, bytes, us, first, last })
  }

  async #fillIds(): Promise<void> {
    const { ids } = this.parts
    const { signal } = this.closing
    const { snapshot } = this.parts.live
    snapshot.hold()
    try {
      const pace = new ReadPace(undefined, 'open')
      for await (const rows of snapshot.ids()) {
        for (const { id, ordinal, deadVersion, hasKey } of rows) {
          ids.fill(id, { ordinal, isAlive: deadVersion === 0, hasKey })
          if (pace.step()) await pace.rest()
        }
        if (signal.aborted) return
      }
      ids.markFilled()
    } catch (error) {
      // Look-ups go on in the tables, where whoever asks meets the same error.
      const { hub } = this.parts
      const reason = error instanceof Error ? error.message : String(error)
      if (hub.active) hub.emit({ type: 'damage-found', time: Date.now(), part: 'tables', reason })
    } finally {
      await snapshot.release()
    }
  }
}
