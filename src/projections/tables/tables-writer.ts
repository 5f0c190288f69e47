/**
 * Folds events into the tables: the one place that writes them. Runs in the tables' worker.
 *
 * A batch is gathered in memory and written at once: rows, counts, checkpoint and continuity
 * record in one atomic LevelDB batch (invariant 5). If the process dies before, the checkpoint is
 * the old one and the events are applied again; after, it is the new one. There is no between.
 *
 * While LevelDB writes one batch the next is gathered, as far as it needs no row that is being written.
 */
import { assert } from '../../assert.ts'
import {
  type AssociationChanged,
  type AssociationRemoved,
  type ConceptChanged,
  type ConceptForgotten,
  encodeEvent,
  type LogEvent
} from '../../log/event.ts'
import type { LearnedConcept } from '../../log/event-reader.ts'
import type { RawFrame } from '../../log/frame-decode.ts'
import { pack } from '../../storage/codec.ts'
import type { Level } from '../../storage/level.ts'
import { consistentEvents, numbersOf } from '../after-gap.ts'
import { type AssociationState, type At, foldAssociation, foldConcept } from '../state.ts'
import { associationKeyOf, decodeAssociation } from './association-row.ts'
import { eraseSome, livingAssociations } from './dead-associations.ts'
import { FieldIndexes } from './field-indexes.ts'
import { type FoldTarget, FrameFold } from './frame-fold.ts'
import { GatheredState } from './gathered-state.ts'
import type { WriterState } from './generation.ts'
import type { Indexes } from './index-states.ts'
import { deadKey, idempotencyKey, META, recordKey } from './keys.ts'
import { RowBatch } from './row-batch.ts'
import { copySums, loseSums, newSums, type Sums } from './row-sums.ts'
import {
  type ContinuityRecord,
  type DeadConcept,
  encodeAnchor,
  encodeCounts,
  encodeDead,
  encodeNumber,
  encodeRecord,
  LAYOUT,
  nextRecord,
  type TableCounts
} from './rows.ts'
import { TreeEditor } from './tree-editor.ts'
import { TypeMembers } from './type-members.ts'

/** Continuity records kept behind the newest: more batches than a memtable can hold. */
const RECORDS_KEPT = 8192

/** Associations erased in one step of a sweep: a few milliseconds of work. */
const SWEEP_STEP = 500

/** Frames from a position on, or none. */
type FramesFrom = (position: number) => readonly RawFrame[]

export class TablesWriter {
  readonly #editor: TreeEditor
  readonly #dead: Map<number, DeadConcept>
  readonly #rows: RowBatch
  readonly #gathered: GatheredState
  readonly #types: TypeMembers
  readonly #indexes: FieldIndexes
  /** Of all that was gathered, also what is not written yet. */
  readonly #sums = newSums()
  #written: Sums
  #checkpoint: number
  #record: ContinuityRecord | undefined
  #counts: TableCounts
  #gap: number
  /** Gathered, all of it or some, while the batch before it was written. */
  #ahead: FrameFold | undefined
  #isWriting = false
  #failure: Error | undefined

