/** Opens the parts of a store in their order, and closes them again if one of them fails. */
import { mkdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Stage } from '../append/stage.ts'
import { ioFailed, isStoreError, StoreError } from '../errors.ts'
import { OTHER_HISTORY } from '../log/anchor.ts'
import { checkLogFiles } from '../log/damaged-files.ts'
import type { VectorsDeclared } from '../log/event.ts'
import { LevelLog } from '../log/level-log.ts'
import type { TornTail } from '../log/log.ts'
import { type ResolvedOptions, resolveOptions, type StoreOptions } from '../options.ts'
import { IdTable } from '../projections/id-table.ts'
import { Overlay } from '../projections/overlay.ts'
import { ReadCache } from '../projections/read-cache.ts'
import type { Tables } from '../projections/tables/client.ts'
import { removeOtherGenerations, tablesDamaged } from '../projections/tables/generation.ts'
import { Ownership } from '../storage/owner.ts'
import { TelemetryHub } from '../telemetry/hub.ts'
import { LatencyRecorder } from '../telemetry/latency.ts'
import type { NewTelemetryEvent } from '../telemetry/types.ts'
import type { EngineParts } from './engine-parts.ts'
import {
  createStore,
  inspectDirectory,
  notFound,
  readFormat,
  refuseHalfRepaired,
  refuseHalfRestored,
  type StoreFormat
} from './format.ts'
import { checkProjections, openProjections } from './open-projections.ts'
import {
  BLOCK_CACHE_SHARE,
  type Cleanup,
  makeTables,
  openLiveTables,
  type TablesSetting
} from './open-tables.ts'
import { startVectors, warmVectors } from './start-vectors.ts'
import { clearTornCheckpoints, leaveTrace } from './torn-checkpoints.ts'
import { agreeOnVectors } from './vector-declaration.ts'

/** Events between checkpoint and head that open reads into the overlay; more is projected first. */
const OVERLAY_EVENTS_AT_OPEN = 20_000

/** Of `cache.bytes`: rows that were read, at least. The id table comes first. */
const READ_CACHE_SHARE = 1 / 8

/**
 * @param isRestoring Whether the caller is the restore that has not ended yet.
 * @throws StoreError as documented at `open`.
 */
export async function openParts(
  path: string,
  options: StoreOptions = {},
  isRestoring = false
): Promise<EngineParts> {
  try {
    return await openChecked(path, options, isRestoring)
  } catch (error) {
    throw ioFailed(error, 'open')
  }
}

async function openChecked(
  path: string,
  options: StoreOptions,
  isRestoring: boolean
): Promise<EngineParts> {
  const resolved = resolveOptions(options)
  checkProjections(resolved)
  // One spelling: LevelDB shares a database between threads by the text of its path.
  const directory = resolve(path)
  await prepareDirectory(directory, resolved)
  try {
    return await attempt(directory, resolved, isRestoring)
  } catch (error) {
    // A row may be met damaged only after the tables seemed whole. They heal by a rebuild.
    if (resolved.readOnly || !isStoreError(error, 'TABLES_DAMAGED')) throw error
    return attempt(directory, resolved, isRestoring, error)
  }
}

/** @param distrust Why the live tables must be built anew. */
async function attempt(
  directory: string,
  options: ResolvedOptions,
  isRestoring: boolean,
  distrust?: Error
): Promise<EngineParts> {
  const cleanups: Cleanup[] = []
  try {
    const ownership = await takeOwnership(directory, options.readOnly)
    leaveTrace(directory, ownership)
    cleanups.push(async () => ownership.release())
    const warm = warmVectors(directory)
    try {
      const owned = { directory, options, ownership, isRestoring, distrust, warm }
      return await openOwned(owned, cleanups)
    } finally {
      // The index holds the threads by now, if there is one.
      await warm?.release()
    }
  } catch (error) {
    // In reverse order, and all of them, whatever one of them says.
    for (const cleanup of cleanups.reverse()) await settle(cleanup)
    throw error
  }
}

/** Media that cannot be written have no other owner; a directory of somebody else's may get one. */
async function takeOwnership(directory: string, readOnly: boolean): Promise<Ownership> {
  return readOnly ? Ownership.takeToRead(directory) : Ownership.take(directory)
}

