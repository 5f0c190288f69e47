import { join } from 'node:path'
import { ioFailed, isStoreError, StoreError } from '../errors.ts'
import { isMisplaced } from '../storage/files.ts'
import type { TelemetryEvent } from '../telemetry/types.ts'
import type { StoredTelemetryOptions } from '../types.ts'
import { segmentsIn, TELEMETRY_DIRECTORY } from './layout.ts'
import { SegmentPool } from './pool.ts'
import { checkQuery, readSegments } from './query.ts'
import type { OpenStore } from './segment.ts'

/**
 * Reads what was kept by a store that is not open.
 *
 * @param directory Of the store, or the one that its telemetry is kept in.
 * @throws StoreError `STORE_LOCKED` while a process has it open, `STORE_NOT_FOUND` where none is kept.
 */
export async function* readKept(
  directory: string,
  options: StoredTelemetryOptions,
  open: OpenStore
): AsyncGenerator<TelemetryEvent, void> {
  const query = checkQuery(options)
  if (query.live) {
    const reason = 'only a store that is open goes on'
    throw new StoreError('UNSUPPORTED', `Kept telemetry cannot be followed: ${reason}`, {
      operation: 'storedTelemetry',
      reason
    })
  }
  const pool = new SegmentPool(await placeIn(directory), open)
  try {
    // Found out before anything is told: the newest one is taken by whoever keeps telemetry now.
    const newest = (await pool.list()).at(-1)
    if (newest !== undefined) await holdNewest(pool, newest.name)
    let left = query.limit
    for await (const event of readSegments(pool, query, { segment: '', after: undefined })) {
      yield event
      left -= 1
      if (left === 0) return
    }
  } finally {
    await pool.close()
  }
}

/** It stays open until all is read. Whoever opens the store meanwhile begins another one. */
async function holdNewest(pool: SegmentPool, name: string): Promise<void> {
  try {
    await pool.borrow(name)
  } catch (error) {
    // Of any other trouble whoever reads hears when it is its turn.
    if (isStoreError(error, 'STORE_LOCKED')) throw error
  }
}

async function placeIn(directory: string): Promise<string> {
  try {
    return await placeOf(directory)
  } catch (error) {
    if (!isMisplaced(error)) throw ioFailed(error, 'readTelemetry')
    const message = `'${directory}' is not a store, or its telemetry is a file`
    throw new StoreError('NOT_A_STORE', message, { directory, found: [] }, { cause: error })
  }
}

async function placeOf(directory: string): Promise<string> {
  for (const place of [join(directory, TELEMETRY_DIRECTORY), directory]) {
    if ((await segmentsIn(place)).length > 0) return place
  }
  const message = `No telemetry is kept in '${directory}'`
  throw new StoreError('STORE_NOT_FOUND', message, { directory })
}
