/**
 * The newest state of the store as the writer sees it: what is acknowledged and what is staged.
 * Staging a commit resolves its commands one after the other, each seeing those before it, and
 * puts the outcome into the overlay under the positions that it will get.
 */
import { assert } from '../assert.ts'
import type { Scope } from '../checks/values.ts'
import type { ConceptId } from '../ids.ts'
import type { AssociationEnd, LogEvent } from '../log/event.ts'
import type { Frame, LogCommit } from '../log/frame.ts'
import type { Limits } from '../options.ts'
import { consistentEvents, type KnownState, numbersOf } from '../projections/after-gap.ts'
import type { IdEntry, IdTable } from '../projections/id-table.ts'
import type { Overlay } from '../projections/overlay.ts'
import type { CountDelta, NotedCommit } from '../projections/overlay-segment.ts'
import { Pinned } from '../projections/pinned.ts'
import {
  type AssociationState,
  type At,
  type ConceptState,
  foldAssociation,
  foldConcept
} from '../projections/state.ts'
import type { TablesSnapshot } from '../projections/tables/snapshot.ts'
import type { CommandResult } from '../types.ts'
import { AssociationFilter } from './association-filter.ts'
import { checkExpectation } from './expectation.ts'
import { LeftOut } from './left-out.ts'
import { type ResolveContext, resolveCommand } from './resolve.ts'
import { type CommitOutcome, metaOf, resultsToKeep, type WaitingCommit } from './staged-commit.ts'
import type { ValidCommand } from './valid-command.ts'

export interface StageOptions {
  overlay: Overlay
  ids: IdTable
  limits: Readonly<Limits>
  /** The tables as they are now; replaced as they are projected. */
  live: { readonly snapshot: TablesSnapshot }
  /** The highest numbers given so far. */
  ordinals: number
  revisions: number
  position: number
  time: number
}

export interface Staged {
  /** `undefined` when nothing is to be written. */
  log: LogCommit | undefined
  outcome: CommitOutcome
}

/** What everything is staged at: behind every position there is. */
const NEWEST = Number.MAX_SAFE_INTEGER

export class Stage implements ResolveContext {
  readonly #overlay: Overlay
  readonly #ids: IdTable
  readonly #limits: Readonly<Limits>
  readonly #live: { readonly snapshot: TablesSnapshot }
  /** Concepts with a higher ordinal were learned since; the filter knows all they are source of. */
  readonly #ordinalsAtOpen: number
  readonly #filter = new AssociationFilter()
  #state: Pinned | undefined
  #ordinals: number
  #revisions: number
  #position: number
  #time: number
  /** Whether what is replayed stands behind a gap; what is staged now is consistent anyway. */
  #isPastGap: boolean
  /** Ids that the commit being staged has changed, and what was known of each before. */
  readonly #changedIds: { id: ConceptId; before: IdEntry | undefined }[] = []
  #mayTakeBack = false
  #wantsResults = true

  constructor(options: StageOptions) {
    this.#overlay = options.overlay
    this.#ids = options.ids
    this.#limits = options.limits
    this.#live = options.live
    this.#ordinals = options.ordinals
    this.#ordinalsAtOpen = options.ordinals
    this.#revisions = options.revisions
    this.#position = options.position
    this.#time = options.time
    this.#isPastGap = options.live.snapshot.isPastGap
  }

  /** The position of the last event staged. */
  get position(): number {
    return this.#position
  }

