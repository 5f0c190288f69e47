/** Tables with indexes of metadata fields, driven by hand, beside a model that has no indexes. */
import { mkdir } from 'node:fs/promises'
import { expect } from 'vitest'
import { ConceptId } from '#sutra/ids.js'
import type { LogEvent } from '#sutra/log/event.js'
import { Pinned } from '#sutra/projections/pinned.js'
import { readWriterState, tablesTuning } from '#sutra/projections/tables/generation.js'
import type { Indexes } from '#sutra/projections/tables/index-states.js'
import { PREFIX } from '#sutra/projections/tables/keys.js'
import { TablesSnapshot } from '#sutra/projections/tables/snapshot.js'
import { TablesWriter } from '#sutra/projections/tables/tables-writer.js'
import { estimate, type Selection, select } from '#sutra/query/selection.js'
import { compileWhere } from '#sutra/query/where.js'
import { pack } from '#sutra/storage/codec.js'
import { Level } from '#sutra/storage/level.js'
import { MemoryLog, MemoryStorage } from '../../support/memory-log.ts'
import type { Row } from '../../support/raw.ts'
import { temporaryPath } from '../../support/temp.ts'

export interface ModelConcept {
  metadata: Record<string, unknown>
  type: string | undefined
  revision: number
  version: number
}

const TIME = 1_700_000_000_000

export class IndexedTables {
  readonly concepts = new Map<number, ModelConcept>()
  readonly level: Level
  readonly #log = new MemoryLog(new MemoryStorage())
  #writer: TablesWriter
  #declared: Indexes | undefined
  #waiting: LogEvent[] = []
  #ordinals = 0
  #revisions = 0

  private constructor(level: Level, writer: TablesWriter, declared: Indexes | undefined) {
    this.level = level
    this.#writer = writer
    this.#declared = declared
  }

  static async create(declared?: Indexes): Promise<IndexedTables> {
    const level = await emptyLevel()
    const writer = new TablesWriter(level, await readWriterState(level), declared)
    return new IndexedTables(level, writer, declared)
  }

