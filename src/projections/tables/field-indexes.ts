/**
 * Indexes of metadata fields, kept by the writer of the tables.
 *
 * A change of a concept changes them in the same batch. An index that is declared over concepts
 * that are there already is built in steps between batches, each written whole with how far it
 * came: after a crash it goes on there. What the steps have not reached is left to them, whatever
 * happens to it meanwhile. An index that is no longer declared is emptied in steps in the same way.
 */
import { unpack } from '../../storage/codec.ts'
import type { Level, LevelBatch } from '../../storage/level.ts'
import type { ConceptState } from '../state.ts'
import { decodeConcept } from './concept-row.ts'
import { type FieldValue, FieldValues, isSameToIndexes } from './field-values.ts'
import { indexRange } from './index-keys.ts'
import {
  covers,
  declaredBy,
  encodeIndexStates,
  type Indexes,
  type IndexState,
  isBuilt,
  newIndex,
  progressOf
} from './index-states.ts'
import { conceptKey, META, ordinalOf, PREFIX } from './keys.ts'
import { PostingEditor } from './posting-editor.ts'
import { readRow, sealRow } from './rows.ts'
import { ValueCounts } from './value-counts.ts'

/**
 * How long rows are read in one step; writing takes about as long again, and a batch may have to
 * wait for it. The longer, the more entries are written into the same rows at once.
 */
const STEP_MS = 30

interface Index {
  readonly state: IndexState
  readonly values: FieldValues
}

type Metadata = Readonly<Record<string, unknown>>

export class FieldIndexes {
  readonly #level: Level
  readonly #declared: Indexes
  readonly #postings: PostingEditor
  readonly #counts: ValueCounts
  readonly #removed: Buffer[] = []
  #indexes: Index[]
  #isChanged = false

