/**
 * What a crash leaves of checkpoints of subscriptions: a process that dies over one, or a power cut,
 * tears what was not synced, which is any slot but one. Nothing is lost by it, so it is cleared away
 * and told of, and not damage that somebody must repair. Without a crash it is: then the newest may
 * be the one that a bit was turned around in.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileNameOf, SUBSCRIPTIONS_DIRECTORY } from '../pipeline/subscriptions/checkpoint.ts'
import { CheckpointFiles } from '../pipeline/subscriptions/checkpoint-files.ts'
import { isDirectory } from '../storage/files.ts'
import type { Ownership } from '../storage/owner.ts'
import type { NewTelemetryEvent } from '../telemetry/types.ts'
import { slotsDamaged } from './check-subscriptions.ts'

/** To be called by an owner who does not clear away, or not yet: the next one must find who died. */
export function leaveTrace(directory: string, ownership: Ownership): void {
  ownership.leavesTrace = existsSync(join(directory, SUBSCRIPTIONS_DIRECTORY))
}

/** To be called by the owner of a store that is opened to be written, before subscriptions begin. */
export async function clearTornCheckpoints(
  directory: string,
  ownership: Ownership
): Promise<NewTelemetryEvent[]> {
  const told = ownership.followsDead ? await clear(directory) : []
  ownership.leavesTrace = false
  return told
}

async function clear(directory: string): Promise<NewTelemetryEvent[]> {
  const told: NewTelemetryEvent[] = []
  if ((await isDirectory(join(directory, SUBSCRIPTIONS_DIRECTORY))) !== true) return told
  const files = new CheckpointFiles(directory)
  for (const found of await files.list()) {
    if (found.checkpoint === undefined || found.damaged.length === 0) continue
    const { file, checkpoint, damaged } = found
    const { name } = checkpoint
    // What a subscription would refuse anyway is for `verify` and `repair`.
    if (fileNameOf(name) !== file) continue
    // A newer one may be among those that are torn: what is delivered again is told to be. The file is
    // replaced as a whole, so that a crash leaves it as it was, or mended.
    const mended = await files.create({ ...checkpoint, isClean: false })
    mended.close()
    const reason = `torn by a crash and cleared: ${slotsDamaged(damaged)}`
    told.push({ type: 'damage-found', time: Date.now(), part: `subscription ${name}`, reason })
  }
  return told
}