  /** The newest state, staged commits included. */
  get state(): Pinned {
    const { snapshot } = this.#live
    // Asked for several times a command, and nearly always the same.
    if (this.#state?.isOf(snapshot, this.#overlay) === true) return this.#state
    this.#state = new Pinned(NEWEST, snapshot, this.#overlay, this.#ids)
    return this.#state
  }

  /** The commit with this idempotency key that the overlay knows, staged ones included. */
  notedCommit(key: string): NotedCommit | undefined {
    for (const segment of this.#overlay.segments) {
      const commit = segment.commits.get(key)
      if (commit !== undefined) return commit
    }
    return undefined
  }

  /** Position of an older commit with this idempotency key, in the tables. */
  storedCommit(key: string): number | undefined {
    return this.#live.snapshot.commitOf(key)
  }

  /**
   * Stages one commit: all of it or, when it throws, nothing.
   *
   * @throws StoreError `EXPECTATION_FAILED` and what `resolveCommand` throws.
   */
  stage(commit: WaitingCommit): Staged {
    const first = this.#position + 1
    const before = { ordinals: this.#ordinals, revisions: this.#revisions }
    // A single command is refused before it changes anything, so there is nothing to take back.
    const isDryRun = commit.lenient?.dryRun === true
    this.#begin(commit.commands.length > 1 || isDryRun)
    // A lenient commit tells what it left out, and nothing of the rest.
    this.#wantsResults = commit.lenient === undefined
    try {
      for (const one of commit.expect) checkExpectation(one, this.state, this.#position)
      const staged = this.#stageCommands(commit, first)
      if (isDryRun) {
        this.#takeBack(before)
        return { log: undefined, outcome: staged.outcome }
      }
      this.#keep()
      if (staged.log !== undefined) {
        this.#position = first + staged.log.events.length - 1
        this.#time = staged.log.time
      }
      return staged
    } catch (error) {
      this.#takeBack(before)
      throw error
    }
  }

  #takeBack(before: { ordinals: number; revisions: number }): void {
    this.#overlay.rollback()
    for (const { id, before } of this.#changedIds.reverse()) this.#ids.restore(id, before)
    this.#changedIds.length = 0
    this.#ordinals = before.ordinals
    this.#revisions = before.revisions
  }

  /** Repeats an event of the log, when a store is opened. */
  replay(event: LogEvent, at: At, bytes: number): void {
    this.#begin(false)
    this.#overlay.addEvent(at.position, bytes)
    for (const one of this.#consistent(event)) this.#fold(one, at)
    this.#keep()
    this.#position = at.position
    this.#time = at.time
  }

  /** Passes over events that are lost, when a store is opened. */
  replayGap({ last, time }: Pick<Frame, 'last' | 'time'>): void {
    this.#isPastGap = true
    this.#position = last
    this.noteTime(time ?? 0)
  }

  /** Notes the time of an older commit: later ones are never earlier. */
  noteTime(time: number): void {
    this.#time = Math.max(this.#time, time)
  }

  /** Repeats the idempotency record of a commit of the log. */
  replayCommit(commit: LogCommit): void {
    const { idempotency } = commit.meta ?? {}
    if (idempotency === undefined) return
    const last = commit.first + commit.events.length - 1
    this.#overlay.noteCommit(idempotency.key, { ...idempotency, first: commit.first, last })
  }

  #consistent(event: LogEvent): LogEvent[] {
    if (!this.#isPastGap) return [event]
    const { ordinal, revision } = numbersOf(event)
    this.#ordinals = Math.max(this.#ordinals, ordinal)
    this.#revisions = Math.max(this.#revisions, revision)
    return consistentEvents(event, this.#known)
  }

  readonly #known: KnownState = {
    isAlive: (ordinal) => this.state.concept(ordinal) !== undefined,
    livingOrdinal: (id) => this.state.conceptById(id)?.ordinal,
    hasAssociation: ({ source, target, name, key }) =>
      this.state.association(source, target, name, key ?? '') !== undefined
  }

  #begin(mayRollBack: boolean): void {
    this.#overlay.begin(mayRollBack)
    this.#mayTakeBack = mayRollBack
  }

  #keep(): void {
    this.#overlay.keep()
    this.#changedIds.length = 0
  }

  #stageCommands(commit: WaitingCommit, first: number): Staged {
    // Time never decreases along the log, whatever the clock does.
    const time = Math.max(Date.now(), this.#time)
    // There may be none, where all of an import's were left out before.
    const bytesPerCommand = commit.bytes / Math.max(1, commit.commands.length)
    const events: LogEvent[] = []
    const results: CommandResult[] = []
    const { lenient } = commit
    const leftOut = new LeftOut(lenient)
    const add = (event: LogEvent): void => {
      const position = first + events.length
      this.#overlay.addEvent(position, bytesPerCommand)
      this.#fold(event, { position, time })
      events.push(event)
    }
    for (const [index, command] of commit.commands.entries()) {
      if (leftOut.holds(index, command)) continue
      const scope = { command: index, limits: this.#limits }
      try {
        if (lenient?.createMissing === true) this.#createMissing(scope, command, add)
        const { event, result } = this.#resolve(scope, command)
        if (event !== undefined) add(event)
        if (this.#wantsResults) results.push(result)
      } catch (error) {
        leftOut.add(index, command, error)
      }
    }
    if (commit.idempotency !== undefined) {
      // The key must be remembered even if nothing changed: a retry may meet another state.
      if (events.length === 0) add({ type: 'commit-noted' })
      const last = first + events.length - 1
      this.#overlay.noteCommit(commit.idempotency.key, {
        ...commit.idempotency,
        first,
        last,
        results: resultsToKeep(commit, results)
      })
    }
    const { durability } = commit
    const last = first + events.length - 1
    const outcome: CommitOutcome = {
      receipt: { outcome: 'appended', first, last, durability, backlog: 0, results },
      rejected: leftOut.rejected
    }
    if (events.length === 0) return { log: undefined, outcome }
    return { log: { time, first, meta: metaOf(commit, outcome), events }, outcome }
  }

  #resolve(scope: Scope, command: ValidCommand): ReturnType<typeof resolveCommand> {
    return resolveCommand(this, scope, command)
  }

  get ids(): IdTable {
    return this.#ids
  }

  get wantsResults(): boolean {
    return this.#wantsResults
  }

  nextOrdinal(): number {
    this.#ordinals += 1
    return this.#ordinals
  }

  nextRevision(): number {
    this.#revisions += 1
    return this.#revisions
  }

  newestAssociation(
    source: AssociationEnd,
    target: AssociationEnd,
    name: string,
    key: string
  ): AssociationState | undefined {
    const isYoung = source.ordinal > this.#ordinalsAtOpen
    if (isYoung && !this.#filter.mayHave(source.ordinal, target.ordinal, name, key))
      return undefined
    return this.state.association(source, target, name, key)
  }

  #createMissing(scope: Scope, command: ValidCommand, add: (event: LogEvent) => void): void {
    if (command.do !== 'associate') return
    for (const concept of [command.ref.source, command.ref.target]) {
      if (this.state.conceptById(concept.id) !== undefined) continue
      const fields = { content: '' }
      const stub: ValidCommand = { do: 'learn', concept, fields, ifExists: 'keep', stub: true }
      const { event } = this.#resolve(scope, stub)
      if (event !== undefined) add(event)
    }
  }

  /** Folds one event into the overlay and the id table. */
  #fold(event: LogEvent, at: At): void {
    const overlay = this.#overlay
    switch (event.type) {
      case 'concept-learned':
      case 'concept-reinforced':
      case 'concept-revised': {
        const before = event.created ? undefined : this.state.concept(event.ordinal)
        const after = foldConcept(before, event, at)
        if (event.created) overlay.addConcept(after)
        else overlay.changeConcept(after)
        if (before !== undefined) this.#countChange(at.position, before, after)
        this.#ordinals = Math.max(this.#ordinals, event.ordinal)
        this.#revisions = Math.max(this.#revisions, after.revision)
        const isLateKey =
          before !== undefined && before.key === undefined && after.key !== undefined
        if (isLateKey) overlay.addLateKey()
        if (event.created || isLateKey) {
          const { id, ordinal, version } = event
          const hasKey = after.key !== undefined
          // Versions go on after a forgetting, so a higher one tells of another ordinal before.
          const isOnly = version === 1
          this.#setId(id, { ordinal, isAlive: true, hasKey, isOnly })
        }
        return
      }
      case 'concept-forgotten': {
        const before = this.state.concept(event.ordinal)
        assert(before !== undefined, 'only a concept that is there is forgotten')
        overlay.addDelta({
          ...noDelta(at.position),
          concepts: -1,
          vectors: before.revision > 0 ? -1 : 0,
          typeFrom: before.type,
          associations: undefined,
          forgotten: event.ordinal
        })
        overlay.forgetConcept(event.ordinal, { position: at.position, version: event.version })
        const { id, ordinal } = event
        this.#setId(id, { ordinal, isAlive: false, hasKey: false, isOnly: true })
        return
      }
      case 'association-created':
      case 'association-reinforced':
      case 'association-revised': {
        const { source, target, name } = event
        const key = event.key ?? ''
        const before = event.created ? undefined : this.state.association(source, target, name, key)
        const after = foldAssociation(before, event, at)
        overlay.putAssociation({ source, target, name, key }, at.position, after)
        if (event.created && source.ordinal > this.#ordinalsAtOpen) {
          this.#filter.add(source.ordinal, target.ordinal, name, key)
        }
        if (event.created) overlay.addCreated(at.position)
        return
      }
      case 'association-removed': {
        const { source, target, name } = event
        const ref = { source, target, name, key: event.key ?? '' }
        overlay.putAssociation(ref, at.position, undefined)
        overlay.addDelta({ ...noDelta(at.position), associations: -1 })
        return
      }
      case 'vectors-declared':
      case 'commit-noted':
      case 'event-quarantined':
      case 'event-released':
        return
    }
  }

  #countChange(position: number, before: ConceptState, after: ConceptState): void {
    const vectors = Number(after.revision > 0) - Number(before.revision > 0)
    if (vectors === 0 && before.type === after.type) return
    const types = { typeFrom: before.type, typeTo: after.type }
    this.#overlay.addDelta({ ...noDelta(position), vectors, ...types })
  }

  #setId(id: ConceptId, entry: IdEntry): void {
    if (this.#mayTakeBack) this.#changedIds.push({ id, before: this.#ids.find(id) })
    this.#ids.set(id, entry)
  }
}

function noDelta(position: number): CountDelta {
  return {
    position,
    concepts: 0,
    vectors: 0,
    typeFrom: undefined,
    typeTo: undefined,
    associations: 0,
    forgotten: 0
  }
}