interface Owned {
  directory: string
  options: ResolvedOptions
  ownership: Ownership
  isRestoring: boolean
  distrust: Error | undefined
  warm: ReturnType<typeof warmVectors>
}

async function openOwned(
  { directory, options, ownership, isRestoring, distrust, warm }: Owned,
  cleanups: Cleanup[]
): Promise<EngineParts> {
  const started = performance.now()
  const format = await openFormat(directory, options)
  refuseHalfRepaired(directory)
  if (!isRestoring) await refuseHalfRestored(directory)
  const hub = new TelemetryHub(options.telemetry.slowMs, directory)
  const setting = { directory, format, options, hub, distrust }
  // What is wrong with the log is told first, and nothing is done about the tables then.
  const opening = openLog(setting, cleanups)
  const [{ log, suspect }, live] = await both(opening, openLiveTables(setting, cleanups))
  const tables = live.tables ?? (await makeTables(setting, live, cleanups))
  const { checkpoint, anchor } = tables.initial
  // What answers for other facts than those of this log is damage, and heals as that.
  if (!(await log.anchors.hold(anchor))) throw tablesDamaged('anchor', OTHER_HISTORY)
  const tornTail = await log.recover(checkpoint, options.readOnly, suspect)
  const { head, durableHead } = log
  if (checkpoint > head) throw behind('tables', checkpoint, head)
  if (!options.readOnly) await log.sync()
  tables.begin()
  const projected = await projectFarBehind(tables, log, options.readOnly)

  const parts = await overlayParts(log, tables, options)
  cleanups.push(async () => parts.live.snapshot.release())
  const declaration = await agreeOnVectors({
    log,
    stage: parts.stage,
    declared: parts.declared,
    options
  })
  const findings = findingsOf(live.reason, tornTail)
  if (!options.readOnly) findings.push(...(await clearTornCheckpoints(directory, ownership)))
  const { vectors, vectorsError } = await openVectors({
    ...setting,
    declaration,
    log,
    findings,
    early: warm?.early
  })
  if (vectors !== undefined) {
    cleanups.push(async () => vectors.close())
    if (vectors.savedPosition > log.head) throw behind('vectors', vectors.savedPosition, log.head)
  }
  const projections = await openProjections(
    { directory, format, options, log, findings },
    checkProjections(options),
    cleanups
  )
  if (!options.readOnly) await removeOtherGenerations(directory, tables.generation)
  const { overlay, ids, cache, stage, recovered } = parts
  const ms = performance.now() - started
  const position = log.head
  findings.push({
    type: 'recovery',
    time: Date.now(),
    position,
    durableHead,
    checkpoint,
    framesRead: log.framesChecked,
    framesDropped: tornTail?.frames ?? 0,
    tablesBehind: head - checkpoint,
    vectorsBehind: vectors === undefined ? 0 : position - vectors.savedPosition,
    projected,
    rebuilding: live.reason !== undefined,
    ms
  })
  findings.push({ type: 'opened', time: Date.now(), position, ms, recovered })
  return {
    directory,
    format,
    options,
    ownership,
    hub,
    latency: new LatencyRecorder(options.telemetry.windowMs),
    log,
    tables,
    overlay,
    ids,
    cache,
    stage,
    live: parts.live,
    declaration,
    vectors,
    projections,
    vectorsError,
    findings
  }
}

async function prepareDirectory(directory: string, options: ResolvedOptions): Promise<void> {
  const mayCreate = options.createIfMissing && !options.readOnly
  try {
    const found = await inspectDirectory(directory)
    if (found !== 'store' && !mayCreate) throw notFound(directory)
  } catch (error) {
    if (!mayCreate || !isStoreError(error, 'STORE_NOT_FOUND')) throw error
    await mkdir(directory, { recursive: true })
  }
}

async function openFormat(directory: string, options: ResolvedOptions): Promise<StoreFormat> {
  const found = await inspectDirectory(directory)
  if (found === 'store') return readFormat(directory)
  // Another process may have removed the store since the directory was looked at.
  if (options.readOnly || !options.createIfMissing) throw notFound(directory)
  return createStore(directory)
}

async function openLog(
  { directory, format, options }: TablesSetting,
  cleanups: Cleanup[]
): Promise<{ log: LevelLog; suspect: number | undefined }> {
  const suspect = await checkLogFiles(directory, format.storeId)
  const log = await LevelLog.open(directory, format.storeId, format.format, options.readOnly)
  cleanups.push(async () => log.close())
  return { log, suspect }
}

