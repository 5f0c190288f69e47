/** What a damaged file of the log's LevelDB means in positions. */
import { basename, join } from 'node:path'
import type { StoreError } from '../errors.ts'
import { type DamagedFile, findDamagedFile } from '../storage/database-files.ts'
import { LOG_DIRECTORY } from './level-log.ts'
import { logDamaged } from './reader.ts'

/**
 * Some 8 ms of an open, and several times that in a process whose code is not compiled yet. A log that
 * is larger is checked whole by `verify` and the scrub.
 */
const OPEN_CHECK_BYTES = 16 * 1024 * 1024

const KEY_BYTES = 8

/**
 * Checks the log's files before LevelDB reads them: a flipped bit may make it end the process.
 *
 * @throws StoreError `LOG_DAMAGED`
 */
export async function checkLogFiles(directory: string): Promise<void> {
  const damage = await findDamagedFile(join(directory, LOG_DIRECTORY), OPEN_CHECK_BYTES)
  if (damage !== undefined) throw logFileDamaged(damage)
}

/** @returns `LOG_DAMAGED` with the positions at which the lost frames may begin. */
export function logFileDamaged(damage: DamagedFile): StoreError<'LOG_DAMAGED'> {
  const { file, offset, reason, after, upTo } = damage
  const from = after === undefined ? 1 : atLeast(after)
  const to = upTo === undefined ? from : Math.max(from, atLeast(upTo))
  return logDamaged(from, to, `${basename(file)}, byte ${offset}: ${reason}`)
}

/** Keys in the index of a file are cut short where that still tells two blocks apart. */
function atLeast(key: Buffer): number {
  const padded = Buffer.alloc(KEY_BYTES)
  key.copy(padded)
  return Math.max(1, Number(padded.readBigUInt64BE()))
}
