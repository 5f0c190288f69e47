/** Opening a store, and what is done to one that is not open. */
import { basename, resolve } from 'node:path'
import { AttachServer } from './attach/server.ts'
import { ioFailed } from './errors.ts'
import { resolveOptions, type StoreOptions } from './options.ts'
import { checkOptions } from './query/read-options.ts'
import { Engine } from './store/engine.ts'
import { healByRebuilding } from './store/healing.ts'
import { openParts } from './store/open-parts.ts'
import { repairLog } from './store/repair.ts'
import { LocalStore } from './store.ts'
import { logTelemetry } from './telemetry/debug-log.ts'
import { loadOpenTelemetry, type OpenTelemetry } from './telemetry/open-telemetry.ts'
import { NoWatch, OperationWatch } from './telemetry/operation-watch.ts'
import type { TelemetryEvent } from './telemetry/types.ts'
import { checkPlace, keepTelemetry } from './telemetry-store/keep.ts'
import { readKept } from './telemetry-store/read-kept.ts'
import type { RepairOptions, RepairReport, Schema, Store, StoredTelemetryOptions } from './types.ts'

export { attach } from './attach/attach.ts'
export { defineProjection } from './projections/custom/define.ts'
export { migrate } from './store/migrate.ts'
export { restore } from './store/restore.ts'

/**
 * Opens the store in a directory, or makes one there.
 *
 * @throws StoreError `STORE_LOCKED`, `STORE_NOT_FOUND`, `NOT_A_STORE`, `FORMAT_UNSUPPORTED`,
 *   `STORE_DAMAGED`, `LOG_DAMAGED`, `LOG_BEHIND_CHECKPOINT`, `OPTION_INVALID`, `OPTION_CONFLICT`,
 *   `MODEL_CONFLICT`, `MIGRATION_UNFINISHED`, `UNSUPPORTED` (`openTelemetry` without its package),
 *   `IO_FAILED`.
 */
export async function open<S extends Schema = Schema>(
  directory: string,
  options: StoreOptions = {}
): Promise<Store<S>> {
  if (typeof directory !== 'string' || directory === '') {
    throw new TypeError(`'directory' must be a non-empty string, received ${String(directory)}`)
  }
  const path = resolve(directory)
  const name = basename(path) || path
  const resolved = resolveOptions(options)
  const { openTelemetry } = resolved
  checkPlace(path, resolved)
  // Before anything is done: the package may be missing.
  const telemetry = openTelemetry && (await loadOpenTelemetry(openTelemetry, name))
  const operations = new OperationWatch(path, telemetry?.spans)
  const work = async (): Promise<LocalStore> => openStore(path, options, operations, telemetry)
  const call = { group: 'task', operation: 'open', isDetached: true } as const
  const store = await (operations.watches('task') ? operations.run(call, work) : work())
  // The schema narrows names and metadata for the compiler alone.
  return store as unknown as Store<S>
}

async function openStore(
  directory: string,
  options: StoreOptions,
  operations: OperationWatch,
  telemetry: OpenTelemetry | undefined
): Promise<LocalStore> {
  const engine = new Engine(await openParts(directory, options), operations)
  healByRebuilding(engine)
  engine.start()
  const store = new LocalStore(engine, telemetry, openSegment)
  logTelemetry(basename(directory) || directory, store.telemetry$)
  // Before anybody else can subscribe: what opening met is kept as well.
  engine.recorder = keepTelemetry(engine.parts, store.telemetry$, openSegment)
  if (engine.parts.options.attach) await listen(engine, store)
  return store
}

/** A store that nobody else hears of: it holds telemetry of another one. */
async function openSegment(directory: string, options: StoreOptions): Promise<Store> {
  const parts = await openParts(directory, options)
  parts.hub.keepToItself()
  const engine = new Engine(parts, new NoWatch(directory))
  healByRebuilding(engine)
  engine.start()
  return new LocalStore(engine, undefined, openSegment)
}

/** A store that cannot be attached to, though the caller asked for that, is not opened. */
async function listen(engine: Engine, store: Store): Promise<void> {
  const { directory, format } = engine.parts
  try {
    engine.attached = await AttachServer.start(directory, format.storeId.toString('hex'), store)
  } catch (error) {
    await store.close()
    throw ioFailed(error, 'attach')
  }
}

/**
 * Repairs the log of a store that is not open: keeps every intact frame, puts a gap where something
 * is lost, makes tables and vectors anew and leaves the damaged files aside. A whole log is not
 * touched. Resolves when the store can be opened again.
 *
 * @throws StoreError `STORE_NOT_FOUND`, `STORE_LOCKED`, `FORMAT_UNSUPPORTED`, `ABORTED`.
 */
export async function repair(
  directory: string,
  options: RepairOptions = {}
): Promise<RepairReport> {
  checkOptions(options, ['dryRun', 'onProgress'])
  const report = await repairLog(resolve(directory), options)
  if (!report.changed) return report
  const store = await open(directory, { createIfMissing: false })
  try {
    await store.caughtUp()
  } finally {
    await store.close()
  }
  return report
}

/**
 * Reads telemetry that a store has kept which is not open, oldest first.
 *
 * @param directory Of the store, or the one that its telemetry is kept in.
 * @throws StoreError `STORE_LOCKED` while a process keeps telemetry there: attach to it.
 *   `STORE_NOT_FOUND` where none is kept, `QUERY_INVALID`, `UNSUPPORTED` for `live`, `ABORTED`, and what
 *   opening a part of it throws.
 */
export function readTelemetry(
  directory: string,
  options: StoredTelemetryOptions = {}
): AsyncIterable<TelemetryEvent> {
  if (typeof directory !== 'string' || directory === '') {
    throw new TypeError(`'directory' must be a non-empty string, received ${String(directory)}`)
  }
  return readKept(resolve(directory), options, openSegment)
}