/** While the system works for one, the other goes on. Neither is left to itself if one fails. */
async function both<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([first, second])
  return [await first, await second]
}

/** Without this, a rebuild at open would need the whole log in memory. */
async function projectFarBehind(tables: Tables, log: LevelLog, readOnly: boolean): Promise<number> {
  const from = tables.position
  if (readOnly) return 0
  while (log.head - tables.position > OVERLAY_EVENTS_AT_OPEN) {
    await tables.project(log.durableHead)
  }
  return tables.position - from
}

async function overlayParts(
  log: LevelLog,
  tables: Tables,
  options: ResolvedOptions
): Promise<
  Pick<EngineParts, 'overlay' | 'ids' | 'cache' | 'stage' | 'live'> & {
    declared: VectorsDeclared | undefined
    recovered: number
  }
> {
  const live = { snapshot: tables.snapshot() }
  const { snapshot } = live
  try {
    const { checkpoint } = snapshot
    const overlay = new Overlay(checkpoint, await snapshot.dead())
    const { cacheBytes } = options
    const rest = cacheBytes * (1 - BLOCK_CACHE_SHARE)
    const least = cacheBytes * READ_CACHE_SHARE
    const ids = new IdTable(Math.floor(rest - least))
    const cache = new ReadCache(() => Math.max(least, rest - ids.bytes), overlay, live)
    const { ordinals, revisions } = snapshot.counts()
    let declared = snapshot.vectors()
    const stage = new Stage({
      overlay,
      ids,
      limits: options.limits,
      live,
      ordinals,
      revisions,
      position: checkpoint,
      time: 0
    })
    for await (const frame of log.read(Math.max(1, checkpoint))) {
      if (frame.gap !== undefined) stage.replayGap(frame)
      for (const commit of frame.commits) {
        if (commit.first <= checkpoint) {
          stage.noteTime(commit.time)
          continue
        }
        const bytes = frame.bytes / frame.count
        for (const [index, event] of commit.events.entries()) {
          if (event.type === 'vectors-declared') declared = event
          stage.replay(event, { position: commit.first + index, time: commit.time }, bytes)
        }
        stage.replayCommit(commit)
      }
    }
    return {
      overlay,
      ids,
      cache,
      stage,
      live,
      declared,
      recovered: log.head - checkpoint
    }
  } catch (error) {
    await snapshot.release()
    throw error
  }
}

async function openVectors(
  setting: Omit<Parameters<typeof startVectors>[0], 'isTrusted'>
): Promise<Pick<EngineParts, 'vectors' | 'vectorsError'>> {
  const { declaration } = setting
  if (declaration === undefined) return { vectors: undefined, vectorsError: undefined }
  try {
    const vectors = await startVectors({ ...setting, isTrusted: true })
    return { vectors, vectorsError: undefined }
  } catch (error) {
    // The graph and the tables work without; whoever searches is told.
    if (!isStoreError(error, 'VECTORS_UNAVAILABLE')) throw error
    return { vectors: undefined, vectorsError: error }
  }
}

async function settle(cleanup: Cleanup): Promise<void> {
  try {
    await cleanup()
  } catch {
    // The error that made us clean up is the one that the caller must see.
  }
}

/** What was met while opening. Nobody could have subscribed then, so every subscriber is told. */
function findingsOf(
  reason: string | undefined,
  tornTail: TornTail | undefined
): NewTelemetryEvent[] {
  const time = Date.now()
  const findings: NewTelemetryEvent[] = []
  if (reason !== undefined) {
    findings.push({ type: 'damage-found', time, part: 'tables', reason })
    findings.push({ type: 'rebuild-started', time, projection: 'tables', reason })
  }
  if (tornTail !== undefined) {
    const { from, frames, reason: why } = tornTail
    findings.push({ type: 'torn-tail-dropped', time, position: from, frames, reason: why })
  }
  return findings
}

function behind(
  projection: string,
  checkpoint: number,
  head: number
): StoreError<'LOG_BEHIND_CHECKPOINT'> {
  const message = `The ${projection} are at ${checkpoint}, ahead of the log, which ends at ${head}`
  return new StoreError('LOG_BEHIND_CHECKPOINT', message, { projection, checkpoint, head })
}
