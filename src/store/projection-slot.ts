import { assert } from '../assert.ts'
import { aborted, isStoreError, StoreError, throwIfAborted } from '../errors.ts'
import { projectionStopped } from '../pipeline/catch-up.ts'
import type { Definition } from '../projections/custom/define.ts'
import type { Generation, GenerationSetup } from '../projections/custom/generation.ts'
import { createGeneration } from '../projections/custom/open-generation.ts'
import type { Patience } from '../projections/custom/patience.ts'
import { RowsPin } from '../projections/custom/pin.ts'
import type { LongOptions, ProjectionStatus, ReadOptions } from '../types.ts'
import type { Engine } from './engine.ts'
import type { OpenedProjection } from './open-projections.ts'
import { OwnWork } from './own-work.ts'
import {
  attend,
  type Build,
  caughtUp,
  notBuilding,
  notBuilt,
  quietly,
  statusOf,
  tellDone,
  tellGivenUp,
  tellStarted,
  tellStopped
} from './projection-build.ts'

/** Events that a store that closes still applies; more is left to the next open. */
const FINISH_EVENTS_MAX = 20_000

/**
 * One projection of the program's own: the generation of its rows that answers, and the one that
 * is built beside it, blue and green.
 *
 * A new generation is filled from the log while the old one goes on answering. When it has caught
 * up, the pipeline lets go of the old one, CURRENT names the new one, and reads begin there. If the
 * process dies before CURRENT is replaced, the next open finds the old one, and goes on with the
 * new one where it was; after it, the old one is removed.
 */
export class ProjectionSlot {
  readonly definition: Definition
  readonly patience: Patience
  readonly #engine: Engine
  readonly #setup: GenerationSetup
  #answering: Generation | undefined
  #isPublished: boolean
  #opened: Generation | undefined
  #build: Build | undefined
  /** Why the one that answers goes no further. */
  #error: Error | undefined
  #healing: Promise<void> | undefined
  readonly #work = new OwnWork()
  /** Where it has caught up with what was there when it was opened. */
  readonly #target: number

  constructor(engine: Engine, opened: OpenedProjection) {
    this.#engine = engine
    this.definition = opened.definition
    this.#setup = opened.setup
    this.patience = opened.setup.patience
    this.#answering = opened.answering
    this.#isPublished = opened.isPublished
    this.#opened = opened.building
    this.#target = engine.parts.log.head
  }

  get name(): string {
    return this.definition.name
  }

  get answering(): Generation | undefined {
    return this.#answering
  }

  /**
   * The rows that are built at the same position.
   *
   * @throws StoreError `UNSUPPORTED` without a build, `PROJECTION_STOPPED`.
   */
  pinBuild(position: number): RowsPin {
    const { generation, error } = this.#wanted('compare')
    const pin = new RowsPin(generation, position)
    if (!pin.isNear && error !== undefined) {
      generation.catches.rejectAll(projectionStopped(generation.name, generation.position, error))
    }
    return pin
  }