  /** @param indexes What is declared; `undefined`: what the tables have. */
  constructor(level: Level, state: WriterState, indexes?: Indexes) {
    this.#rows = new RowBatch(level, this.#sums)
    this.#editor = new TreeEditor(level, state.counts.ordinals, this.#sums)
    this.#gathered = new GatheredState(this.#rows, this.#editor)
    this.#types = new TypeMembers(level)
    this.#indexes = new FieldIndexes(level, state.indexes, indexes, state.counts.ordinals)
    this.#checkpoint = state.checkpoint
    this.#record = state.record
    this.#counts = { ...state.counts }
    this.#dead = state.dead
    this.#gap = state.gap
    if (state.checkpoint > 0) loseSums(this.#sums)
    if (state.gap > 0) this.#rows.passGap()
    this.#written = copySums(this.#sums)
  }

  get checkpoint(): number {
    return this.#checkpoint
  }

  /** Of the rows that are written, where this writer wrote all of them. */
  get sums(): Sums {
    return this.#written
  }

  /** Whether the frames of the next batch were taken already. */
  get isAhead(): boolean {
    return this.#ahead !== undefined
  }

  /** Whether there is something to sweep. */
  get hasDead(): boolean {
    return this.#failure === undefined && this.#dead.size > 0
  }

  /** Whether there are indexes to build or to remove. */
  get hasIndexWork(): boolean {
    return this.#failure === undefined && this.#indexes.isBusy
  }

  get indexProgress(): Record<string, number> {
    return this.#indexes.progress
  }

  /**
   * Applies whole frames that follow the checkpoint and writes them as one batch.
   *
   * @param frames None where `isAhead`.
   * @param ahead Those of the next batch, where they are known by now: asked for while this one is
   * written. Never throws.
   * @returns How many events were applied.
   */
  async apply(frames: readonly RawFrame[], ahead: FramesFrom = () => []): Promise<number> {
    return this.#whole(async () => this.#apply(frames, ahead))
  }

  /** Lets go of what was gathered ahead: its events are in the log. */
  async close(): Promise<void> {
    this.#ahead = undefined
    await this.#rows.discard()
  }

  /**
   * Erases some associations of one dead concept, from its own pages and from the other ends'.
   * What is read does not change by it: the dead were left out already.
   */
  async sweep(): Promise<{ ordinal: number; erased: number; done: boolean } | undefined> {
    return this.#whole(async () => this.#sweep())
  }

  /**
   * Builds or removes some of an index.
   *
   * @returns The fields whose indexes are built with it.
   */
  async index(): Promise<string[]> {
    return this.#whole(async () => {
      assert(this.#ahead === undefined, 'no index is built in the middle of a batch')
      const built = await this.#indexes.step(this.#counts.ordinals)
      await this.#write(this.#checkpoint)
      return built
    })
  }