  /** @param declared What there shall be; `undefined`: what there is. */
  constructor(
    level: Level,
    states: readonly IndexState[],
    declared: Indexes | undefined,
    ordinals: number
  ) {
    this.#level = level
    this.#postings = new PostingEditor(level)
    this.#counts = new ValueCounts(level)
    this.#indexes = states.map(indexOf)
    this.#declared = declared ?? declaredBy(states)
    for (const { state } of this.#indexes) {
      if (this.#declared[state.field] === state.type || state.dropping) continue
      state.dropping = true
      this.#isChanged = true
    }
    this.#addMissing(ordinals)
  }

  /** Whether nothing is declared, and nothing is left of what was. */
  get isEmpty(): boolean {
    return this.#indexes.length === 0
  }

  /** Whether something is left to build or to remove. */
  get isBusy(): boolean {
    return this.#indexes.some(({ state }) => !isBuilt(state))
  }

  /** How far each field is, from 0 to 1. */
  get progress(): Record<string, number> {
    const living = this.#indexes.filter(({ state }) => !state.dropping)
    return Object.fromEntries(living.map(({ state }) => [state.field, progressOf(state)]))
  }

  /** Follows a concept from one version to the next; `undefined` before its time and behind it. */
  change(ordinal: number, before: ConceptState | undefined, after: ConceptState | undefined): void {
    const indexes = this.#indexes.filter(({ state }) => covers(state, ordinal))
    if (indexes.length === 0 || isSameToIndexes(before, after)) return
    const [old, now] = [metadataOf(before), metadataOf(after)]
    for (const { values } of indexes) {
      const [gone, there] = [values.of(old), values.of(now)]
      for (const [name, value] of gone) {
        if (there.has(name)) continue
        this.#postings.remove(values.keyPrefix(value), ordinal)
        this.#counts.add(values.countPrefixes[value.kind], value.encoded, -1)
      }
      for (const [name, value] of there) {
        const isNew = !gone.has(name)
        if (isNew || before?.revision !== after?.revision) {
          this.#put(values, value, ordinal, after?.revision ?? 0, isNew)
        }
      }
    }
  }

  /**
   * Gathers one step of what is left. The caller writes it, with nothing else gathered.
   *
   * @param ordinals The highest that was given so far.
   * @returns The fields whose indexes are built with it.
   */
  async step(ordinals: number): Promise<string[]> {
    const dropped = this.#indexes.find(({ state }) => state.dropping)
    if (dropped !== undefined) {
      await this.#drop(dropped, ordinals)
      return []
    }
    const building = this.#indexes.filter(({ state }) => !isBuilt(state))
    const next = Math.min(...building.map(({ state }) => state.next))
    // Those that are at the same place share the reading; the others wait until it is theirs.
    const together = building.filter(({ state }) => state.next === next)
    const until = Math.min(...building.map(({ state }) => nextStop(state, next)))
    await this.#build(together, next, until)
    return together.filter(({ state }) => isBuilt(state)).map(({ state }) => state.field)
  }

  /** @throws StoreError `TABLES_DAMAGED`: what is to change is not there. */
  flush(batch: LevelBatch): void {
    for (const key of this.#removed) batch.del(key)
    this.#postings.flush(batch)
    this.#counts.flush(batch)
    if (!this.#isChanged) return
    const states = this.#indexes.map(({ state }) => state)
    batch.put(META.indexes, sealRow(META.indexes, encodeIndexStates(states)))
  }

  /** After the batch was written. */
  clear(): void {
    this.#removed.length = 0
    this.#postings.clear()
    this.#counts.clear()
    this.#isChanged = false
  }

  async #build(indexes: readonly Index[], next: number, until: number): Promise<void> {
    const last = await eachRow(this.#level, conceptKey(next), conceptKey(until), (key, value) => {
      const ordinal = ordinalOf(key)
      const state = readRow(key, value, (row) => decodeConcept(ordinal, row))
      const metadata = metadataOf(state)
      for (const { values } of indexes) {
        for (const one of values.of(metadata).values()) {
          this.#put(values, one, ordinal, state.revision, true)
        }
      }
    })
    const reached = last === undefined ? until : ordinalOf(last) + 1
    for (const { state } of indexes) state.next = reached
    this.#isChanged = true
  }

  /** Its rows of values first, then those of counts; once none is left, it is as if never declared. */
  async #drop(index: Index, ordinals: number): Promise<void> {
    const { field, type } = index.state
    for (const prefix of [PREFIX.posting, PREFIX.valueCount]) {
      const { gte, lt } = indexRange(prefix, field, type)
      const last = await eachRow(this.#level, gte, lt, (key) => this.#removed.push(key))
      if (last !== undefined) return
    }
    this.#indexes = this.#indexes.filter((one) => one !== index)
    this.#isChanged = true
    this.#addMissing(ordinals)
  }

  #addMissing(ordinals: number): void {
    for (const [field, type] of Object.entries(this.#declared)) {
      const isSame = ({ state }: Index): boolean => state.field === field && state.type === type
      // One that is declared again while it is removed is removed first.
      if (this.#indexes.some(isSame)) continue
      this.#indexes.push(indexOf(newIndex(field, type, ordinals)))
      this.#isChanged = true
    }
  }

  #put(
    values: FieldValues,
    value: FieldValue,
    ordinal: number,
    revision: number,
    isNew: boolean
  ): void {
    this.#postings.put(values.keyPrefix(value), ordinal, revision)
    if (isNew) this.#counts.add(values.countPrefixes[value.kind], value.encoded, 1)
  }
}

function indexOf(state: IndexState): Index {
  return { state: { ...state }, values: new FieldValues(state.field, state.type) }
}

/** Where the next step must end at the latest, so that indexes that trail others catch up. */
function nextStop({ next, until }: IndexState, from: number): number {
  return next > from ? next : until
}

function metadataOf(state: ConceptState | undefined): Metadata | undefined {
  // Written by the checks in front of the log and covered by a checksum, so it is an object.
  return state?.metadata && (unpack(state.metadata) as Metadata)
}

/** Visits rows for as long as a step may take. @returns The key of the last one. */
async function eachRow(
  level: Level,
  gte: Buffer,
  lt: Buffer,
  visit: (key: Buffer, value: Buffer) => void
): Promise<Buffer | undefined> {
  const began = performance.now()
  let last: Buffer | undefined
  for await (const rows of level.blocks({ gte, lt })) {
    for (const [key, value] of rows) visit(key, value)
    last = rows.at(-1)?.[0]
    if (performance.now() - began >= STEP_MS) break
  }
  return last
}
