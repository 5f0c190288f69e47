/**
 * The vector index in a backup. Its files are immutable and sealed by the index's own manifest, so
 * a copy is checked by those seals. All of it is derived: what cannot be copied whole is left out,
 * and a restored store builds it from the log.
 */
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { throwIfAborted } from '../errors.ts'
import { checkSealed, type FileSeal, IndexDamage } from '../projections/vectors/index-files.ts'
import {
  emptyManifest,
  filesOf,
  type Manifest,
  publishManifest,
  readManifest
} from '../projections/vectors/manifest.ts'
import { Pace } from '../projections/vectors/pace.ts'
import { isMissing, syncDirectory } from '../storage/files.ts'
import type { LongOptions } from '../types.ts'
import { type BackupManifest, dataPath, dataSizes } from './backup-directory.ts'
import { copyFile } from './backup-frames.ts'
import type { Engine } from './engine.ts'
import { VECTORS_DIRECTORY } from './format.ts'

/** A save that comes in between replaces a few files each time; it comes once in minutes. */
const ATTEMPTS = 5

export type BackedUpVectors = NonNullable<BackupManifest['vectors']>

/** An index as it was at one instant, its files held open so that nobody can take them away. */
export interface SourceIndex {
  manifest: Manifest
  files: OpenFile[]
}

interface SealedFile {
  name: string
  seal: FileSeal
}

interface OpenFile extends SealedFile {
  handle: FileHandle
}

/** Opens every file of the saved index at once; `undefined` where none was saved. */
export async function openIndex(engine: Engine): Promise<SourceIndex | undefined> {
  const { directory, format, declaration } = engine.parts
  if (declaration === undefined) return undefined
  const path = join(directory, VECTORS_DIRECTORY)
  const expected = emptyManifest(format.storeId.toString('hex'), declaration)
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const manifest = await readManifest(path, expected).catch(noteDamage(engine))
    if (manifest === undefined) return undefined
    const index: SourceIndex = { manifest, files: [] }
    try {
      for (const file of sealedFiles(manifest)) {
        index.files.push({ ...file, handle: await open(join(path, file.name)) })
      }
      return index
    } catch (error) {
      await closeIndex(index)
      if (!isMissing(error)) throw error
    }
  }
  return undefined
}

export async function closeIndex({ files }: SourceIndex): Promise<void> {
  for (const { handle } of files) await handle.close()
}

/** What a copy of an index needs to know, in both directions. */
interface Copying {
  signal: AbortSignal | undefined
  /** Told after every file. */
  onCopied(bytes: number): void
}

interface VectorsTarget {
  directory: string
  older: BackedUpVectors | undefined
  nextName: () => number
  /** Whether what is there is read; otherwise it counts by its size. */
  isChecked: boolean
}

/**
 * Copies the files that the older backup does not hold, or not whole.
 *
 * @returns `undefined` if the index on the disk is damaged.
 */
export async function backUpIndex(
  engine: Engine,
  index: SourceIndex,
  target: VectorsTarget,
  { signal, onCopied }: Copying
): Promise<BackedUpVectors | undefined> {
  const names: Record<string, string> = {}
  const held = await heldFiles(target, signal)
  for (const { name, seal, handle } of index.files) {
    throwIfAborted(signal, 'backup')
    const known = held.get(keyOf(name, seal))
    if (known !== undefined) {
      names[name] = known
      continue
    }
    const copy = `${target.nextName()}${name.slice(name.indexOf('.'))}`
    const path = dataPath(target.directory, copy)
    onCopied(await copyFile(handle, path))
    const damage = await damageOf(path, seal, signal)
    if (damage !== undefined) return noteDamage(engine)(damage)
    names[name] = copy
  }
  return { manifest: index.manifest, names }
}

/**
 * Puts the index of a backup into a store that is being made.
 *
 * @returns Whether all of it was whole.
 */
export async function restoreIndex(
  backup: string,
  { manifest, names }: BackedUpVectors,
  store: string,
  { signal, onCopied }: Copying
): Promise<boolean> {
  const path = join(store, VECTORS_DIRECTORY)
  for (const { name, seal } of sealedFiles(manifest)) {
    throwIfAborted(signal, 'restore')
    const copied = await copyFrom(dataPath(backup, names[name]), join(path, name))
    const damage = await damageOf(join(path, name), seal, signal)
    if (damage !== undefined) {
      await rm(path, { recursive: true })
      await mkdir(path)
      return false
    }
    onCopied(copied)
  }
  await syncDirectory(path)
  await publishManifest(path, manifest)
  return true
}

/** The bytes copied; none of a file that is missing, which its seal then tells. */
async function copyFrom(source: string, path: string): Promise<number> {
  try {
    const handle = await open(source)
    try {
      return await copyFile(handle, path)
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (!isMissing(error)) throw error
    return 0
  }
}

/** Read back from the copy, so that what was read wrong and what was written wrong are both met. */
async function damageOf(
  path: string,
  seal: FileSeal,
  signal: AbortSignal | undefined
): Promise<IndexDamage | undefined> {
  try {
    await checkSealed(path, seal, new Pace(() => throwIfAborted(signal, 'backup')))
    return undefined
  } catch (error) {
    if (error instanceof IndexDamage) return error
    throw error
  }
}

/** What a backup holds already. Numbers begin anew when an index is built anew: seals tell. */
async function heldFiles(
  { directory, older, isChecked }: VectorsTarget,
  signal: AbortSignal | undefined
): Promise<Map<string, string>> {
  const held = new Map<string, string>()
  if (older === undefined) return held
  const sizes = await dataSizes(directory)
  for (const { name, seal } of sealedFiles(older.manifest)) {
    const copy = older.names[name]
    // One that was lost, cut short or altered is copied again.
    if (copy === undefined || sizes.get(copy) !== seal.bytes) continue
    const isWhole =
      !isChecked || (await damageOf(dataPath(directory, copy), seal, signal)) === undefined
    if (isWhole) held.set(keyOf(name, seal), copy)
  }
  return held
}

/** Files of the index in a backup that are not as they were written. */
export async function damagedCopies(
  directory: string,
  { manifest, names }: BackedUpVectors,
  { signal, onProgress }: LongOptions
): Promise<{ name: string; reason: string }[]> {
  const damaged: { name: string; reason: string }[] = []
  let done = 0
  for (const { name, seal } of sealedFiles(manifest)) {
    throwIfAborted(signal, 'verifyBackup')
    const copy = names[name] ?? name
    const damage = await damageOf(dataPath(directory, copy), seal, signal)
    // The path is in the message; the caller gives the file its own place.
    if (damage !== undefined) damaged.push({ name: copy, reason: damage.message })
    done += seal.bytes
    onProgress?.({ phase: 'vectors', done })
  }
  return damaged
}

function keyOf(name: string, { bytes, blocks }: FileSeal): string {
  return `${name} ${bytes} ${blocks.join(' ')}`
}

function sealedFiles({ segments }: Manifest): SealedFile[] {
  return segments.flatMap(filesOf)
}

function noteDamage(engine: Engine): (error: unknown) => undefined {
  return (error) => {
    if (!(error instanceof IndexDamage)) throw error
    const { hub } = engine.parts
    const reason = error.message
    if (hub.active) hub.emit({ type: 'damage-found', time: Date.now(), part: 'vectors', reason })
    return undefined
  }
}