  learn(metadata: Record<string, unknown>, type?: string, hasVector = false): number {
    this.#ordinals += 1
    const ordinal = this.#ordinals
    const revision = hasVector ? ++this.#revisions : 0
    this.concepts.set(ordinal, { metadata, type, revision, version: 1 })
    this.#waiting.push({
      type: 'concept-learned',
      ordinal,
      id: idOf(ordinal),
      version: 1,
      created: true,
      fields: {
        content: `${ordinal}`,
        ...(type === undefined ? {} : { type }),
        metadata: pack(metadata),
        ...vectorField(revision)
      }
    })
    return ordinal
  }

  revise(ordinal: number, metadata: Record<string, unknown> | null): void {
    const concept = this.#living(ordinal)
    concept.metadata = metadata ?? {}
    this.#change(ordinal, { metadata: metadata && pack(metadata) })
  }

  embed(ordinal: number, hasVector: boolean): void {
    const concept = this.#living(ordinal)
    concept.revision = hasVector ? ++this.#revisions : 0
    this.#change(ordinal, hasVector ? vectorField(concept.revision) : { vector: null })
  }

  forget(ordinal: number): void {
    const { version } = this.#living(ordinal)
    this.concepts.delete(ordinal)
    this.#waiting.push({
      type: 'concept-forgotten',
      ordinal,
      id: idOf(ordinal),
      version: version + 1,
      key: undefined
    })
  }

  /** Projects what was done since the last time. */
  async project(): Promise<void> {
    const events = this.#waiting
    if (events.length === 0) return
    this.#waiting = []
    const first = this.#log.head + 1
    await this.#log.append([{ time: TIME + first, first, meta: undefined, events }], {
      durable: true
    })
    await this.#writer.apply(this.#log.rawFrom(first))
  }

  /** One step of building or removing; whether there is more to do. */
  async step(): Promise<boolean> {
    if (this.#writer.hasIndexWork) await this.#writer.index()
    return this.#writer.hasIndexWork
  }

  async settle(): Promise<void> {
    while (await this.step());
  }

  /** The writer is gone, as in a crash; another one finds what is in the tables and was declared. */
  async reopen(declared?: Indexes): Promise<void> {
    this.#declared = declared ?? this.#declared
    const state = await readWriterState(this.level)
    this.#writer = new TablesWriter(this.level, state, this.#declared)
  }

  async withPinned<T>(work: (pinned: Pinned) => Promise<T>): Promise<T> {
    const snapshot = new TablesSnapshot(this.level, { onClosed() {}, onDamaged() {} })
    const unknown = { find: () => undefined, complete: false, remember: () => {} }
    const overlay = { segments: [], dead: new Map<number, number>() }
    try {
      return await work(new Pinned(snapshot.checkpoint, snapshot, overlay, unknown))
    } finally {
      await snapshot.release()
    }
  }

  /** What is selected must be what a look at every concept finds. @returns Whether there was one. */
  async check(where: unknown): Promise<boolean> {
    return this.withPinned(async (pinned) => {
      const selection = await select(pinned, where as never, Number.POSITIVE_INFINITY)
      const guess = estimate(pinned, where as never)
      expect(guess === undefined).toBe(selection === undefined)
      if (selection === undefined) return false
      this.compare(where, selection)
      // Counts to the precision of a few bytes are never too few where all groups are counted.
      if (selection.exact) expect(guess).toBeGreaterThanOrEqual(selection.ordinals.length)
      return true
    })
  }

  compare(where: unknown, { ordinals, revisions, exact }: Selection): void {
    const accept = compileWhere(where)
    const rest = { strength: 1, confidence: 1, createdAt: 0, updatedAt: 0 }
    const passing = [...this.concepts].filter(([, { metadata, type }]) =>
      accept({ ...rest, metadata, type })
    )
    expect([...ordinals], 'ascending').toEqual([...ordinals].sort((a, b) => a - b))
    const found = [...ordinals].map((ordinal, at) => [ordinal, revisions[at]])
    const wanted = passing.map(([ordinal, { revision }]) => [ordinal, revision])
    if (exact) expect(found, JSON.stringify(where)).toEqual(wanted)
    else expect(found, JSON.stringify(where)).toEqual(expect.arrayContaining(wanted))
    for (const [at, ordinal] of ordinals.entries()) {
      expect(this.concepts.get(ordinal)?.revision).toBe(revisions[at])
    }
  }

  /** Rows of indexes, and the same of tables that are made anew from the log in one batch. */
  async rowsAndRebuilt(): Promise<[Row[], Row[]]> {
    const level = await emptyLevel()
    try {
      const writer = new TablesWriter(level, await readWriterState(level), this.#declared)
      await writer.apply(this.#log.rawFrom(1))
      return [await indexRows(this.level), await indexRows(level)]
    } finally {
      await level.close()
    }
  }

  async close(): Promise<void> {
    await this.level.close()
  }

  #change(
    ordinal: number,
    fields: Partial<Extract<LogEvent, { fields: unknown }>['fields']>
  ): void {
    const concept = this.#living(ordinal)
    concept.version += 1
    this.#waiting.push({
      type: 'concept-revised',
      ordinal,
      id: idOf(ordinal),
      version: concept.version,
      created: false,
      fields
    })
  }

  #living(ordinal: number): ModelConcept {
    const concept = this.concepts.get(ordinal)
    if (concept === undefined) throw new RangeError(`concept ${ordinal} does not live`)
    return concept
  }
}

async function emptyLevel(): Promise<Level> {
  const path = await temporaryPath('tables')
  await mkdir(path, { recursive: true })
  return Level.create(path, tablesTuning(0))
}

async function indexRows(level: Level): Promise<Row[]> {
  const rows: Row[] = []
  for await (const block of level.blocks({})) rows.push(...block)
  return rows.filter(([[prefix]]) => prefix === PREFIX.posting || prefix === PREFIX.valueCount)
}

function idOf(ordinal: number): ConceptId {
  return ConceptId.fromKey(`${ordinal}`)
}

function vectorField(revision: number): {
  vector?: { space: string; revision: number; bytes: Buffer }
} {
  return revision === 0 ? {} : { vector: { space: 'default', revision, bytes: Buffer.alloc(8) } }
}
