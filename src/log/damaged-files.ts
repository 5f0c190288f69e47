/** What a damaged file of the log's LevelDB means in positions. */
import { basename, join } from 'node:path'
import type { StoreError } from '../errors.ts'
import { type DamagedFile, findDamagedTable } from '../storage/database-files.ts'
import { positionsOfTable } from './damaged-table.ts'
import { readWatermark } from './head-file.ts'
import { HEAD_FILE, LOG_DIRECTORY } from './level-log.ts'
import { logDamaged } from './reader.ts'
import { lostWrites } from './replayed-frames.ts'

/**
 * Some 8 ms of an open, and several times that in a process whose code is not compiled yet. A log that
 * is larger is checked whole by `verify` and the scrub.
 */
const OPEN_CHECK_BYTES = 16 * 1024 * 1024

/**
 * Checks the log's files before LevelDB reads them: a flipped bit may make it end the process, and what
 * it does not replay is gone when it has replayed the rest.
 *
 * @returns The first position that may be lost and was not promised, as far as HEAD knows.
 * @throws StoreError `LOG_DAMAGED`
 */
export async function checkLogFiles(
  directory: string,
  storeId: Buffer,
  bytesMax: number = OPEN_CHECK_BYTES
): Promise<number | undefined> {
  const log = join(directory, LOG_DIRECTORY)
  const damage = await findDamagedTable(log, bytesMax)
  const watermark = readWatermark(join(directory, HEAD_FILE), storeId)
  if (damage !== undefined) throw await logFileDamaged(damage, storeId, watermark?.position)
  // Without HEAD nothing says that it was not promised.
  const promised = watermark?.position ?? Number.POSITIVE_INFINITY
  let unpromised: number | undefined
  for await (const { file, offset, reason, isWhole, ...lost } of lostWrites(log, storeId)) {
    const { to = promised, isExact } = lost
    // Nothing that stood behind the head was acknowledged.
    const from = lost.to === undefined ? Math.min(lost.from, Math.max(promised, 1)) : lost.from
    // A crash leaves a torn end, and a power cut holes in what was not synced.
    const isTorn = lost.to === undefined || (isExact ? from : to) > promised
    if (isWhole || !isTorn) {
      const end = Number.isFinite(to) ? Math.max(from, to) : from
      throw logDamaged(from, end, `${basename(file)}, byte ${offset}: ${reason}`)
    }
    unpromised ??= from
  }
  return unpromised
}

/** @returns `LOG_DAMAGED` with the positions that may be lost, none of them in a frame that is whole. */
export async function logFileDamaged(
  damage: DamagedFile,
  storeId: Buffer,
  head: number = 0
): Promise<StoreError<'LOG_DAMAGED'>> {
  const { file, offset, reason } = damage
  const { from, to } = await positionsOfTable(damage, storeId, head)
  return logDamaged(from, to, `${basename(file)}, byte ${offset}: ${reason}`)
}
