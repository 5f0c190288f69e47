/**
 * Finds checkpoints of subscriptions that a subscription would refuse, or that have lost something.
 * Reads alone, and nothing of the log but the times of the events that they stand at.
 */
import { join } from 'node:path'
import { isStoreError, throwIfAborted } from '../errors.ts'
import {
  type Checkpoint,
  fileNameOf,
  SUBSCRIPTIONS_DIRECTORY
} from '../pipeline/subscriptions/checkpoint.ts'
import { CheckpointFiles } from '../pipeline/subscriptions/checkpoint-files.ts'
import { isDirectory } from '../storage/files.ts'
import type { LongOptions, VerifyReport } from '../types.ts'
import type { Engine } from './engine.ts'

/** A checkpoint that is not as it was left. */
export interface UnsoundCheckpoint {
  /** Of the subscription; of the file where that cannot be read. */
  name: string
  /** In the directory of subscriptions; empty for the directory itself. */
  file: string
  reason: string
  /** What counts of it; absent where nothing of it can be used. */
  checkpoint?: Checkpoint
}

/** The log that checkpoints are compared with. */
interface History {
  storeId: string
  /** Asked once the checkpoints are read: subscriptions may go on meanwhile. */
  head(): number
  /** Times of the events at these positions, of those that are there. */
  timesAt(positions: readonly number[]): Promise<ReadonlyMap<number, number>>
}

/** In the order of the names of files. */
export async function unsoundCheckpoints(
  directory: string,
  history: History
): Promise<UnsoundCheckpoint[]> {
  const isThere = await isDirectory(join(directory, SUBSCRIPTIONS_DIRECTORY))
  if (isThere === undefined) return []
  if (!isThere) return [{ name: '*', file: '', reason: 'it is no directory' }]
  const files = new CheckpointFiles(directory)
  const found = await files.list()
  const head = history.head()
  const positions = found.flatMap(({ checkpoint }) =>
    checkpoint === undefined || checkpoint.time === 0 ? [] : [checkpoint.position]
  )
  const times = await history.timesAt(positions.filter((one) => one >= 1 && one <= head))
  const unsound: UnsoundCheckpoint[] = []
  for (const one of found) {
    const { file, checkpoint } = one
    if (checkpoint === undefined) {
      unsound.push({ name: file, file, reason: one.reason })
      continue
    }
    const { name } = checkpoint
    const reason = refusalOf(file, checkpoint, { storeId: history.storeId, head, times })
    if (reason !== undefined) unsound.push({ name, file, reason })
    else if (one.damaged.length > 0) {
      unsound.push({ name, file, reason: slotsDamaged(one.damaged), checkpoint })
    }
  }
  for (const file of await files.strangers()) {
    unsound.push({ name: file, file, reason: 'it is not the file of a checkpoint' })
  }
  return unsound
}

/** What a subscription of this name would refuse it for; `undefined`: it goes on from there. */
function refusalOf(
  file: string,
  { name, storeId, position, time, quarantined }: Checkpoint,
  history: { storeId: string; head: number; times: ReadonlyMap<number, number> }
): string | undefined {
  const { head, times } = history
  if (fileNameOf(name) !== file) return `it is of '${name}', whose file has another name`
  if (storeId !== history.storeId) return 'another store wrote it'
  const ahead = `ahead of the log, which ends at ${head}`
  if (position > head) return `it is at position ${position}, ${ahead}`
  const beyond = quarantined.find((one) => Math.max(one.position, one.noted) > head)
  if (beyond !== undefined)
    return `an event in its quarantine was noted at ${beyond.noted}, ${ahead}`
  const found = times.get(position)
  if (time === 0 || found === undefined || found === 0 || found === time) return undefined
  return `it is at position ${position} of another history than the log's`
}

export function slotsDamaged(slots: readonly number[]): string {
  const hold = slots.length === 1 ? `slot ${slots[0]} of 3 holds` : `slots ${slots} of 3 hold`
  return `${hold} no whole record, and the newest of the others counts`
}

/** Tells of them as problems. Changes nothing: what to do about each is for `repair`. */
export async function verifySubscriptions(
  { parts }: Engine,
  { signal, onProgress }: LongOptions,
  report: VerifyReport
): Promise<void> {
  throwIfAborted(signal, 'verify')
  onProgress?.({ phase: 'subscriptions', done: 0 })
  const { directory, format, log } = parts
  // A damaged log is not read again: LevelDB may end the process at it.
  const isReadable = !report.problems.some(({ part }) => part === 'log')
  const unsound = await unsoundCheckpoints(directory, {
    storeId: format.storeId.toString('hex'),
    head: () => log.head,
    timesAt: async (positions) => (isReadable ? timesAt(log, positions) : new Map())
  })
  for (const { name, reason } of unsound) {
    report.problems.push({ part: `subscription ${name}`, reason })
  }
}

async function timesAt(
  log: Engine['parts']['log'],
  positions: readonly number[]
): Promise<Map<number, number>> {
  const times = new Map<number, number>()
  for (const position of positions) {
    try {
      for await (const { commits } of log.read(position)) {
        const commit = commits.findLast(({ first }) => first <= position)
        if (commit !== undefined) times.set(position, commit.time)
        break
      }
    } catch (error) {
      // Its frame is damaged: the next look at the log says so, and no time is known here.
      if (!isStoreError(error, 'LOG_DAMAGED')) throw error
    }
  }
  return times
}
