import { isStoreError } from '../../errors.ts'
import type { ConceptId } from '../../ids.ts'
import type { AssociationEnd, VectorsDeclared } from '../../log/event.ts'
import {
  isCorruption,
  type Level,
  type LevelRange,
  type LevelSnapshot
} from '../../storage/level.ts'
import type { Seek } from '../order.ts'
import type { AssociationState, ConceptState } from '../state.ts'
import { decodeAssociation, decodeLink } from './association-row.ts'
import { decodeConcept } from './concept-row.ts'
import { behind, groupOf, postingKey } from './index-keys.ts'
import { decodeIndexStates, type IndexState } from './index-states.ts'
import {
  conceptKey,
  endOf,
  idempotencyKey,
  idKey,
  META,
  ordinalOf,
  PREFIX,
  pageKey,
  type Side,
  typeCountKey,
  typePrefix
} from './keys.ts'
import { type Link, Links } from './links.ts'
import { newEntry, type PageEntry, PageReader } from './page.ts'
import { entriesBelow, leafBelow, type PageSeek } from './page-walk.ts'
import { checkPosting, decodeEntries, GROUP_BITS, hasEntries } from './postings.ts'
import { type Row, RowCursor } from './row-cursor.ts'
import {
  decodeCounts,
  decodeDead,
  decodeId,
  decodeNumber,
  decodeVectors,
  type IdRow,
  NO_COUNTS,
  openRow,
  readRow,
  rowDamaged,
  type TableCounts
} from './rows.ts'
import { checkCells } from './value-counts.ts'

export interface SnapshotWatcher {
  onClosed(): void
  /** Told before the error is thrown. */
  onDamaged(error: Error): void
}

/**
 * The tables as they were at one checkpoint, for as long as somebody holds it.
 *
 * The checkpoint is read *through* the snapshot: one taken while a batch is being written may or
 * may not hold that batch, and only the snapshot itself knows.
 */
export class TablesSnapshot {
  readonly checkpoint: number
  readonly #level: Level
  readonly #snapshot: LevelSnapshot
  readonly #watcher: SnapshotWatcher
  #holders = 1
  #counts: TableCounts | undefined
  #indexes: readonly IndexState[] | undefined

  constructor(level: Level, watcher: SnapshotWatcher) {
    this.#level = level
    this.#snapshot = level.snapshot()
    this.#watcher = watcher
    this.checkpoint = this.#read(META.checkpoint, decodeNumber) ?? 0
  }

  /** Whether it is of the same generation of the tables. */
  isBeside(other: TablesSnapshot): boolean {
    return this.#level === other.#level
  }

  hold(): void {
    this.#holders += 1
  }

