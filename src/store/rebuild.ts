/**
 * Rebuilding derived state from the log, beside the running one.
 *
 * The tables are projected into a new generation while the old one answers; when it has caught up
 * it takes over. If the process dies before CURRENT is replaced, the old generation is live at the
 * next open and the new one is removed; after, the other way round.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { aborted, ioFailed, throwIfAborted } from '../errors.ts'
import { Tables } from '../projections/tables/client.ts'
import {
  createGeneration,
  generationPath,
  publishGeneration
} from '../projections/tables/generation.ts'
import type { VectorsClient } from '../projections/vectors/client.ts'
import { discardManifest } from '../projections/vectors/manifest.ts'
import { checkOptions, queryInvalid } from '../query/read-options.ts'
import type { LongOptions } from '../types.ts'
import type { Engine } from './engine.ts'
import { VECTORS_DIRECTORY } from './format.ts'
import { whileTelling } from './progress.ts'
import { startVectors } from './start-vectors.ts'

/** What every store projects, whatever a program declares beside it. */
export const BUILT_IN: readonly string[] = ['tables', 'vectors']

/** @throws StoreError `QUERY_INVALID`, `ABORTED`; the old state is still there then. */
export async function rebuild(
  engine: Engine,
  options: LongOptions & { projections?: readonly string[] }
): Promise<void> {
  checkOptions(options, ['projections', 'onProgress'])
  const own = engine.projections.names
  const known = [...BUILT_IN, ...own]
  const { projections = known } = options
  if (!Array.isArray(projections)) {
    throw queryInvalid('projections', projections, 'an array of names')
  }
  const unknown = projections.findIndex((name) => !known.includes(name))
  if (unknown !== -1) throw queryInvalid('projections', projections[unknown], known.join(', '))
  // Closing waits for a rebuild, so it ends it.
  const ends = [engine.closing.signal, ...(options.signal === undefined ? [] : [options.signal])]
  const ended = { ...options, signal: AbortSignal.any(ends) }
  try {
    await engine.inTurn(async () => {
      throwIfAborted(ended.signal, 'rebuild')
      if (projections.includes('tables')) await rebuildTables(engine, ended)
      if (projections.includes('vectors')) await rebuildVectors(engine, ended)
    })
    for (const name of own) {
      if (projections.includes(name)) await engine.projections.rebuild(name, ended)
    }
  } catch (error) {
    throw ioFailed(error, 'rebuild')
  }
}

async function rebuildTables(engine: Engine, options: LongOptions): Promise<void> {
  const started = performance.now()
  const { hub, log, directory } = engine.parts
  announce(engine, 'tables')
  engine.pipeline.setRebuilding('tables', true)
  try {
    const next = await projectAside(engine, options)
    try {
      throwIfAborted(options.signal, 'rebuild')
      // The last stretch: nothing else moves the live tables while the new ones take over.
      await engine.pipeline.replace(next, async () => {
        while (next.position < engine.parts.tables.position) await next.project(log.durableHead)
        await publishGeneration(directory, next.generation)
        await engine.replaceTables(next, async (old) => discard(directory, old))
      })
    } catch (error) {
      if (engine.parts.tables !== next) await discard(directory, next)
      throw error
    }
  } finally {
    if (!engine.closing.signal.aborted) engine.pipeline.setRebuilding('tables', false)
  }
  await engine.pipeline.caughtUp(log.durableHead, options.signal, ['tables'])
  const ms = performance.now() - started
  const position = engine.parts.tables.position
  if (hub.active)
    hub.emit({ type: 'rebuilt', time: Date.now(), projection: 'tables', position, ms })
}

/** Projects the log into a new generation, nearly up to the head. */
export async function projectAside(
  engine: Engine,
  options: LongOptions,
  upTo?: number
): Promise<Tables> {
  const { directory, format, log } = engine.parts
  const generation = await createGeneration(directory, format.storeId)
  const tables = await Tables.open({
    directory,
    storeId: format.storeId,
    generation,
    batchEventsMax: engine.parts.options.pipeline.batchEventsMax,
    cacheBytes: 8 * 1024 * 1024,
    readOnly: false,
    indexes: engine.parts.tables.indexes,
    onTelemetry: (event) => {
      // Of tables that nobody reads yet, nothing is told.
      const isLive = engine.parts.tables.generation === generation
      if (isLive && engine.parts.hub.active) engine.parts.hub.emit(event)
    }
  })
  try {
    for (;;) {
      const target = upTo ?? log.durableHead
      options.onProgress?.({ phase: 'tables', done: tables.position, total: target })
      if (tables.position >= target) return tables
      throwIfAborted(options.signal, 'rebuild')
      const closing = engine.closing.signal
      if (closing.aborted) throw aborted(closing, 'rebuild')
      await tables.project(target)
    }
  } catch (error) {
    await discard(directory, tables)
    throw error
  }
}

/** Ends a generation and removes its files, once the last view that reads it is closed. */
export async function discard(directory: string, tables: Tables): Promise<void> {
  await tables.stop({ flush: false })
  await tables.close()
  await rm(generationPath(directory, tables.generation), { recursive: true, force: true })
}

async function rebuildVectors(engine: Engine, options: LongOptions): Promise<void> {
  const { parts } = engine
  if (parts.declaration === undefined) return
  const { hub, log } = parts
  const started = performance.now()
  announce(engine, 'vectors')
  await engine.vectorsReplaced()
  await restartVectors(engine, parts.vectors)
  const vectors = await engine.vectorsClient()
  const target = log.durableHead
  const report = (): void =>
    options.onProgress?.({ phase: 'vectors', done: vectors.position, total: target })
  await whileTelling(report, options.signal, async (signal) => {
    await engine.pipeline.caughtUp(target, signal, BUILT_IN)
    await vectors.save(log.durableHead)
  })
  const ms = performance.now() - started
  const { position } = vectors
  if (hub.active) {
    hub.emit({ type: 'rebuilt', time: Date.now(), projection: 'vectors', position, ms })
  }
}

/**
 * Puts an index without files in the place of one, unless somebody did so before. It answers at once:
 * what is in no graph yet is compared. If the process dies here, the next open finds no index and
 * makes it from the log.
 */
export async function restartVectors(
  engine: Engine,
  old: VectorsClient | undefined
): Promise<void> {
  if (engine.parts.vectors !== old) return
  await engine.replaceVectors(async () => {
    const { parts } = engine
    const { options } = parts
    if (old !== undefined) {
      await engine.pipeline.remove('vectors')
      await old.close()
    }
    if (!options.readOnly) {
      const directory = join(parts.directory, VECTORS_DIRECTORY)
      // First what names the others: files that are gone would be damage, an index that is gone is not.
      await discardManifest(directory)
      await rm(directory, { recursive: true, force: true })
    }
    return startVectors({ ...parts, isTrusted: false })
  })
}

function announce(engine: Engine, projection: string): void {
  const { hub } = engine.parts
  if (!hub.active) return
  hub.emit({ type: 'rebuild-started', time: Date.now(), projection, reason: 'asked for' })
}