  /** Once a batch failed half way, what it gathered must never be written with a later one. */
  async #whole<T>(work: () => Promise<T>): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure
    try {
      return await work()
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error))
      await this.#rows.discard()
      throw error
    }
  }

  async #apply(frames: readonly RawFrame[], ahead: FramesFrom): Promise<number> {
    const gapAt = frames.findIndex(({ kind }, at) => at > 0 && kind === 'gap')
    if (gapAt > 0) {
      // What is behind a gap asks where ids lead: what came before it must be found then.
      const before = await this.#apply(frames.slice(0, gapAt), () => [])
      return before + (await this.#apply(frames.slice(gapAt), ahead))
    }
    assert(this.#ahead === undefined || frames.length === 0, 'no frame is taken twice')
    const batch = this.#ahead ?? new FrameFold(frames, this.#checkpoint, this.#target)
    this.#ahead = undefined
    assert(batch.goOn(), 'what was written before can be read')
    const { position, checksum } = batch.end
    const writing = this.#write(position, checksum)
    // A crash in here, or an error: this batch is written or not, the next one is in the log alone.
    const failure = this.#foldAhead(ahead, position)
    await writing
    if (failure !== undefined) {
      // Whoever asks for the next batch is told.
      this.#failure = failure
      await this.close()
    }
    return batch.events
  }

  /** @returns Why it failed. */
  #foldAhead(ahead: FramesFrom, position: number): Error | undefined {
    // Sweeps and steps of indexes come between batches, and what is behind a gap asks for rows.
    if (this.#gap > 0 || this.#dead.size > 0 || !this.#indexes.isEmpty) return undefined
    const frames = ahead(position + 1)
    if (frames.length === 0 || frames.some(({ kind }) => kind === 'gap')) return undefined
    try {
      this.#ahead = new FrameFold(frames, position, this.#target)
      this.#ahead.goOn()
      return undefined
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error))
    }
  }

  readonly #target: FoldTarget = {
    passGap: (last) => this.#passGap(last),
    putIdempotencyKey: (key, position) => this.#putNumber(idempotencyKey(key), position),
    // Who asks what came before, or what a concept says of itself, needs more than where its row is.
    mayCopy: () => this.#gap === 0 && this.#indexes.isEmpty,
    addLearned: (body, learned, at) => this.#addLearned(body, learned, at),
    mayFold: (event) =>
      !this.#isWriting || (event.type === 'association-created' && this.#editor.hasRoom),
    fold: (event, at) => {
      for (const one of this.#consistent(event)) this.#fold(one, at)
    }
  }

  async #sweep(): Promise<{ ordinal: number; erased: number; done: boolean } | undefined> {
    assert(this.#ahead === undefined, 'nothing is swept in the middle of a batch')
    const [first] = this.#dead
    if (first === undefined) return undefined
    const [ordinal, { id }] = first
    let all = 0
    for (const side of ['out', 'in'] as const) {
      all += eraseSome(this.#editor, this.#dead, { ordinal, id, side }, SWEEP_STEP - all)
    }
    const done = all < SWEEP_STEP
    if (done) this.#rows.del(deadKey(ordinal))
    await this.#write(this.#checkpoint)
    if (done) this.#dead.delete(ordinal)
    return { ordinal, erased: all, done }
  }

  /** Events behind a gap mean something else, and a later batch must know that there was one. */
  #passGap(last: number): void {
    this.#gap = last
    this.#rows.passGap()
    this.#putNumber(META.gap, last)
  }

  /** Each event as it is, unless a gap stands before it. */
  #consistent(event: LogEvent): LogEvent[] {
    if (this.#gap === 0) return [event]
    const { ordinal, revision } = numbersOf(event)
    this.#counts.ordinals = Math.max(this.#counts.ordinals, ordinal)
    this.#counts.revisions = Math.max(this.#counts.revisions, revision)
    return consistentEvents(event, this.#gathered)
  }

  #fold(event: LogEvent, at: At): void {
    switch (event.type) {
      case 'concept-learned':
      case 'concept-reinforced':
      case 'concept-revised':
        this.#changeConcept(event, at)
        return
      case 'concept-forgotten':
        this.#forgetConcept(event, at)
        return
      case 'association-created':
      case 'association-reinforced':
      case 'association-revised':
        this.#changeAssociation(event, at)
        return
      case 'association-removed':
        this.#removeAssociation(event)
        return
      case 'vectors-declared':
        this.#rows.put(META.vectors, pack(encodeEvent(event)))
        return
      case 'commit-noted':
      case 'event-quarantined':
      case 'event-released':
        return
    }
  }

  #changeConcept(event: ConceptChanged, at: At): void {
    const { ordinal } = event
    const before = event.created ? undefined : this.#rows.concept(ordinal)
    assert(event.created || before !== undefined, 'only a concept that is there is changed')
    const after = foldConcept(before, event, at)
    this.#rows.putConcept(ordinal, after, event.created)
    this.#indexes.change(ordinal, before, after)
    const isLateKey = before !== undefined && before.key === undefined && after.key !== undefined
    const row = { ordinal, deadVersion: 0, hasKey: after.key !== undefined }
    if (event.created) {
      this.#rows.putId(event.id, row, event.version)
      this.#counts.concepts += 1
      this.#counts.ordinals = Math.max(this.#counts.ordinals, ordinal)
    }
    if (isLateKey) {
      this.#rows.replaceId(event.id, { ...row, hasKey: false }, row)
      this.#counts.lateKeys += 1
    }
    this.#types.move(ordinal, before, after)
    this.#counts.vectors += Number(after.revision > 0) - Number((before?.revision ?? 0) > 0)
    this.#counts.revisions = Math.max(this.#counts.revisions, after.revision)
  }

  /** As `#changeConcept` of the same event, from bytes to bytes. */
  #addLearned(body: Buffer, learned: LearnedConcept, at: At): void {
    const { ordinal, revision } = learned
    this.#rows.putLearned(body, learned, at)
    this.#counts.concepts += 1
    this.#counts.ordinals = Math.max(this.#counts.ordinals, ordinal)
    if (revision > 0) {
      this.#counts.vectors += 1
      this.#counts.revisions = Math.max(this.#counts.revisions, revision)
    }
    if (learned.type.end > 0) this.#types.add(body, learned.type, ordinal, revision)
  }

  #forgetConcept(event: ConceptForgotten, at: At): void {
    const { ordinal } = event
    const before = this.#rows.concept(ordinal)
    assert(before !== undefined, 'only a concept that is there is forgotten')
    // Counted before it is marked dead, so that its loops still count as living.
    const associations = livingAssociations(this.#editor, this.#dead, ordinal)
    this.#rows.delConcept(ordinal)
    this.#indexes.change(ordinal, before, undefined)
    const row = { ordinal, deadVersion: 0, hasKey: before.key !== undefined }
    this.#rows.replaceId(event.id, row, { ordinal, deadVersion: event.version, hasKey: false })
    const dead = { id: event.id, position: at.position }
    this.#rows.put(deadKey(ordinal), encodeDead(dead))
    this.#dead.set(ordinal, dead)
    this.#types.move(ordinal, before, undefined)
    this.#counts.concepts -= 1
    this.#counts.associations -= associations
    if (before.revision > 0) this.#counts.vectors -= 1
  }

  #changeAssociation(event: AssociationChanged, at: At): void {
    const before = event.created ? undefined : this.#association(event)
    assert(event.created || before !== undefined, 'only an association that is there is changed')
    const after = foldAssociation(before, event, at)
    if (event.created) this.#counts.associations += 1
    this.#editor.upsert('out', after)
    this.#editor.upsert('in', after)
  }

  #association(event: AssociationChanged): AssociationState | undefined {
    const { source } = event
    const stored = this.#editor.find('out', source.ordinal, associationKeyOf(event, 'out'))
    return stored === undefined ? undefined : decodeAssociation(stored, source, 'out')
  }

  #removeAssociation(event: AssociationRemoved): void {
    const { source, target } = event
    const isLoop = source.ordinal === target.ordinal
    const out = this.#editor.remove('out', source.ordinal, associationKeyOf(event, 'out'), isLoop)
    const incoming = this.#editor.remove(
      'in',
      target.ordinal,
      associationKeyOf(event, 'in'),
      isLoop
    )
    assert(out, 'only an association that is there is removed')
    assert(incoming, 'both ends know of an association')
    this.#counts.associations -= 1
  }

  #putNumber(key: Buffer, value: number): void {
    this.#rows.put(key, encodeNumber(value))
  }

  async #write(checkpoint: number, checksum?: number): Promise<void> {
    assert(checkpoint >= this.#checkpoint, 'a checkpoint only moves forward (invariant 4)')
    const { batch } = this.#rows
    this.#types.flush(batch)
    this.#editor.flush(batch)
    this.#indexes.flush(batch)
    this.#rows.put(META.counts, encodeCounts(this.#counts))
    this.#putNumber(META.checkpoint, checkpoint)
    if (checksum !== undefined) this.#rows.put(META.anchor, encodeAnchor(checkpoint, checksum))
    if (this.#record === undefined) this.#putNumber(META.layout, LAYOUT)
    const record = nextRecord(this.#record, this.#checkpoint + 1, checkpoint)
    this.#rows.put(recordKey(record.batch), encodeRecord(record))
    if (record.batch > RECORDS_KEPT) this.#rows.del(recordKey(record.batch - RECORDS_KEPT))
    const sums = copySums(this.#sums)
    this.#types.clear()
    this.#indexes.clear()
    this.#isWriting = true
    await this.#rows.write()

    this.#isWriting = false
    this.#written = sums
    this.#checkpoint = checkpoint
    this.#record = record
  }
}
