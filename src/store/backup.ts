/**
 * Backup of a store that goes on working: the log up to one position, the vector index as it was
 * saved before, and the hash of the state at that position.
 *
 * The index is opened first and the position taken then, so that the index is never ahead of it.
 * Tables are left out: a restored store makes them from the log when it is opened.
 */
import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { assert } from '../assert.ts'
import { StoreError, show, throwIfAborted } from '../errors.ts'
import { follows } from '../log/frame.ts'
import { logDamaged } from '../log/reader.ts'
import type { Pinned } from '../projections/pinned.ts'
import { stateHashAt } from '../query/hash.ts'
import { checkOptions } from '../query/read-options.ts'
import { syncDirectory } from '../storage/files.ts'
import { Ownership } from '../storage/owner.ts'
import { STRETCH_MS, turn } from '../turn.ts'
import type { BackupOptions, BackupReport, Progress } from '../types.ts'
import { checkFrames } from './backup-check.ts'
import {
  asBackupError,
  assertApart,
  type BackupManifest,
  dataPath,
  type FrameFile,
  inspectTarget,
  publishBackup,
  refused,
  sweepBackup
} from './backup-directory.ts'
import { FrameFileWriter, type Link, linkOf } from './backup-frames.ts'
import { backUpCheckpoints } from './backup-subscriptions.ts'
import {
  type BackedUpVectors,
  backUpIndex,
  closeIndex,
  openIndex,
  type SourceIndex
} from './backup-vectors.ts'
import type { Engine } from './engine.ts'
import { FORMAT_FILE } from './format.ts'

interface Backup {
  engine: Engine
  target: string
  older: BackupManifest | undefined
  signal: AbortSignal
  onProgress: ((progress: Progress) => void) | undefined
  /** Whether the state is read, beyond what is copied. */
  isHashed: boolean
  /** Whether the older backup is read. */
  isChecked: boolean
  /** Number of the next file. */
  nextName: () => number
}

/**
 * @throws StoreError `BACKUP_TARGET_REFUSED`, `BACKUP_DAMAGED`, `BACKUP_FAILED`, `LOG_DAMAGED`,
 *   `STORE_LOCKED` while another backup writes there, `ABORTED`. An older backup stays usable.
 */
export async function backup(
  engine: Engine,
  directory: string,
  options: BackupOptions
): Promise<BackupReport> {
  checkOptions(options, ['stateHash', 'check', 'onProgress'])
  if (typeof directory !== 'string' || directory === '') {
    throw new TypeError(`'directory' must be a non-empty string, received ${show(directory)}`)
  }
  const { stateHash: isHashed = true, check: isChecked = true, onProgress, signal } = options
  for (const [name, value] of Object.entries({ stateHash: isHashed, check: isChecked })) {
    if (typeof value === 'boolean') continue
    throw new TypeError(`'${name}' must be true or false, received ${show(value)}`)
  }
  const closing = engine.closing.signal
  const either = signal === undefined ? closing : AbortSignal.any([signal, closing])
  const target = resolve(directory)
  const work = backUp({ engine, target, signal: either, onProgress, isHashed, isChecked })
  // A store that closes waits until its log is not read any more. The caller hears of a failure.
  const settled = (): void => undefined
  engine.retire(work.then(settled, settled))
  try {
    return await work
  } catch (error) {
    if (closing.aborted && signal?.aborted !== true) {
      const message = 'The store was closed during the backup'
      throw new StoreError('STORE_CLOSED', message, { operation: 'backup' }, { cause: error })
    }
    throw asBackupError(error, 'backup', directory)
  }
}

