/** Opens what a generation holds, and proves that no batch of it is missing. */
import { crc32 } from 'node:zlib'
import { StoreError } from '../../errors.ts'
import { type Anchor, anchorOf } from '../../log/anchor.ts'
import type { Level } from '../../storage/level.ts'
import { newestRows } from '../../storage/newest-rows.ts'
import {
  type ContinuityRecord,
  decodeAnchor,
  decodeNumber,
  decodeRecord,
  encodeNumber,
  encodeRecord,
  sealRow
} from '../tables/rows.ts'
import { BatchChanges } from './changes.ts'
import { Generation, type GenerationSetup, type OpenedRows, RECORDS_KEPT } from './generation.ts'
import {
  decodeMadeBy,
  encodeMadeBy,
  LevelRows,
  type MadeBy,
  META,
  payloadOf,
  RECORDS
} from './generation-rows.ts'
import { LayeredRows } from './layered-rows.ts'
import { keyOfRowId } from './row-keys.ts'

/** A generation on the disk. Whoever gets it makes a `Generation` of it, or closes its database. */
export interface FoundRows extends OpenedRows {
  madeBy: MadeBy
}

/**
 * @returns What is wrong with it, where it cannot be used; `unfinished` where it died while it was
 *   made.
 */
export async function findRows(
  files: GenerationSetup['files'],
  number: number
): Promise<FoundRows | { problem: string; isUnfinished: boolean }> {
  let level: Level
  try {
    level = await files.open(number)
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error), isUnfinished: false }
  }
  try {
    const found = await readRows(level, number)
    if ('level' in found) return found
    await level.close()
    return found
  } catch (error) {
    await level.close()
    // Whatever LevelDB stumbles over: rows are made anew from the log.
    return { problem: error instanceof Error ? error.message : String(error), isUnfinished: false }
  }
}

/**
 * The checkpoint of a generation, as far as it can be read: without LevelDB, which would change the
 * files. 0 for rows that another store made.
 */
export async function promisedByRows(path: string, storeId: string): Promise<number> {
  const rows = await newestRows(path, [META.definition, META.checkpoint])
  const read = (key: Buffer): Buffer | undefined => {
    const value = rows.get(key.toString('hex'))
    return value && payloadOf(key, value)
  }
  const made = read(META.definition)
  const checkpoint = read(META.checkpoint)
  if (made === undefined || checkpoint === undefined) return 0
  return decodeMadeBy(made)?.storeId === storeId ? decodeNumber(checkpoint) : 0
}

/** An empty generation with the rows of `init`. */
export async function createGeneration(setup: GenerationSetup): Promise<Generation> {
  const { files, storeId, definition } = setup
  const { generation: number, level } = await files.create()
  try {
    const changes = new BatchChanges()
    await initialize(level, setup, changes)
    // In one batch: without its definition a database counts as one that was never finished.
    const batch = level.batch()
    const types = definition.types === undefined ? undefined : [...definition.types].sort()
    const madeBy = { storeId, version: definition.version, types }
    batch.put(META.definition, sealRow(META.definition, encodeMadeBy(madeBy)))
    batch.put(META.checkpoint, sealRow(META.checkpoint, encodeNumber(0)))
    for (const [id, payload] of changes.entries()) {
      const key = keyOfRowId(id)
      if (payload !== null) batch.put(key, sealRow(key, payload))
    }
    await batch.write({ sync: true })
    const opened = { number, level, checkpoint: 0, anchor: undefined, record: undefined }
    return new Generation(setup, opened)
  } catch (error) {
    await level.close()
    await files.remove(number)
    throw error
  }
}

async function initialize(
  level: Level,
  { definition: { name, init }, patience }: GenerationSetup,
  changes: BatchChanges
): Promise<void> {
  if (init === undefined) return
  const source = new LevelRows(level, name, () => {})
  const rows = new LayeredRows({ projection: name, source, changes }, (id, payload) =>
    changes.set(id, payload)
  )
  try {
    const doing: unknown = init(rows)
    if (doing instanceof Promise) await patience.outlast(doing, () => initGivenUp(name))
  } finally {
    rows.end()
  }
}

function initGivenUp(name: string): StoreError<'STORE_CLOSED'> {
  const message = `The store was closed before init of projection '${name}' ended`
  return new StoreError('STORE_CLOSED', message, { operation: 'init' })
}

async function readRows(
  level: Level,
  number: number
): Promise<FoundRows | { problem: string; isUnfinished: boolean }> {
  const definition = level.getSync(META.definition)
  if (definition === undefined) return { problem: 'it was never finished', isUnfinished: true }
  const wrong = (problem: string) => ({ problem, isUnfinished: false })
  const made = payloadOf(META.definition, definition)
  const madeBy = made === undefined ? undefined : decodeMadeBy(made)
  if (madeBy === undefined) return wrong('what it was made by cannot be read')
  const checkpoint = metaIn(level, META.checkpoint, decodeNumber)
  if (checkpoint === undefined) return wrong('its checkpoint cannot be read')
  const { record, problem } = await lastRecord(level)
  if (problem !== undefined) return wrong(problem)
  if ((record?.to ?? 0) !== checkpoint) {
    return wrong(`its last batch ends at ${record?.to ?? 0}, not at ${checkpoint}`)
  }
  const anchor: Anchor | undefined = metaIn(level, META.anchor, decodeAnchor)
  return { number, level, checkpoint, anchor: anchorOf(checkpoint, anchor), record, madeBy }
}

function metaIn<T>(level: Level, key: Buffer, decode: (payload: Buffer) => T): T | undefined {
  const value = level.getSync(key)
  const payload = value === undefined ? undefined : payloadOf(key, value)
  return payload && decode(payload)
}

/** LevelDB skips a damaged record of its log without a word, and with it a whole batch. */
async function lastRecord(
  level: Level
): Promise<{ record: ContinuityRecord | undefined; problem: string | undefined }> {
  let first: number | undefined
  let record: ContinuityRecord | undefined
  for await (const rows of level.blocks(RECORDS)) {
    for (const [key, value] of rows) {
      const payload = payloadOf(key, value)
      if (payload === undefined) return { record, problem: 'a continuity record is damaged' }
      const next = decodeRecord(payload)
      if (record !== undefined && !isNext(record, next)) {
        return { record, problem: `batch ${record.batch + 1} is missing before ${next.batch}` }
      }
      first ??= next.batch
      record = next
    }
  }
  const oldest = Math.max(1, (record?.batch ?? 0) - RECORDS_KEPT + 1)
  if (first !== undefined && first !== oldest) {
    return { record, problem: `batch ${oldest} is missing` }
  }
  return { record, problem: undefined }
}

function isNext(before: ContinuityRecord, { batch, from, previous }: ContinuityRecord): boolean {
  const follows = batch === before.batch + 1 && from === before.to + 1
  return follows && previous === crc32(encodeRecord(before))
}
