import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { StoreError } from '../errors.ts'
import { HEAD_FILE, LOG_DIRECTORY, LOG_TUNING } from '../log/level-log.ts'
import type { Survey } from '../log/salvage.ts'
import { isRefusal, Level } from '../storage/level.ts'
import type { RepairReport } from '../types.ts'
import { FORMAT_FILE, REPAIRED_HEAD } from './format.ts'

/** Files beside the log that keep a store from being opened, and that a repair makes or takes away. */
export function remadeFiles(
  directory: string,
  { hasFormat, hasHead }: { hasFormat: boolean; hasHead: boolean }
): RepairReport['files'] {
  const files: RepairReport['files'] = []
  const lost = 'it is missing or damaged, and made anew from the log'
  if (!hasFormat) files.push({ file: FORMAT_FILE, reason: lost })
  if (!hasHead) files.push({ file: HEAD_FILE, reason: lost })
  if (existsSync(join(directory, REPAIRED_HEAD))) {
    files.push({ file: REPAIRED_HEAD, reason: 'a repair has begun and not ended' })
  }
  return files
}

/** Told by a dry run: a repair makes a new database of the frames. */
export const UNSEEN: RepairReport['files'][number] = {
  file: LOG_DIRECTORY,
  reason: 'LevelDB does not open it, or does not find every frame that is in it'
}

/**
 * Whether LevelDB finds the same frames: its own MANIFEST may be lost, or leave files out. A disk that
 * is full says nothing about them, and a whole log is not made anew for it.
 */
export async function levelDbSees(
  directory: string,
  { frames }: Survey,
  options: { readOnly?: boolean } = {}
): Promise<boolean> {
  let level: Level
  try {
    level = await Level.open(join(directory, LOG_DIRECTORY), LOG_TUNING, options)
  } catch (error) {
    if (isRefusal(error) || error instanceof StoreError) throw error
    // Whatever it stumbles over: the frames are known, and a new database is made of them.
    return false
  }
  try {
    let count = 0
    for await (const rows of level.blocks({})) count += rows.length
    return count === frames.length
  } catch (error) {
    if (isRefusal(error)) throw error
    // The same: a file may have the name of another one.
    return false
  } finally {
    await level.close()
  }
}
