/**
 * Folds events into the tables: the one place that writes them. Runs in the tables' worker.
 *
 * A batch is gathered in memory and written at once: rows, counts, checkpoint and continuity
 * record in one atomic LevelDB batch (invariant 5). If the process dies before, the checkpoint is
 * the old one and the events are applied again; after, it is the new one. There is no between.
 */
import { assert } from '../../assert.ts'
import type { Anchor } from '../../log/anchor.ts'
import {
  type AssociationChanged,
  type AssociationRemoved,
  type ConceptChanged,
  type ConceptForgotten,
  encodeEvent,
  type LogEvent
} from '../../log/event.ts'
import { LearnedConcept, readEvent } from '../../log/event-reader.ts'
import { BodyReader, type CommitHead, type RawFrame } from '../../log/frame-decode.ts'
import { bodyDamage } from '../../log/reader.ts'
import { pack } from '../../storage/codec.ts'
import type { Level } from '../../storage/level.ts'
import type { MessageReader } from '../../storage/message-reader.ts'
import { consistentEvents, type KnownState, numbersOf } from '../after-gap.ts'
import { type AssociationState, type At, foldAssociation, foldConcept } from '../state.ts'
import { decodeAssociation, otherOrdinalOf } from './association-row.ts'
import { eraseSome, livingAssociations } from './dead-associations.ts'
import { FieldIndexes } from './field-indexes.ts'
import type { Indexes, IndexState } from './index-states.ts'
import { deadKey, idempotencyKey, META, recordKey, type Side } from './keys.ts'
import { newEntry, type PageEntry } from './page.ts'
import { RowBatch } from './row-batch.ts'
import { loseSums, newSums, type Sums } from './row-sums.ts'
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

export interface WriterState {
  checkpoint: number
  /** Of which history; `undefined` where an older program wrote last. */
  anchor: Anchor | undefined
  counts: TableCounts
  record: ContinuityRecord | undefined
  /** Concepts that died and whose associations are not erased yet, by ordinal. */
  dead: Map<number, DeadConcept>
  /** Where the last gap passed ends; 0 for none. */
  gap: number
  indexes: readonly IndexState[]
}

export class TablesWriter {
  readonly #editor: TreeEditor
  readonly #dead: Map<number, DeadConcept>
  readonly #rows: RowBatch
  readonly #types: TypeMembers
  readonly #learned = new LearnedConcept()
  readonly #indexes: FieldIndexes
  readonly #sums = newSums()
  #checkpoint: number
  #record: ContinuityRecord | undefined
  #counts: TableCounts
  #gap: number
  #failure: Error | undefined

  /** @param indexes What is declared; `undefined`: what the tables have. */
  constructor(level: Level, state: WriterState, indexes?: Indexes) {
    this.#rows = new RowBatch(level, this.#sums)
    this.#editor = new TreeEditor(level, state.counts.ordinals, this.#sums)
    this.#types = new TypeMembers(level)
    this.#indexes = new FieldIndexes(level, state.indexes, indexes, state.counts.ordinals)
    this.#checkpoint = state.checkpoint
    this.#record = state.record
    this.#counts = { ...state.counts }
    this.#dead = state.dead
    this.#gap = state.gap
    if (state.checkpoint > 0) loseSums(this.#sums)
    if (state.gap > 0) this.#rows.passGap()
  }

  get checkpoint(): number {
    return this.#checkpoint
  }

  /** Of the rows that are written, where this writer wrote all of them. */
  get sums(): Sums {
    return this.#sums
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

  /** Applies whole frames that follow the checkpoint and writes them as one batch. */
  async apply(frames: readonly RawFrame[]): Promise<number> {
    return this.#whole(async () => this.#apply(frames))
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

  async #apply(frames: readonly RawFrame[]): Promise<number> {
    let position = this.#checkpoint
    let checksum: number | undefined
    let events = 0
    for (const frame of frames) {
      assert(frame.first === position + 1, 'frames follow the checkpoint without a hole')
      if (frame.kind === 'gap') {
        // What is behind a gap asks where ids lead: what came before it must be found then.
        if (position > this.#checkpoint) await this.#write(position, checksum)
        this.#passGap(frame.last)
      } else {
        this.#applyFrame(frame)
        events += frame.count
      }
      position = frame.last
      checksum = frame.checksum
    }
    await this.#write(position, checksum)
    return events
  }

  #applyFrame(frame: RawFrame): void {
    try {
      const body = new BodyReader(frame)
      for (let head = body.nextCommit(); head !== undefined; head = body.nextCommit()) {
        const { idempotency } = head.meta ?? {}
        if (idempotency !== undefined) this.#putNumber(idempotencyKey(idempotency.key), head.first)
        this.#applyEvents(body.reader, head)
      }
    } catch (error) {
      throw bodyDamage(error, frame)
    }
  }

  #applyEvents(reader: MessageReader, { first, count, time }: CommitHead): void {
    const learned = this.#learned
    // Who asks what came before, or what a concept says of itself, needs more than where its row is.
    const mayCopy = this.#gap === 0 && this.#indexes.isEmpty
    for (let position = first; position < first + count; position++) {
      if (mayCopy && learned.read(reader)) {
        this.#addLearned(reader.bytes, { position, time })
        continue
      }
      const event = readEvent(reader)
      for (const one of this.#consistent(event)) this.#fold(one, { position, time })
    }
  }

  async #sweep(): Promise<{ ordinal: number; erased: number; done: boolean } | undefined> {
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
    return consistentEvents(event, this.#known)
  }

  readonly #known: KnownState = {
    isAlive: (ordinal) => this.#rows.concept(ordinal) !== undefined,
    livingOrdinal: (id) => {
      const ordinal = this.#rows.ordinalOf(id)
      return ordinal !== undefined && this.#rows.concept(ordinal) !== undefined
        ? ordinal
        : undefined
    },
    hasAssociation: (event) => {
      const found = this.#editor.find('out', event.source.ordinal, keyEntry(event, 'out'))
      // Under the same id may stand an association to the dead concept that had it before.
      return found !== undefined && otherOrdinalOf(found) === event.target.ordinal
    }
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
  #addLearned(body: Buffer, at: At): void {
    const learned = this.#learned
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
    const stored = this.#editor.find('out', source.ordinal, keyEntry(event, 'out'))
    return stored === undefined ? undefined : decodeAssociation(stored, source, 'out')
  }

  #removeAssociation(event: AssociationRemoved): void {
    const { source, target } = event
    const isLoop = source.ordinal === target.ordinal
    const out = this.#editor.remove('out', source.ordinal, keyEntry(event, 'out'), isLoop)
    const incoming = this.#editor.remove('in', target.ordinal, keyEntry(event, 'in'), isLoop)
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
    await this.#rows.write()

    this.#types.clear()
    this.#indexes.clear()
    this.#checkpoint = checkpoint
    this.#record = record
  }
}

/** The key of an association's entry in the pages of the end that `side` leaves. */
function keyEntry(event: AssociationChanged | AssociationRemoved, side: Side): PageEntry {
  const other = side === 'out' ? event.target : event.source
  return newEntry({ name: event.name, otherId: other.id, key: event.key ?? '' }, 0)
}
