/**
 * Which positions a damaged table file of the log may have lost. The index of a file names keys that lie
 * between two blocks, not those of frames, so the frames on either side are looked at.
 */
import { basename, dirname } from 'node:path'
import type { DamagedFile } from '../storage/database-files.ts'
import { type LiveTable, readManifest } from '../storage/level-manifest.ts'
import { type TableEntry, TableFile } from '../storage/table-file.ts'
import { FrameDamage, KEY_BYTES, placeOf, positionOfKey } from './frame.ts'

/**
 * @param head Of the log, as far as it is known: 0 if it is not.
 */
export async function positionsOfTable(
  damage: DamagedFile,
  storeId: Buffer,
  head: number
): Promise<{ from: number; to: number }> {
  const known = await boundsByManifest(damage.file, head)
  const { before, behind } = await wholeNeighbours(damage)
  const from = before === undefined ? known.from : lastOf(before, storeId) + 1
  const to = behind === undefined ? known.to : positionOfKey(behind.key) - 1
  return { from, to: Math.max(from, to) }
}

/** From the first frame of the file up to the one that the next file begins with, or to the head. */
async function boundsByManifest(path: string, head: number): Promise<{ from: number; to: number }> {
  const tables = (await readManifest(dirname(path)))?.tables ?? new Map<number, LiveTable>()
  const table = tables.get(Number.parseInt(basename(path), 10))
  // MANIFEST may be that of another database.
  if (!isOfFrames(table)) return { from: 1, to: head }
  const last = positionOfKey(table.largest)
  const next = [...tables.values()]
    .filter(isOfFrames)
    .map(({ smallest }) => positionOfKey(smallest))
    .filter((first) => first > last)
  const to = next.length === 0 ? Math.max(head, last) : Math.min(...next) - 1
  return { from: positionOfKey(table.smallest), to }
}

function isOfFrames(table: LiveTable | undefined): table is LiveTable {
  return table?.smallest.length === KEY_BYTES && table.largest.length === KEY_BYTES
}

/** The last row of the block before the damaged one, and the first of the one behind, if they are whole. */
async function wholeNeighbours({
  file,
  after,
  upTo
}: DamagedFile): Promise<{ before?: TableEntry; behind?: TableEntry }> {
  if (upTo === undefined) return {}
  const found: { before?: TableEntry; behind?: TableEntry } = {}
  const keys = after === undefined ? [upTo] : [after, upTo]
  try {
    for (const entry of (await TableFile.read(file)).entries(keys)) {
      if (entry.key.length !== KEY_BYTES) continue
      if (after !== undefined && entry.key.compare(after) <= 0) found.before = entry
      if (entry.key.compare(upTo) <= 0) continue
      found.behind = entry
      break
    }
  } catch (error) {
    // What is left makes no sense although its checksums hold.
    if (!(error instanceof RangeError)) throw error
  }
  return found
}

function lastOf({ key, value }: TableEntry, storeId: Buffer): number {
  try {
    return placeOf(key, value, storeId).last
  } catch (error) {
    if (!(error instanceof FrameDamage)) throw error
    return positionOfKey(key)
  }
}
