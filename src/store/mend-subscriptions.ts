/**
 * What `repair` does to checkpoints of subscriptions. One that a subscription would refuse is put
 * aside, which is what its error asks the caller to do: the name is free again. One that lost a slot
 * is written anew from the newest that is whole.
 *
 * A checkpoint is never moved to another position by guess: too low would only repeat events, but
 * between two histories nobody can tell which events were handled.
 */
import { existsSync } from 'node:fs'
import { cp, mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { decodeFrame } from '../log/frame-decode.ts'
import { type Survey, salvagedBytes } from '../log/salvage.ts'
import { SUBSCRIPTIONS_DIRECTORY } from '../pipeline/subscriptions/checkpoint.ts'
import { CheckpointFiles } from '../pipeline/subscriptions/checkpoint-files.ts'
import { syncDirectory } from '../storage/files.ts'
import type { RepairReport } from '../types.ts'
import { type UnsoundCheckpoint, unsoundCheckpoints } from './check-subscriptions.ts'

interface Salvaged {
  directory: string
  /** The directory of the log that the frames were found in. */
  log: string
  storeId: Buffer
  /** The head behind the repair. */
  position: number
  signal: AbortSignal | undefined
}

/** To be called while the frames are still where they were found. */
export async function findUnsound(
  { frames }: Survey,
  { directory, log, storeId, position: head, signal }: Salvaged
): Promise<UnsoundCheckpoint[]> {
  const timesAt = async (positions: readonly number[]): Promise<Map<number, number>> => {
    const times = new Map<number, number>()
    const holders = frames.filter(({ first, last, gap }) =>
      positions.some((one) => gap === undefined && one >= first && one <= last)
    )
    if (holders.length === 0) return times
    for await (const { key, value } of salvagedBytes(log, holders, signal)) {
      const { first, last, commits } = decodeFrame(key, value, storeId)
      for (const one of positions) {
        if (one < first || one > last) continue
        const commit = commits.findLast((held) => held.first <= one)
        if (commit !== undefined) times.set(one, commit.time)
      }
    }
    return times
  }
  const history = { storeId: storeId.toString('hex'), head: () => head, timesAt }
  return unsoundCheckpoints(directory, history)
}

/** If the process dies on the way, the next repair finds what is left to do. */
export async function mendSubscriptions(
  directory: string,
  unsound: readonly UnsoundCheckpoint[],
  aside: string
): Promise<void> {
  if (unsound.length === 0) return
  const from = join(directory, SUBSCRIPTIONS_DIRECTORY)
  const to = join(aside, SUBSCRIPTIONS_DIRECTORY)
  const files = new CheckpointFiles(directory)
  for (const { file, checkpoint } of unsound) {
    if (file !== '') await mkdir(to, { recursive: true })
    if (checkpoint === undefined) {
      await rename(join(from, file), join(to, file))
      continue
    }
    await cp(join(from, file), join(to, file))
    // A newer one may be lost: what is delivered again is told to be.
    const mended = await files.create({ ...checkpoint, isClean: false })
    mended.close()
  }
  if (existsSync(from)) await syncDirectory(from)
  await syncDirectory(aside)
  await syncDirectory(directory)
}

export function reportUnsound(
  unsound: readonly UnsoundCheckpoint[]
): RepairReport['subscriptions'] {
  return unsound.map(({ name, file, reason, checkpoint }) => ({
    name,
    file,
    reason,
    kept: checkpoint !== undefined
  }))
}
