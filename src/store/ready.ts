import { StoreError } from '../errors.ts'
import { poisoned } from '../log/level-log.ts'
import { checkOptions } from '../query/read-options.ts'
import type { ReadOptions } from '../types.ts'
import type { Engine } from './engine.ts'

/**
 * Resolves when a commit, whatever it brings, would not have to wait.
 *
 * @throws StoreError `QUERY_INVALID`, `PROJECTION_STOPPED`, `STORE_POISONED`, `DISK_LOW`, `STORE_CLOSED`, `ABORTED`.
 */
export async function whenReady(engine: Engine, options: ReadOptions): Promise<void> {
  checkOptions(options, [])
  const { signal } = options
  const { warnAt } = engine.parts.options.pipeline
  let vectorRoom: Promise<void> | undefined
  do {
    await engine.pipeline.flow.ready(signal)
    vectorRoom = engine.parts.vectors?.room.spare(warnAt, signal)
    // The queue may have filled up meanwhile.
    await vectorRoom
  } while (vectorRoom !== undefined)
  await engine.diskGuard.room()
  // The store may have been closed or poisoned while this waited.
  if (engine.closing.signal.aborted) {
    throw new StoreError('STORE_CLOSED', 'The store is closed', { operation: 'ready' })
  }
  const { poison, durableHead } = engine.parts.log
  if (poison !== undefined) throw poisoned(poison, durableHead)
}
