/**
 * Opening a store, and what is done to one that is not open. What most programs never ask for is
 * loaded when it is: a fresh process waits longer for code than for data.
 */
import { basename, resolve } from 'node:path'
import { ioFailed, show } from './errors.ts'
import { resolveOptions, type StoreOptions } from './options.ts'
import { checkOptions } from './query/read-options.ts'
import { Engine } from './store/engine.ts'
import type { EngineParts } from './store/engine-parts.ts'
import { healByRebuilding } from './store/healing.ts'
import { openParts } from './store/open-parts.ts'
import { LocalStore } from './store.ts'
import { logTelemetry } from './telemetry/debug-log.ts'
import type { OpenTelemetry } from './telemetry/open-telemetry.ts'
import type { OpenTelemetryOptions } from './telemetry/open-telemetry-options.ts'
import { NoWatch, OperationWatch } from './telemetry/operation-watch.ts'
import type { TelemetryEvent } from './telemetry/types.ts'
import type { keepTelemetry } from './telemetry-store/keep.ts'
import { checkPlace, readLater } from './telemetry-store/on-demand.ts'
import type {
  Attached,
  BackupCheckReport,
  LongOptions,
  MigrateOptions,
  MigrationReport,
  ReadOptions,
  RepairOptions,
  RepairReport,
  RestoreOptions,
  RestoreReport,
  Schema,
  Store,
  StoredTelemetryOptions
} from './types.ts'

export { defineProjection } from './projections/custom/define.ts'

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
    throw new TypeError(`'directory' must be a non-empty string, received ${show(directory)}`)
  }
  const path = resolve(directory)
  const name = basename(path) || path
  const resolved = resolveOptions(options)
  const { openTelemetry } = resolved
  checkPlace(path, resolved)
  // Before anything is done: the package may be missing.
  const telemetry = openTelemetry && (await observe(openTelemetry, name))
  const keeping = resolved.telemetry.store && (await import('./telemetry-store/keep.ts'))
  const operations = new OperationWatch(path, telemetry?.spans)
  const found: Observers = { operations, telemetry, keepTelemetry: keeping?.keepTelemetry }
  const work = async (): Promise<LocalStore> => openStore(path, options, found)
  const call = { group: 'task', operation: 'open', isDetached: true } as const
  const store = await (operations.watches('task') ? operations.run(call, work) : work())
  // The schema narrows names and metadata for the compiler alone.
  return store as unknown as Store<S>
}

async function observe(asked: OpenTelemetryOptions, name: string): Promise<OpenTelemetry> {
  const { loadOpenTelemetry } = await import('./telemetry/open-telemetry.ts')
  return loadOpenTelemetry(asked, name)
}

/** Who hears of a store from the beginning, as far as its options ask for them. */
interface Observers {
  operations: OperationWatch
  telemetry: OpenTelemetry | undefined
  keepTelemetry: typeof keepTelemetry | undefined
}

async function openStore(
  directory: string,
  options: StoreOptions,
  { operations, telemetry, keepTelemetry }: Observers
): Promise<LocalStore> {
  const engine = new Engine(await openParts(directory, options), operations)
  healByRebuilding(engine)
  engine.start()
  const store = new LocalStore(engine, telemetry, openSegment)
  logTelemetry(basename(directory) || directory, store.telemetry$)
  // Before anybody else can subscribe: what opening met is kept as well.
  engine.recorder = keepTelemetry?.(engine.parts, store.telemetry$, openSegment)
  if (engine.parts.options.attach) await listen(engine, store)
  return store
}

/** A store that nobody else hears of: it holds telemetry of another one. */
async function openSegment(directory: string, options: StoreOptions): Promise<Store> {
  return openQuietly(await openParts(directory, options))
}

/** One that `restore` has made and not compared yet. */
async function openUnfinished(directory: string): Promise<Store> {
  return openQuietly(await openParts(directory, { createIfMissing: false }, true))
}

