import { ioFailed } from '../errors.ts'
import type { Engine } from './engine.ts'
import { BUILT_IN } from './rebuild.ts'

/** Makes the log durable up to now, and brings everything that is derived from it up to there. */
export async function checkpoint({ parts, pipeline }: Engine): Promise<void> {
  const { log, vectors } = parts
  try {
    await log.checkpoint()
    const position = log.durableHead
    await pipeline.caughtUp(position, undefined, BUILT_IN)
    await vectors?.save(log.durableHead)
    // Those of the program's own come last: one that has stopped holds up nothing else.
    await pipeline.caughtUp(position)
  } catch (error) {
    throw ioFailed(error, 'checkpoint')
  }
}