async function backUp(asked: Omit<Backup, 'older' | 'nextName'>): Promise<BackupReport> {
  const { engine, target, signal } = asked
  throwIfAborted(signal, 'backup')
  await assertApart(target, engine.parts.directory)
  // Once before anything is touched, and once when nobody else can write there any more.
  await olderBackup(engine, target)
  const made = await mkdir(target, { recursive: true })
  if (made !== undefined) await syncDirectory(dirname(made))
  const ownership = await Ownership.take(target)
  try {
    const older = await olderBackup(engine, target)
    if (older !== undefined && asked.isChecked) {
      // Damage is met now, while the store still has what was lost, and before anything is changed.
      await checkFrames(target, older, { signal, ...progressOf(asked), onDamage: refuse })
    }
    await sweepBackup(target, older)
    await mkdir(dataPath(target), { recursive: true })
    let next = older?.nextName ?? 1
    return await replaceOlder({ ...asked, older, nextName: () => next++ })
  } finally {
    await ownership.release()
  }
}

function progressOf({ onProgress }: Pick<Backup, 'onProgress'>): Pick<BackupOptions, 'onProgress'> {
  return onProgress === undefined ? {} : { onProgress }
}

function refuse(damage: StoreError<'BACKUP_DAMAGED'>): never {
  throw damage
}

/** The backup that this one goes on with. */
async function olderBackup(engine: Engine, target: string): Promise<BackupManifest | undefined> {
  const { format, log } = engine.parts
  const older = await inspectTarget(target)
  if (older === undefined) return undefined
  if (older.storeId !== format.storeId.toString('hex')) {
    throw refused(target, `it holds a backup of another store, ${older.storeId}`)
  }
  if (older.position > log.head) {
    throw refused(target, `its backup ends at ${older.position}, the store at ${log.head}`)
  }
  if (older.position === 0) return older
  for await (const frame of log.reader.rawFramesFrom(older.position, older.position)) {
    // After a store was restored to an earlier position, or repaired, it has another history.
    if (frame.last === older.position && frame.checksum === older.checksum) return older
  }
  throw refused(target, `its backup up to ${older.position} is not a part of the store's history`)
}

async function replaceOlder(backup: Backup): Promise<BackupReport> {
  const { target } = backup
  try {
    const { manifest, report } = await copyAll(backup)
    // The files' names are durable before the manifest names them. A crash before this leaves the
    // older backup, one after it the newer.
    await syncDirectory(dataPath(target))
    await syncDirectory(target)
    throwIfAborted(backup.signal, 'backup')
    await publishBackup(target, manifest)
    await sweepBackup(target, manifest)
    return report
  } catch (error) {
    await giveBack(target)
    throw error
  }
}

/** A failed attempt gives back the space that it took; which backup is there, the disk tells. */
async function giveBack(target: string): Promise<void> {
  try {
    await sweepBackup(target, await inspectTarget(target))
  } catch {
    // The next attempt removes it. What made this one fail is what the caller must see.
  }
}

async function copyAll(
  backup: Backup
): Promise<{ manifest: BackupManifest; report: BackupReport }> {
  const started = performance.now()
  const { engine, older, nextName } = backup
  await saveVectors(engine)
  const index = await openIndex(engine)
  try {
    const subscriptions = await backUpCheckpoints(engine)
    const position = await positionOf(engine)
    assert((index?.manifest.position ?? 0) <= position, 'the index is behind the log')
    // Pinned in the turn that gave the position, so that the state is the one of that position.
    const stateHash = await hashAt(backup, engine.pin(position))
    const log = await copyLog(backup, position)
    const vectors = await copyVectors(backup, index)
    const manifest: BackupManifest = {
      format: 1,
      storeId: engine.parts.format.storeId.toString('hex'),
      storeFormat: await readFile(join(engine.parts.directory, FORMAT_FILE), 'utf8'),
      position,
      checksum: log.checksum,
      createdAt: new Date().toISOString(),
      stateHash: stateHash ?? null,
      nextName: nextName(),
      frames: [...(older?.frames ?? []), ...log.files],
      vectors: vectors.copied ?? null,
      subscriptions,
      indexes: engine.parts.tables.indexes
    }
    const from = older?.position ?? 0
    const report: BackupReport = {
      position,
      from,
      frames: log.frames,
      events: position - from,
      bytes: log.bytes + vectors.bytes,
      vectors: vectors.copied !== undefined,
      ...(stateHash === undefined ? {} : { stateHash }),
      seconds: (performance.now() - started) / 1000
    }
    return { manifest, report }
  } finally {
    if (index !== undefined) await closeIndex(index)
  }
}