function openQuietly(parts: EngineParts): Store {
  const { directory } = parts
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
    const { AttachServer } = await import('./attach/server.ts')
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
 * @throws StoreError `STORE_NOT_FOUND`, `STORE_LOCKED`, `FORMAT_UNSUPPORTED`, `IO_FAILED`, `ABORTED`.
 */
export async function repair(
  directory: string,
  options: RepairOptions = {}
): Promise<RepairReport> {
  checkOptions(options, ['dryRun', 'onProgress'])
  const { repairLog } = await import('./store/repair.ts')
  const report = await repairLog(resolve(directory), options).catch((error: unknown) => {
    throw ioFailed(error, 'repair')
  })
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
 *   `STORE_NOT_FOUND` where none is kept, `NOT_A_STORE` for a file, `QUERY_INVALID`, `UNSUPPORTED` for
 *   `live`, `ABORTED`, `IO_FAILED`, and what opening a part of it throws.
 */
export function readTelemetry(
  directory: string,
  options: StoredTelemetryOptions = {}
): AsyncIterable<TelemetryEvent> {
  if (typeof directory !== 'string' || directory === '') {
    throw new TypeError(`'directory' must be a non-empty string, received ${show(directory)}`)
  }
  return readLater(resolve(directory), options, openSegment)
}

/**
 * Connects to the process that has the store in a directory open with `{ attach: true }`, to look
 * on from outside. Nothing is locked, and nothing can be changed.
 *
 * @throws StoreError `STORE_NOT_FOUND`, `NOT_A_STORE` for a file, `ATTACH_UNAVAILABLE` where no such
 *   process offers it, `IO_FAILED`, `ABORTED`.
 */
export async function attach(directory: string, options: ReadOptions = {}): Promise<Attached> {
  const part = await import('./attach/attach.ts')
  return part.attach(directory, options)
}

/**
 * Moves a store that is not open to the newest format. The tables and the vector index are made
 * anew at the next open, with the same state. A store of the newest format is left as it is.
 *
 * @throws StoreError `LOG_DAMAGED` (repair it first), `FORMAT_UNSUPPORTED`, `STORE_LOCKED`,
 *   `STORE_NOT_FOUND`, `BACKUP_TARGET_REFUSED`, `BACKUP_FAILED`, `IO_FAILED`, `ABORTED`: the store is as it
 *   was.
 */
export async function migrate(path: string, options: MigrateOptions): Promise<MigrationReport> {
  const part = await import('./store/migrate.ts')
  return part.migrate(path, options).catch((error: unknown) => {
    throw ioFailed(error, 'migrate')
  })
}

/**
 * Reads a backup as a restore would, and changes nothing: every frame, the chain, and the files of the
 * vector index. Damage is told in the report and does not reject.
 *
 * @throws StoreError `BACKUP_NOT_FOUND`, `BACKUP_FAILED`, `FORMAT_UNSUPPORTED`, `STORE_LOCKED` while a
 *   backup is written there, `ABORTED`.
 */
export async function verifyBackup(
  directory: string,
  options: LongOptions = {}
): Promise<BackupCheckReport> {
  const part = await import('./store/backup-check.ts')
  return part.verifyBackup(directory, options)
}

/**
 * Restores a backup into a directory that is missing or empty.
 *
 * @throws StoreError `BACKUP_NOT_FOUND`, `BACKUP_DAMAGED`, `BACKUP_TARGET_REFUSED`,
 *   `BACKUP_FAILED`, `FORMAT_UNSUPPORTED`, `QUERY_INVALID`, `STORE_LOCKED`, `ABORTED`, and with
 *   `compare` what opening throws. No store is left behind then, or, where only closing it failed, a
 *   whole one. What cannot be removed any more does not open; the next `restore` removes it.
 */
export async function restore(
  backup: string,
  directory: string,
  options: RestoreOptions = {}
): Promise<RestoreReport> {
  const part = await import('./store/restore.ts')
  return part.restore(backup, directory, options, openUnfinished)
}