  /** Closes the snapshot when the last holder lets go. */
  async release(): Promise<void> {
    this.#holders -= 1
    if (this.#holders > 0) return
    await this.#snapshot.close()
    this.#watcher.onClosed()
  }

  concept(ordinal: number): ConceptState | undefined {
    return this.#read(conceptKey(ordinal), (payload) => decodeConcept(ordinal, payload))
  }

  idRow(id: ConceptId): IdRow | undefined {
    return this.#read(idKey(id), decodeId)
  }

  /** Position of the first event of the commit with this idempotency key. */
  commitOf(key: string): number | undefined {
    return this.#read(idempotencyKey(key), decodeNumber)
  }

  counts(): TableCounts {
    this.#counts ??= this.#read(META.counts, decodeCounts) ?? NO_COUNTS
    return this.#counts
  }

  /** The indexes of metadata fields, those that are not built yet too. */
  indexes(): readonly IndexState[] {
    this.#indexes ??= this.#read(META.indexes, decodeIndexStates) ?? []
    return this.#indexes
  }

  /** What is in one row of an index; `undefined` where there is none. */
  posting(key: Buffer): Buffer | undefined {
    return this.#read(key, (payload) => checkPosting(key, payload))
  }

  /** One that a row of counts names. */
  postingPart(key: Buffer): Buffer {
    const found = this.posting(key)
    if (found === undefined) throw this.#asDamage(rowDamaged(key, 'it is missing'), key)
    return found
  }

  /** Rows of indexes in the order of values, with what is in them. */
  async *postings(range: LevelRange): AsyncGenerator<Row[]> {
    for await (const rows of this.#blocks({ ...range, fillCache: true })) {
      yield rows.map(([key, value]) => [key, checkPosting(key, openRow(key, value))])
    }
  }

  /** What is in one row of counts of values. */
  valueCount(key: Buffer): Buffer | undefined {
    return this.#read(key, (payload) => checkCells(key, payload))
  }

  typeCount(type: string): number {
    return this.#read(typeCountKey(type), decodeNumber) ?? 0
  }

  /** Whether a gap of the log lies before the checkpoint. */
  get isPastGap(): boolean {
    return this.#read(META.gap, decodeNumber) !== undefined
  }

  /** The declaration of vectors, if there was one. */
  vectors(): VectorsDeclared | undefined {
    return this.#read(META.vectors, decodeVectors)
  }

  /** Concepts that died and whose associations are not erased, with the position of their death. */
  async dead(): Promise<Map<number, number>> {
    const dead = new Map<number, number>()
    for await (const rows of this.#blocks(allOf(PREFIX.dead))) {
      for (const [key, value] of rows) {
        dead.set(ordinalOf(key), readRow(key, value, decodeDead).position)
      }
    }
    return dead
  }

  async typeCounts(): Promise<Map<string, number>> {
    const counts = new Map<string, number>()
    for await (const rows of this.#blocks(allOf(PREFIX.typeCount))) {
      for (const [key, value] of rows) {
        counts.set(key.toString('utf8', 1), readRow(key, value, decodeNumber))
      }
    }
    return counts
  }

  association(
    source: AssociationEnd,
    target: ConceptId,
    name: string,
    key: string
  ): AssociationState | undefined {
    const wanted = newEntry({ name, otherId: target, key }, 0)
    try {
      const page = this.#leafFor('out', source.ordinal, wanted)
      if (page === undefined) return undefined
      const index = page.lowerBound(wanted)
      if (!page.isAt(index, wanted)) return undefined
      return decodeAssociation(page.entryAt(index), source, 'out')
    } catch (cause) {
      throw this.#asDamage(cause, pageKey('out', source.ordinal, 0))
    }
  }

  /** Associations of one concept on one side, in order, from where `seek` says. Reads lazily. */
  associations(self: AssociationEnd, side: Side, seek?: Seek): Generator<AssociationState> {
    const from =
      seek === undefined ? undefined : { key: newEntry(seek.key, 0), inclusive: seek.inclusive }
    return this.#each(self.ordinal, side, from, (entry) => decodeAssociation(entry, self, side))
  }

  /** All of one side as far as walking a graph needs them, in order. Reads lazily. */
  links(ordinal: number, side: Side): Generator<Link> {
    return this.#each(ordinal, side, undefined, (entry) => decodeLink(entry, ordinal, side))
  }

  /** All of one side where they stand on one page; `undefined` where they are more. */
  fewAssociations(self: AssociationEnd, side: Side): AssociationState[] | undefined {
    return this.#few(self.ordinal, side, 0, (entry) => decodeAssociation(entry, self, side))
  }

  /** The same as far as walking a graph needs them, which may stand on some pages more. */
  fewLinks(ordinal: number, side: Side): Links | undefined {
    const few = this.#few(ordinal, side, LINKS_MAX, (entry) => decodeLink(entry, ordinal, side))
    return few && new Links(ordinal, side, few)
  }

  /** Concepts of these ordinals, read beside this thread. */
  async manyConcepts(ordinals: readonly number[]): Promise<(ConceptState | undefined)[]> {
    return this.#many(ordinals.map(conceptKey), (payload, i) =>
      decodeConcept(ordinals[i] ?? 0, payload)
    )
  }

  /** As `fewLinks` of each, read beside this thread. */
  async manyLinks(ordinals: readonly number[], side: Side): Promise<(Links | undefined)[]> {
    const keys = ordinals.map((ordinal) => pageKey(side, ordinal, 0))
    const pages = await this.#many(keys, (payload) => new PageReader(payload, true))
    return pages.map((page, i) => {
      const ordinal = ordinals[i] ?? 0
      if (page === undefined) return new Links(ordinal, side, [])
      if (!page.leaf) return undefined
      const links = page.decodeAll((entry) => decodeLink(entry, ordinal, side))
      return new Links(ordinal, side, links)
    })
  }

  /** Number of associations on one side, those to the dead included. */
  degree(ordinal: number, side: Side): { degree: number; loops: number } {
    return this.#page(side, ordinal, 0)?.root ?? { degree: 0, loops: 0 }
  }

  /** Concepts in the order of their ordinals, beginning behind one. */
  async *concepts(after: number): AsyncGenerator<ConceptState[]> {
    for await (const rows of this.#blocks({ gt: conceptKey(after), lt: endOf(PREFIX.concept) })) {
      yield rows.map(([key, value]) => {
        return readRow(key, value, (row) => decodeConcept(ordinalOf(key), row))
      })
    }
  }

  /** Ordinals of the concepts of a type, in order, beginning behind one. */
  async *ordinalsOfType(type: string, after: number): AsyncGenerator<Uint32Array> {
    const prefix = typePrefix(type)
    const range = { gte: postingKey(prefix, after >>> GROUP_BITS, 0), lt: behind(prefix) }
    for await (const rows of this.postings(range)) {
      for (const [key, payload] of rows) {
        if (!hasEntries(payload)) continue
        const first = groupOf(key) * 2 ** GROUP_BITS
        const ordinals = Uint32Array.from(decodeEntries(payload).lows, (low) => first + low)
        yield ordinals.filter((ordinal) => ordinal > after)
      }
    }
  }

