/**
 * Reads a backup as a restore would, and writes nothing: every frame with its checksum and its link to
 * the one before, and every file of the vector index with its seals. Holds one frame at a time.
 */
import { resolve } from 'node:path'
import { isStoreError, StoreError, show, throwIfAborted } from '../errors.ts'
import { checkFrame, FrameDamage, follows, frameKey } from '../log/frame.ts'
import type { RawFrame } from '../log/frame-decode.ts'
import { checkOptions } from '../query/read-options.ts'
import { Ownership } from '../storage/owner.ts'
import { STRETCH_MS, turn } from '../turn.ts'
import type { BackupCheckReport, LongOptions } from '../types.ts'
import {
  asBackupError,
  type BackupManifest,
  backupDamaged,
  dataSizes,
  type FrameFile,
  readBackup,
  sizeDamage
} from './backup-directory.ts'
import { type Link, linkOf, readFrameFile } from './backup-frames.ts'
import { damagedCopies } from './backup-vectors.ts'

/** What comes before a file whose predecessor is damaged, and so cannot be compared with anything. */
const UNKNOWN = 'unknown'

/** @see verifyBackup of open.ts */
export async function verifyBackup(
  directory: string,
  options: LongOptions
): Promise<BackupCheckReport> {
  checkOptions(options, ['onProgress'])
  if (typeof directory !== 'string' || directory === '') {
    throw new TypeError(`'directory' must be a non-empty string, received ${show(directory)}`)
  }
  const path = resolve(directory)
  try {
    throwIfAborted(options.signal, 'verifyBackup')
    // Found before anything is written: the owner's file is for a backup alone.
    await manifestOf(path)
    // Another backup would take files away meanwhile.
    const ownership = await Ownership.takeToRead(path)
    try {
      return await check(path, options)
    } finally {
      await ownership.release()
    }
  } catch (error) {
    throw asBackupError(error, 'verifyBackup', directory)
  }
}

async function check(directory: string, options: LongOptions): Promise<BackupCheckReport> {
  const started = performance.now()
  const problems: BackupCheckReport['problems'] = []
  const onDamage = ({ details }: StoreError<'BACKUP_DAMAGED'>): void => {
    problems.push({ file: details.file, reason: details.reason })
  }
  const manifest = await manifestOf(directory)
  const found = { position: 0, frames: 0, events: 0, bytes: 0 }
  if (isStoreError(manifest)) onDamage(manifest)
  else {
    found.position = manifest.position
    Object.assign(found, await checkFrames(directory, manifest, { ...options, onDamage }))
    const { vectors } = manifest
    const copies = vectors === null ? [] : await damagedCopies(directory, vectors, options)
    for (const { name, reason } of copies) problems.push({ file: name, reason })
  }
  const seconds = (performance.now() - started) / 1000
  return { ok: problems.length === 0, ...found, problems, seconds }
}

/** @throws StoreError `BACKUP_NOT_FOUND`, `FORMAT_UNSUPPORTED`. */
async function manifestOf(
  directory: string
): Promise<BackupManifest | StoreError<'BACKUP_DAMAGED'>> {
  try {
    const manifest = await readBackup(directory)
    if (manifest !== undefined) return manifest
  } catch (error) {
    if (isStoreError(error, 'BACKUP_DAMAGED')) return error
    throw error
  }
  const message = `There is no backup in '${directory}', or none that was finished`
  throw new StoreError('BACKUP_NOT_FOUND', message, { directory })
}

interface FrameChecks extends LongOptions {
  /** Told once for each damaged file; checking goes on behind it, unless this throws. */
  onDamage(damage: StoreError<'BACKUP_DAMAGED'>): void
}

/** Every frame of a backup. Blocks nobody: in stretches, between reads of a mebibyte. */
export async function checkFrames(
  directory: string,
  { frames: files, storeId, position, checksum }: BackupManifest,
  { signal, onProgress, onDamage }: FrameChecks
): Promise<{ frames: number; events: number; bytes: number }> {
  const sizes = await dataSizes(directory)
  const checked = { frames: 0, events: 0, bytes: 0 }
  const id = Buffer.from(storeId, 'hex')
  let before: Link | typeof UNKNOWN | undefined
  let began = performance.now()
  for (const file of files) {
    try {
      const damage = sizeDamage(sizes, file)
      if (damage !== undefined) throw damage
      for await (const frame of checkedFrames(directory, file, id, before)) {
        before = frame.link
        checked.frames += 1
        checked.events += frame.count
        checked.bytes += frame.value.length
        if (performance.now() - began < STRETCH_MS) continue
        onProgress?.({ phase: 'check', done: frame.last, total: position })
        await turn()
        throwIfAborted(signal, 'backup')
        began = performance.now()
      }
    } catch (error) {
      if (!isStoreError(error, 'BACKUP_DAMAGED')) throw error
      onDamage(error)
      before = UNKNOWN
    }
  }
  if (before !== UNKNOWN) {
    const [end, sum] = [before?.last ?? 0, before?.checksum ?? 0]
    if (end !== position || sum !== checksum) onDamage(endsElsewhere(end, position))
  }
  onProgress?.({ phase: 'check', done: position, total: position })
  return checked
}

export function endsElsewhere(end: number, position: number): StoreError<'BACKUP_DAMAGED'> {
  return backupDamaged('BACKUP', `the frames end at ${end}, not ${position}`)
}

export interface CheckedFrame extends RawFrame {
  /** What the next frame is held against. */
  link: Link
}

/**
 * The frames of one file, each checked and held against the one before.
 *
 * @throws StoreError `BACKUP_DAMAGED`
 */
export async function* checkedFrames(
  directory: string,
  file: FrameFile,
  storeId: Buffer,
  last: Link | typeof UNKNOWN | undefined
): AsyncGenerator<CheckedFrame> {
  let before = last
  for await (const value of readFrameFile(directory, file)) {
    const next = before === UNKNOWN ? file.first : (before?.last ?? 0) + 1
    const header = decoded(file, next, () => checkFrame(frameKey(next), value, storeId))
    if (before !== UNKNOWN && !follows(before, header)) {
      throw backupDamaged(file.name, `the chain is broken at position ${next}`)
    }
    const frame = { ...header, value }
    before = decoded(file, next, () => linkOf(frame, storeId))
    yield { ...frame, link: before }
  }
}

/** Names the file and the position of what cannot be decoded. */
export function decoded<T>({ name }: FrameFile, position: number, decode: () => T): T {
  try {
    return decode()
  } catch (cause) {
    if (!(cause instanceof FrameDamage)) throw cause
    throw backupDamaged(name, `the frame of position ${position}: ${cause.message}`, cause)
  }
}
