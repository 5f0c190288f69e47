import { isStoreError } from '../errors.ts'
import type { Engine } from './engine.ts'
import { rebuild } from './rebuild.ts'

/** Damage that telemetry was told of by whoever found it. */
const told = new WeakSet<Error>()

/** Lets damage heal that its finder has told of, together with other damage that may be there. */
export function healTold(engine: Engine, error: Error): void {
  told.add(error)
  engine.onDamaged(error)
}

/**
 * Derived state heals by rebuilding, without being asked: whoever met the damage was told by an
 * error, everything that needs no damaged row goes on, and telemetry tells of both ends of it.
 */
export function healByRebuilding(engine: Engine): void {
  let healing: Promise<void> | undefined
  engine.onDamaged = (error) => {
    const { options, hub } = engine.parts
    if (options.readOnly || healing !== undefined || engine.closing.signal.aborted) return
    if (!isStoreError(error, 'TABLES_DAMAGED')) return
    const { message: reason } = error
    if (hub.active && !told.has(error)) {
      hub.emit({ type: 'damage-found', time: Date.now(), part: 'tables', reason })
    }
    // At once: whoever waits for the tables goes on waiting.
    engine.pipeline.setRebuilding('tables', true)
    healing = heal(engine).finally(() => {
      healing = undefined
    })
    engine.retire(healing)
  }
}

async function heal(engine: Engine): Promise<void> {
  try {
    await rebuild(engine, { projections: ['tables'] })
  } catch (error) {
    // The next read that meets the damage tries again; closing ends it as it ends any rebuild.
    const { hub } = engine.parts
    const reason = error instanceof Error ? error.message : String(error)
    if (engine.closing.signal.aborted) return
    engine.pipeline.setRebuilding('tables', false)
    if (hub.active) {
      hub.emit({ type: 'heal-failed', time: Date.now(), part: 'tables', reason })
    }
  }
}