/** What the graphs hold so far is then in the backup, and is not built again after a restore. */
async function saveVectors(engine: Engine): Promise<void> {
  const { vectors, log, hub } = engine.parts
  try {
    await vectors?.save(log.durableHead)
  } catch (error) {
    // A full disk is a reason to make a backup, not to refuse one: the log has all vectors.
    const reason = error instanceof Error ? error.message : String(error)
    if (hub.active) hub.emit({ type: 'damage-found', time: Date.now(), part: 'vectors', reason })
  }
}

/** Everything acknowledged before is in a backup up to here. A head ends a frame, so this does. */
async function positionOf(engine: Engine): Promise<number> {
  const { log, options } = engine.parts
  // A read-only store writes nothing; the copy of its last frames is made durable all the same.
  if (options.readOnly) return log.head
  // A store that was poisoned still has everything that it promised to keep.
  if (log.poison === undefined) await log.sync()
  return log.durableHead
}

async function hashAt(backup: Backup, pinned: Pinned): Promise<string | undefined> {
  const { engine, older, signal, onProgress, isHashed } = backup
  const { declaration, vectors } = engine.parts
  if (older?.position === pinned.position && older.stateHash !== null) return older.stateHash
  if (!isHashed || (declaration !== undefined && vectors === undefined)) return undefined
  onProgress?.({ phase: 'state hash', done: 0 })
  const held = engine.holdVectors()
  const vectorsOf = async (revisions: readonly number[]): Promise<(Float32Array | undefined)[]> =>
    vectors === undefined || revisions.length === 0
      ? []
      : engine.vectorIndex('backup', held).vectors(revisions, pinned.position)
  pinned.snapshot.hold()
  try {
    return await stateHashAt(pinned, vectorsOf, signal)
  } finally {
    engine.holds.release(held)
    await pinned.snapshot.release()
  }
}

interface CopiedLog {
  files: FrameFile[]
  checksum: number
  frames: number
  bytes: number
}

/** @throws StoreError `LOG_DAMAGED` */
async function copyLog(backup: Backup, position: number): Promise<CopiedLog> {
  const { engine, target, older, signal, onProgress, nextName } = backup
  const { log, format } = engine.parts
  const from = older?.position ?? 0
  let before: Link | undefined
  if (older !== undefined && from > 0)
    before = { last: from, checksum: older.checksum, gap: undefined }
  const writer = new FrameFileWriter(target, nextName)
  let frames = 0
  let began = performance.now()
  try {
    for await (const frame of log.reader.rawFramesFrom(from + 1, position)) {
      throwIfAborted(signal, 'backup')
      if (!follows(before, frame)) {
        throw logDamaged(frame.first, frame.last, 'the chain is broken')
      }
      before = linkOf(frame, format.storeId)
      await writer.add(frame)
      frames += 1
      if (performance.now() - began < STRETCH_MS) continue
      onProgress?.({ phase: 'log', done: frame.last, total: position })
      await turn()
      began = performance.now()
    }
    await writer.finish()
  } finally {
    await writer.close()
  }
  onProgress?.({ phase: 'log', done: position, total: position })
  const bytes = writer.files.reduce((sum, file) => sum + file.bytes, 0)
  return { files: writer.files, checksum: before?.checksum ?? 0, frames, bytes }
}

async function copyVectors(
  backup: Backup,
  index: SourceIndex | undefined
): Promise<{ copied: BackedUpVectors | undefined; bytes: number }> {
  const { engine, target, older, isChecked, signal, onProgress, nextName } = backup
  if (index === undefined) return { copied: undefined, bytes: 0 }
  let bytes = 0
  const onCopied = (more: number): void => {
    bytes += more
    onProgress?.({ phase: 'vectors', done: bytes })
  }
  const into = { directory: target, older: older?.vectors ?? undefined, nextName, isChecked }
  const copied = await backUpIndex(engine, index, into, { signal, onCopied })
  return { copied, bytes }
}
