/** The files of checkpoints: what is there, and what comes and goes as a whole. */
import { mkdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isMissing, namesIn, syncDirectory } from '../../storage/files.ts'
import { SlotFile } from '../../storage/slot-file.ts'
import {
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  fileNameOf,
  isCheckpointFile,
  SLOT_BYTES,
  SUBSCRIPTIONS_DIRECTORY
} from './checkpoint.ts'

/** What a file holds, or why it cannot be read. */
export type FoundCheckpoint =
  | { file: string; checkpoint: Checkpoint; damaged: number[]; reason?: undefined }
  | { file: string; checkpoint?: undefined; reason: string }

export class CheckpointFiles {
  readonly #directory: string
  #prepared: Promise<void> | undefined

  /** @param store Directory of the store. Nothing is made in there before it is needed. */
  constructor(store: string) {
    this.#directory = join(store, SUBSCRIPTIONS_DIRECTORY)
  }

  /** All of them, for who only looks. */
  async list(): Promise<FoundCheckpoint[]> {
    const files = (await namesIn(this.#directory)).filter(isCheckpointFile).sort()
    return files.flatMap((file): FoundCheckpoint[] => {
      try {
        const { record, damaged } = SlotFile.inspect(join(this.#directory, file), SLOT_BYTES)
        if (record === undefined) throw new Error('no record in it is whole')
        return [{ file, checkpoint: decodeCheckpoint(record), damaged }]
      } catch (error) {
        // Its subscription was ended for good while this looked.
        if (isMissing(error)) return []
        return [{ file, reason: error instanceof Error ? error.message : String(error) }]
      }
    })
  }

  /** Names in the directory that nobody made who writes checkpoints, or leaves the hidden there. */
  async strangers(): Promise<string[]> {
    const names = await namesIn(this.#directory)
    const isKnown = (name: string): boolean =>
      isCheckpointFile(name) || name.endsWith('.tmp') || name.startsWith('.')
    return names.filter((name) => !isKnown(name)).sort()
  }

  async has(name: string): Promise<boolean> {
    return (await namesIn(this.#directory)).includes(fileNameOf(name))
  }

  /** `undefined` when no record in it is whole. */
  async open(
    name: string
  ): Promise<{ file: SlotFile; record: Uint8Array; damaged: number[] } | undefined> {
    return SlotFile.open(this.#path(name), SLOT_BYTES)
  }

  /** A crash before its end leaves no file of that name. */
  async create(checkpoint: Checkpoint): Promise<SlotFile> {
    this.#prepared ??= this.#prepare()
    await this.#prepared
    const path = this.#path(checkpoint.name)
    return SlotFile.create(path, SLOT_BYTES, encodeCheckpoint(checkpoint))
  }

  /** Resolves with whether there was one, when it is gone for good. */
  async remove(name: string): Promise<boolean> {
    try {
      await rm(this.#path(name))
    } catch (error) {
      if (isMissing(error)) return false
      throw error
    }
    await syncDirectory(this.#directory)
    return true
  }

  /** What a crash left that was never renamed is removed once, before anything is written here. */
  async #prepare(): Promise<void> {
    const made = await mkdir(this.#directory, { recursive: true })
    if (made !== undefined) await syncDirectory(dirname(this.#directory))
    for (const name of await namesIn(this.#directory)) {
      if (name.endsWith('.tmp')) await rm(join(this.#directory, name), { force: true })
    }
  }

  #path(name: string): string {
    return join(this.#directory, fileNameOf(name))
  }
}
