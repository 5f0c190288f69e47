/**
 * How far subscriptions were, in a backup. A restored store goes on with them: what was handled behind
 * the backup is delivered again, and what a restore leaves out was never there.
 */
import type { Checkpoint } from '../pipeline/subscriptions/checkpoint.ts'
import { CheckpointFiles } from '../pipeline/subscriptions/checkpoint-files.ts'
import type { Engine } from './engine.ts'

/** To be read before the position of the backup is taken, so that none is beyond it. */
export async function backUpCheckpoints(engine: Engine): Promise<Checkpoint[]> {
  const { directory, hub } = engine.parts
  const checkpoints: Checkpoint[] = []
  for (const { file, checkpoint, reason } of await new CheckpointFiles(directory).list()) {
    if (checkpoint !== undefined) checkpoints.push(checkpoint)
    // Its subscription is told when it begins. The rest of the store is worth a backup all the same.
    else if (hub.active) {
      const part = `subscriptions/${file}`
      hub.emit({ type: 'damage-found', time: Date.now(), part, reason })
    }
  }
  return checkpoints
}

/** @param position Where the restored log ends. */
export async function restoreCheckpoints(
  checkpoints: readonly Checkpoint[],
  directory: string,
  position: number
): Promise<void> {
  const files = new CheckpointFiles(directory)
  for (const checkpoint of checkpoints) {
    const file = await files.create(upTo(checkpoint, position))
    file.close()
  }
}

function upTo(checkpoint: Checkpoint, position: number): Checkpoint {
  const isCut = checkpoint.position > position
  return {
    ...checkpoint,
    ...(isCut ? { position, time: 0 } : {}),
    // Handlers went on behind the backup.
    isClean: false,
    quarantined: checkpoint.quarantined.filter(({ noted }) => noted <= position)
  }
}
