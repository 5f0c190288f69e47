import { ioFailed } from '../errors.ts'
import type { Engine } from './engine.ts'

/**
 * Closes an open store: nothing acknowledged is lost, and the next open has nothing to replay.
 *
 * Every step runs even if one before it failed; the first failure is thrown at the end. If the
 * process dies on the way, the next open finds what a crash leaves, which is as safe.
 */
export async function closeEngine(
  engine: Engine,
  views: ReadonlySet<{ close(): Promise<void> }>
): Promise<void> {
  const { log, live, ownership, hub, options } = engine.parts
  const failures: unknown[] = []
  const step = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work()
    } catch (error) {
      failures.push(error)
    }
  }
  const isSound = log.poison === undefined && !options.readOnly
  engine.closing.abort()
  // While events that a handler could not do can still be noted.
  await step(async () => engine.subscriptions.close())
  await step(async () => engine.stop())
  // Before the directory is given up: the next owner may write an address of its own there.
  if (engine.attached !== undefined) await step(async () => engine.attached?.close())
  const stopped = engine.pipeline.stop()
  // What is being built is built again by the next open: closing takes no longer for it.
  engine.parts.vectors?.interrupt()
  engine.projections.interrupt()
  await step(async () => stopped)
  // A rebuild ends where it is, or takes over whole: the tables are one generation then.
  await step(async () => engine.settled())
  const { tables, vectors } = engine.parts
  if (isSound) {
    await step(async () => log.checkpoint())
    await step(async () => finishTables(engine))
    await step(async () => engine.projections.finish())
    // What the graphs lack yet is found in the log again by the next open.
    if (vectors !== undefined) await step(async () => vectors.saveQuickly(log.durableHead))
  }
  await step(async () => vectors?.close())
  // Each leaves the set.
  for (const view of [...views]) await step(async () => view.close())
  await step(async () => live.snapshot.release())
  await step(async () => tables.stop({ flush: isSound }))
  await step(async () => engine.closeRetired())
  await step(async () => engine.projections.close({ flush: isSound }))
  await step(async () => tables.close())
  // What was only read has nothing to flush: opening left its write-ahead log empty.
  if (isSound && engine.counters.frames > 0) await step(async () => log.flush())
  const position = log.head
  await step(async () => log.close())
  await step(async () => ownership.release())
  if (hub.active) hub.emit({ type: 'closed', time: Date.now(), position })
  hub.complete()
  // Last: it keeps what closing had to tell.
  await engine.recorder?.close()
  if (failures.length > 0) throw ioFailed(failures[0], 'close')
}

/** Brings the tables up to the head, unless they stopped before: then the log has the rest. */
async function finishTables(engine: Engine): Promise<void> {
  const { log, tables } = engine.parts
  if (engine.pipeline.stats().projections[tables.name]?.state === 'stopped') return
  while (tables.position < log.durableHead) await tables.project(log.durableHead)
}
