/**
 * A generation: one LevelDB that holds all tables as some run of the projection made them.
 *
 * `tables/CURRENT` names the live one. A rebuild fills a new generation beside it and then
 * replaces CURRENT; a crash before leaves the old one live and the new one for the sweep at open.
 */
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { isStoreError, StoreError } from '../../errors.ts'
import { type Anchor, anchorOf } from '../../log/anchor.ts'
import type { VectorsDeclared } from '../../log/event.ts'
import { isMisplaced, isMissing, namesIn, replaceFile, syncDirectory } from '../../storage/files.ts'
import { Level, type LevelTuning } from '../../storage/level.ts'
import { newestRows } from '../../storage/newest-rows.ts'
import { declaredBy, decodeIndexStates, type Indexes, type IndexState } from './index-states.ts'
import { deadKey, endOf, META, ordinalOf, PREFIX } from './keys.ts'
import {
  type ContinuityRecord,
  type DeadConcept,
  decodeAnchor,
  decodeCounts,
  decodeDead,
  decodeNumber,
  decodeRecord,
  decodeVectors,
  encodeRecord,
  LAYOUT,
  NO_COUNTS,
  readRow,
  sealRow,
  type TableCounts
} from './rows.ts'

const MiB = 1024 * 1024
export const TABLES_DIRECTORY = 'tables'
const CURRENT = 'CURRENT'
export const INDEXES_FILE = 'INDEXES'
const NAME = /^\d+$/

export function tablesTuning(cacheBytes: number): LevelTuning {
  return { cacheBytes, writeBufferBytes: 32 * MiB, maxFileBytes: 32 * MiB }
}

/** The number of the live generation; `undefined` when there is none or CURRENT is unreadable. */
export async function currentGeneration(directory: string): Promise<number | undefined> {
  try {
    const text = await readFile(join(directory, TABLES_DIRECTORY, CURRENT), 'utf8')
    return NAME.test(text) ? Number(text) : undefined
  } catch (error) {
    if (isMissing(error) || isMisplaced(error)) return undefined
    throw error
  }
}

/** Whether there is a CURRENT. A crash while a store is made leaves none, never half of one. */
export async function hasCurrent(directory: string): Promise<boolean> {
  return (await namesIn(join(directory, TABLES_DIRECTORY))).includes(CURRENT)
}

export function generationPath(directory: string, generation: number): string {
  return join(directory, TABLES_DIRECTORY, String(generation))
}

/** Makes an empty generation with a number that was not used before; not live yet. */
export async function createGeneration(directory: string, storeId: Uint8Array): Promise<number> {
  const parent = join(directory, TABLES_DIRECTORY)
  await mkdir(parent, { recursive: true })
  const used = (await namesIn(parent)).filter((name) => NAME.test(name)).map(Number)
  const generation = Math.max(0, ...used) + 1
  const level = await Level.create(generationPath(directory, generation), tablesTuning(0))
  try {
    await level.put(META.store, sealRow(META.store, Buffer.from(storeId)), { sync: true })
  } finally {
    await level.close()
  }
  await syncDirectory(generationPath(directory, generation))
  return generation
}

/** Makes a generation the live one. From here on a crash leaves it live. */
export async function publishGeneration(directory: string, generation: number): Promise<void> {
  await replaceFile(join(directory, TABLES_DIRECTORY, CURRENT), String(generation))
}

/** Removes what is neither live nor a file of its own: generations of rebuilds that ended or died. */
export async function removeOtherGenerations(directory: string, live: number): Promise<void> {
  const parent = join(directory, TABLES_DIRECTORY)
  for (const name of await namesIn(parent)) {
    if (name === CURRENT || name === INDEXES_FILE || name === String(live)) continue
    await rm(join(parent, name), { recursive: true, force: true })
  }
}

/** Where a writer goes on. */
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

/**
 * Reads what a writer must know, and proves that no batch is missing.
 *
 * @throws StoreError `TABLES_DAMAGED`
 */