  /** Every id there ever was, with where it leads. Its bytes begin at `ID_AT` of the key. */
  async *ids(): AsyncGenerator<(IdRow & { key: Buffer })[]> {
    for await (const rows of this.#blocks(allOf(PREFIX.id))) {
      yield rows.map(([key, value]) => ({ key, ...readRow(key, value, decodeId) }))
    }
  }

  /** Every row in the order of keys, or of a range of them, as it is stored. */
  rows(range: LevelRange = {}): RowCursor {
    return new RowCursor(this.#blocks(range))
  }

  /** The values of a range of rows, without their keys. */
  valueBlocks(range: LevelRange): AsyncGenerator<Buffer[]> {
    return this.#told(range, this.#level.valueBlocks({ ...range, snapshot: this.#snapshot }))
  }

  #blocks(range: LevelRange): AsyncGenerator<[Buffer, Buffer][]> {
    return this.#told(range, this.#level.blocks({ ...range, snapshot: this.#snapshot }))
  }

  async *#told<T>(range: LevelRange, blocks: AsyncGenerator<T[]>): AsyncGenerator<T[]> {
    try {
      yield* blocks
    } catch (cause) {
      throw this.#asDamage(cause, range.gte ?? range.gt)
    }
  }

  *#each<T>(
    ordinal: number,
    side: Side,
    from: PageSeek | undefined,
    decode: (entry: PageEntry) => T
  ): Generator<T> {
    try {
      const page = this.#page(side, ordinal, 0)
      if (page === undefined) return
      const child = (number: number): PageReader => this.#child(side, ordinal, number)
      for (const entry of entriesBelow(page, child, from)) yield decode(entry)
    } catch (cause) {
      throw this.#asDamage(cause, pageKey(side, ordinal, 0))
    }
  }

  /** @param most How many there may be if they are more than a page. */
  #few<T>(
    ordinal: number,
    side: Side,
    most: number,
    decode: (entry: PageEntry) => T
  ): T[] | undefined {
    try {
      const page = this.#page(side, ordinal, 0)
      if (page === undefined) return []
      if (page.leaf) return page.decodeAll(decode)
      const { degree, nextPage } = page.root ?? NO_ROOT
      if (degree > most || nextPage > PAGES_MAX) return undefined
      return Array.from(
        entriesBelow(page, (number) => this.#child(side, ordinal, number)),
        decode
      )
    } catch (cause) {
      throw this.#asDamage(cause, pageKey(side, ordinal, 0))
    }
  }

  #leafFor(side: Side, ordinal: number, key: PageEntry): PageReader | undefined {
    const root = this.#page(side, ordinal, 0)
    return root && leafBelow(root, (number) => this.#child(side, ordinal, number), key)
  }

  /** `undefined` for the root of an empty tree. */
  #page(side: Side, ordinal: number, number: number): PageReader | undefined {
    return this.#read(
      pageKey(side, ordinal, number),
      (payload) => new PageReader(payload, number === 0)
    )
  }

  /** One that another page names. */
  #child(side: Side, ordinal: number, number: number): PageReader {
    const page = number === 0 ? undefined : this.#page(side, ordinal, number)
    if (page === undefined) throw rowDamaged(pageKey(side, ordinal, number), 'it is missing')
    return page
  }

  #read<T>(key: Buffer, decode: (payload: Buffer) => T): T | undefined {
    try {
      const value = this.#level.getSync(key, this.#snapshot)
      return value === undefined ? undefined : readRow(key, value, decode)
    } catch (cause) {
      throw this.#asDamage(cause, key)
    }
  }

  async #many<T>(
    keys: readonly Buffer[],
    decode: (payload: Buffer, index: number) => T
  ): Promise<(T | undefined)[]> {
    const [first] = keys
    try {
      const values = await this.#level.getMany(keys, this.#snapshot)
      return values.map((value, i) => {
        const key = keys[i]
        if (value === undefined || key === undefined) return undefined
        return readRow(key, value, (payload) => decode(payload, i))
      })
    } catch (cause) {
      throw this.#asDamage(cause, first)
    }
  }

  /** LevelDB itself stumbled, at this key or behind it; or what is in the row makes no sense. */
  #asDamage(cause: unknown, key: Uint8Array = Buffer.alloc(0)): unknown {
    const reason = isCorruption(cause) ? cause.message : 'malformed'
    const isOurs = isCorruption(cause) || cause instanceof RangeError
    const error = isOurs ? rowDamaged(key, reason, cause) : cause
    if (isStoreError(error, 'TABLES_DAMAGED')) this.#watcher.onDamaged(error)
    return error
  }
}

function allOf(prefix: number): LevelRange {
  return { gte: Buffer.from([prefix]), lt: endOf(prefix) }
}

/** Links of a side that are read at once: 41 to 57 pages, as keys go, which took 1.4 ms in warm code. */
const LINKS_MAX = 2048
/** Of associations with metadata a page holds few, down to one: 100 bytes each make 139 pages of 2,048. */
const PAGES_MAX = 80
const NO_ROOT = { degree: 0, nextPage: 0 }