  /** Begins to project. A read-only store only answers. */
  start(): void {
    const { pipeline, parts } = this.#engine
    const answering = this.#answering
    if (answering !== undefined) {
      this.#watch(answering)
      pipeline.add(answering)
    }
    if (parts.options.readOnly) return
    if (this.#opened !== undefined) this.#begin(this.#opened, this.definition.promote)
    else if (!this.#isPublished) this.#work.retire(quietly(this.#publishFirst()))
  }

  /** The rows at a position from theirs on; `undefined` where there are none. */
  pin(position: number): RowsPin | undefined {
    const answering = this.#answering
    if (answering === undefined) return undefined
    const pin = new RowsPin(answering, position)
    // Nothing brings it any nearer: whoever reads is told so.
    const reason = this.#standstill()
    if (!pin.isNear && reason !== undefined) answering.catches.rejectAll(reason)
    return pin
  }

  status(): ProjectionStatus {
    const isBehind = (this.#answering?.position ?? 0) < this.#target
    return statusOf({
      name: this.name,
      head: this.#engine.parts.log.head,
      answering: this.#answering,
      build: this.#build,
      error: this.#error,
      // What it stopped for is seen to, or it has never caught up.
      isBuilding: this.#error === undefined ? isBehind : this.#healing !== undefined
    })
  }

  notBuilt(): StoreError<'PROJECTION_BUILDING'> {
    return notBuilt(this.name, this.#answering, this.#engine.parts.log.head)
  }

  /** The pipeline has stopped it, or its build. */
  stopped(name: string, error: Error): void {
    const build = this.#build
    if (build !== undefined && name === build.generation.name) this.#buildStopped(build, error)
    if (name !== this.name || this.#answering === undefined) return
    this.#error = error
    // Its finder has told of damage: it heals, and readers wait for that.
    if (isStoreError(error, 'PROJECTION_DAMAGED')) return
    this.#answering.catches.rejectAll(projectionStopped(this.name, this.#answering.position, error))
  }

  #buildStopped(build: Build, error: Error): void {
    const { generation, isReady } = build
    build.error = error
    build.isReady = false
    generation.catches.rejectAll(projectionStopped(generation.name, generation.position, error))
    // Where it was not ready, whoever follows it hears of it.
    const isDamaged = isStoreError(error, 'PROJECTION_DAMAGED')
    if (isReady && isDamaged) this.#work.retire(quietly(this.#beginAgain(build)))
  }

  /**
   * Makes the rows anew beside those that answer, and lets them take over. Where that is under way
   * already, waits for it.
   *
   * @throws StoreError `ABORTED`, `PROJECTION_STOPPED`; the old rows answer as before then.
   */
  async rebuild(options: LongOptions, reason: string): Promise<void> {
    let isOurs = false
    const build = await this.#work.inTurn(async () => {
      if (this.#build !== undefined) return this.#build
      isOurs = true
      tellStarted(this.#engine, this.name, reason)
      return this.#make(this.#answering?.definition ?? this.definition, 'auto')
    })
    try {
      await attend(this.#engine, build, options)
    } catch (error) {
      if (isOurs) await this.#discard(build)
      throw error
    }
  }

  /** Resolves when the build answers. */
  async promote(options: ReadOptions): Promise<void> {
    const build = this.#wanted('promote')
    const { generation, error } = build
    if (error !== undefined) throw projectionStopped(generation.name, generation.position, error)
    if (!build.isReady) await caughtUp(this.#engine, build, options.signal)
    await this.#work.inTurn(async () => {
      // With 'auto' it may have taken over by itself meanwhile.
      if (this.#build === build) await this.#takeOver(build)
    })
  }

  async cancel(): Promise<void> {
    await this.#discard(this.#wanted('cancel'))
  }

  /** What works on files of this projection takes turns. */
  async inTurn<T>(work: (setup: GenerationSetup) => Promise<T>): Promise<T> {
    return this.#work.inTurn(async () => work(this.#setup))
  }

  /** Ends what runs, at the event at hand or in front of it, and whoever waits. */
  interrupt(): void {
    this.patience.begin()
    const error = new StoreError('STORE_CLOSED', 'The store is closed', { operation: 'query' })
    for (const one of this.#generations()) {
      one.interrupt()
      one.catches.rejectAll(error)
    }
  }

  /** Brings the rows up to the durable head, if that is near: a read-only open can then answer. */
  async finish(): Promise<void> {
    if (this.#error !== undefined || this.#answering === undefined) return
    const { durableHead } = this.#engine.parts.log
    try {
      await this.#answering.finish(durableHead, FINISH_EVENTS_MAX)
    } catch (cause) {
      // The next open meets it again, and stops there. One that was given up is told at the end.
      if (!this.patience.isSpent) tellStopped(this.#engine, this.#answering, cause)
    }
  }

  async close({ flush }: { flush: boolean }): Promise<void> {
    try {
      await this.#work.settled()
    } finally {
      if (this.patience.isSpent) tellGivenUp(this.#engine, this.name, this.#answering)
      for (const one of this.#generations()) await one.close({ flush })
    }
  }

  #generations(): Generation[] {
    return [this.#answering, this.#build?.generation].filter((one) => one !== undefined)
  }

  /** Why the one that answers does not come nearer to its head; `undefined`: it does. */
  #standstill(): Error | undefined {
    const { closing, parts } = this.#engine
    if (closing.signal.aborted) return aborted(closing.signal, 'query')
    if (parts.options.readOnly) return this.notBuilt()
    if (this.#error === undefined || this.#healing !== undefined) return undefined
    return projectionStopped(this.name, this.#answering?.position ?? 0, this.#error)
  }

  /** Once it has caught up, it is what the next open begins with. */
  async #publishFirst(): Promise<void> {
    const { pipeline, parts, closing } = this.#engine
    const generation = this.#answering
    assert(generation !== undefined, 'what is published is there')
    await pipeline.caughtUp(parts.log.durableHead, closing.signal, [this.name])
    await this.#work.inTurn(async () => {
      if (this.#answering !== generation || this.#isPublished) return
      await this.#publish(generation)
      tellDone(this.#engine, generation)
    })
  }

  async #publish(generation: Generation): Promise<void> {
    const { files } = this.#setup
    // A power cut must not leave CURRENT naming rows that were in the page cache alone.
    await generation.flush()
    await files.publish(generation.number)
    // The process may die here: the next open removes what CURRENT does not name.
    this.#isPublished = true
    const open = this.#generations().map(({ number }) => number)
    await files.removeOthers([generation.number, ...open])
  }

  /** In the pipeline under a name of its own: it is seen in statistics, and nobody waits for it. */
  #begin(generation: Generation, mode: Build['mode']): Build {
    generation.name = `${this.name}@${generation.version}`
    generation.isAside = true
    const cancelled = new AbortController()
    const fresh = { isReady: false, error: undefined, done: Promise.resolve() }
    const build: Build = { generation, mode, cancelled, ...fresh }
    this.#build = build
    this.#watch(generation)
    this.#engine.pipeline.add(generation)
    build.done = this.#follow(build)
    this.#work.retire(quietly(build.done))
    return build
  }

  async #follow(build: Build): Promise<void> {
    try {
      await caughtUp(this.#engine, build)
    } catch (error) {
      if (!isStoreError(build.error, 'PROJECTION_DAMAGED')) throw error
      await this.#beginAgain(build)
      return
    }
    build.isReady = true
    if (build.mode === 'manual') return
    await this.#work.inTurn(async () => {
      if (this.#build === build) await this.#takeOver(build)
    })
  }

  /** Nobody answers by the rows of a build: where they are damaged, it starts from nothing. */
  async #beginAgain(build: Build): Promise<void> {
    if (this.#build !== build) return
    await this.#discard(build)
    const { definition } = build.generation
    const again = await this.#work.inTurn(async () => this.#make(definition, build.mode))
    await again.done
  }

  /** In turn: each makes a directory under the next number. */
  async #make(definition: Definition, mode: Build['mode']): Promise<Build> {
    const { signal } = this.#engine.closing
    const generation = await createGeneration({ ...this.#setup, definition })
    if (!signal.aborted) return this.#begin(generation, mode)
    await generation.discard()
    throw aborted(signal, 'build')
  }

  async #takeOver(build: Build): Promise<void> {
    const { pipeline, parts, closing } = this.#engine
    const { generation: next } = build
    const old = this.#answering
    assert(old !== undefined, 'a build stands beside what answers')
    throwIfAborted(closing.signal, 'promote')
    await pipeline.remove(next.name)
    next.name = this.name
    next.isAside = false
    try {
      await pipeline.replace(next, async () => {
        while (next.position < old.position) {
          throwIfAborted(closing.signal, 'promote')
          await next.project(parts.log.durableHead)
        }
        await this.#publish(next)
        this.#answering = next
        this.#build = undefined
        this.#error = undefined
        // Rows of the old one go no further: who reads at the head begins at the new one.
        old.catches.rejectAll(this.notBuilt())
      })
    } finally {
      // Views that read them keep the old rows.
      if (this.#answering === next) this.#work.retire(old.discard())
      // A store that closes keeps the build: the next open goes on with it.
      else if (!closing.signal.aborted) this.#forget(build)
    }
    tellDone(this.#engine, next)
  }

  async #discard(build: Build): Promise<void> {
    build.cancelled.abort()
    await this.#work.inTurn(async () => {
      if (this.#build !== build) return
      await this.#engine.pipeline.remove(build.generation.name)
      this.#forget(build)
    })
  }

  /** Nothing projects it any more. */
  #forget({ generation, cancelled }: Build): void {
    this.#build = undefined
    cancelled.abort()
    generation.catches.rejectAll(aborted(cancelled.signal, 'build'))
    this.#work.retire(generation.discard())
  }

  #wanted(operation: string): Build {
    if (this.#build !== undefined) return this.#build
    throw notBuilding(this.name, operation)
  }

  #watch(generation: Generation): void {
    generation.whenDamaged((error) => {
      if (generation === this.#answering) this.heal(error.message)
    })
  }

  /** Damaged rows are made anew from the log, without being asked. */
  heal(reason: string, options: { isTold: boolean } = { isTold: false }): void {
    const { parts, closing, pipeline } = this.#engine
    if (parts.options.readOnly || closing.signal.aborted || this.#healing !== undefined) return
    const { hub } = parts
    const part = `projection ${this.name}`
    if (hub.active && !options.isTold) {
      hub.emit({ type: 'damage-found', time: Date.now(), part, reason })
    }
    // At once: whoever waits for it goes on waiting.
    pipeline.setRebuilding(this.name, true)
    this.#healing = this.#rebuildDamaged(reason)
      .catch((error: unknown) => {
        if (closing.signal.aborted) return
        // The next read that meets the damage tries again.
        pipeline.setRebuilding(this.name, false)
        const why = error instanceof Error ? error.message : String(error)
        if (hub.active) hub.emit({ type: 'heal-failed', time: Date.now(), part, reason: why })
      })
      .finally(() => {
        this.#healing = undefined
      })
    this.#work.retire(this.#healing)
  }

  async #rebuildDamaged(reason: string): Promise<void> {
    const damaged = this.#answering
    await this.rebuild({}, reason)
    // One that waited for its promotion is better than damaged rows.
    if (this.#answering === damaged && this.#build !== undefined) await this.promote({})
    this.#engine.pipeline.setRebuilding(this.name, false)
  }
}