export async function readWriterState(level: Level): Promise<WriterState> {
  const checkpoint = readMeta(level, META.checkpoint, decodeNumber) ?? 0
  const counts = readMeta(level, META.counts, decodeCounts) ?? NO_COUNTS
  const record = await checkContinuity(level)
  const layout = readMeta(level, META.layout, decodeNumber) ?? 1
  if (record !== undefined && layout !== LAYOUT) {
    throw tablesDamaged('layout', `they are in layout ${layout}, this version writes ${LAYOUT}`)
  }
  if ((record?.to ?? 0) !== checkpoint) {
    throw tablesDamaged('continuity', `the last batch ends at ${record?.to}, not ${checkpoint}`)
  }
  const dead = new Map<number, DeadConcept>()
  for await (const rows of level.blocks({ gte: deadKey(0), lt: endOf(PREFIX.dead) })) {
    for (const [key, value] of rows) dead.set(ordinalOf(key), readRow(key, value, decodeDead))
  }
  const gap = readMeta(level, META.gap, decodeNumber) ?? 0
  const indexes = readMeta(level, META.indexes, decodeIndexStates) ?? []
  const anchor = anchorOf(checkpoint, readMeta(level, META.anchor, decodeAnchor))
  return { checkpoint, anchor, counts, record, dead, gap, indexes }
}

/**
 * Rows of another store are whole and their checkpoints look right, but they answer for another log.
 *
 * @throws StoreError `TABLES_DAMAGED`
 */
export function checkTablesOwner(level: Level, storeId: Uint8Array): void {
  const owner = readMeta(level, META.store, (payload) => payload)
  if (owner?.equals(storeId) === true) return
  throw tablesDamaged('store', 'they were made by another store')
}

/**
 * The checkpoint of the live tables: everything up to there was durable once. 0 if there are none,
 * if they cannot be read or are another store's, which says nothing about the log.
 */
export async function promisedByTables(directory: string, storeId: Uint8Array): Promise<number> {
  return (await fromLiveTables(directory, storeId, META.checkpoint, decodeNumber)) ?? 0
}

/** The declaration of vectors in the live tables, as far as they can be read. */
export async function declaredByTables(
  directory: string,
  storeId: Uint8Array
): Promise<VectorsDeclared | undefined> {
  return fromLiveTables(directory, storeId, META.vectors, decodeVectors)
}

/** Which indexes the live tables were told to have, as far as they can be read. */
export async function indexesOfTables(directory: string): Promise<Indexes | undefined> {
  const states = await fromLiveTables(directory, undefined, META.indexes, decodeIndexStates)
  return states && declaredBy(states)
}

/**
 * One row, read without LevelDB: that would change the files, and may end the process at damage. The
 * row proves itself by its checksum, so that it does not matter what became of the others.
 *
 * @param storeId Rows of another store do not count.
 */
async function fromLiveTables<T>(
  directory: string,
  storeId: Uint8Array | undefined,
  key: Buffer,
  decode: (payload: Buffer) => T
): Promise<T | undefined> {
  const generation = await currentGeneration(directory)
  if (generation === undefined) return undefined
  const path = generationPath(directory, generation)
  const rows = await newestRows(path, [META.store, key])
  const read = <R>(name: Buffer, decodeRow: (payload: Buffer) => R): R | undefined => {
    const value = rows.get(name.toString('hex'))
    return value && readRow(name, value, decodeRow)
  }
  try {
    const owner = read(META.store, (payload) => payload)
    if (storeId !== undefined && owner?.equals(storeId) !== true) return undefined
    return read(key, decode)
  } catch (error) {
    if (!isStoreError(error, 'TABLES_DAMAGED')) throw error
    return undefined
  }
}

function readMeta<T>(level: Level, key: Buffer, decode: (payload: Buffer) => T): T | undefined {
  const value = level.getSync(key)
  return value === undefined ? undefined : readRow(key, value, decode)
}

async function checkContinuity(level: Level): Promise<ContinuityRecord | undefined> {
  let before: ContinuityRecord | undefined
  const range = { gte: Buffer.from([PREFIX.record]), lt: endOf(PREFIX.record) }
  for await (const rows of level.blocks(range)) {
    for (const [key, value] of rows) {
      const record = readRow(key, value, decodeRecord)
      if (before !== undefined) checkLink(before, record)
      before = record
    }
  }
  return before
}

function checkLink(before: ContinuityRecord, record: ContinuityRecord): void {
  const isNext = record.batch === before.batch + 1 && record.from === before.to + 1
  if (isNext && record.previous === crc32(encodeRecord(before))) return
  throw tablesDamaged('continuity', `batch ${before.batch + 1} is missing before ${record.batch}`)
}

export function tablesDamaged(key: string, reason: string): StoreError<'TABLES_DAMAGED'> {
  return new StoreError('TABLES_DAMAGED', `The tables are damaged: ${reason}`, { key, reason })
}
