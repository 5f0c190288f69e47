import { join } from 'node:path'
import { pack, unpack } from '../storage/codec.ts'
import { isMissing } from '../storage/files.ts'
import { SlotFile } from '../storage/slot-file.ts'
import { WINDOW_FILE } from './layout.ts'
import type { Summary } from './summaries.ts'

const SLOT_BYTES = 64 * 1024
/** Of a slot, for its header and its checksum. */
const OVERHEAD_BYTES = 32

/**
 * WINDOW: the sums of the open window, written again every second, so that a process that dies takes
 * a second of them with it and not the whole window.
 */
export class WindowFile {
  readonly #file: SlotFile
  #isEmpty: boolean

  private constructor(file: SlotFile, isEmpty: boolean) {
    this.#file = file
    this.#isEmpty = isEmpty
  }

  /** @returns The file, and what a process left in it that died. */
  static async open(directory: string): Promise<{ file: WindowFile; left: Summary[][] }> {
    const path = join(directory, WINDOW_FILE)
    const found = await openIfThere(path)
    if (found !== undefined) {
      // Its checksum was compared: this program, or another version of it, packed it below.
      const left = unpack(found.record) as Summary[][]
      return { file: new WindowFile(found.file, left.length === 0), left }
    }
    return {
      file: new WindowFile(await SlotFile.create(path, SLOT_BYTES, pack([])), true),
      left: []
    }
  }

  /** Takes some microseconds. Sums that are too many for a slot are left out, the last ones first. */
  write(summaries: readonly (readonly Summary[])[]): void {
    if (summaries.length === 0 && this.#isEmpty) return
    let kept = summaries
    let record = pack(kept)
    while (record.length > SLOT_BYTES - OVERHEAD_BYTES) {
      kept = kept.slice(0, -1)
      record = pack(kept)
    }
    this.#file.write(record)
    this.#isEmpty = kept.length === 0
  }

  close(): void {
    this.#file.close()
  }
}

async function openIfThere(
  path: string
): Promise<{ file: SlotFile; record: Uint8Array } | undefined> {
  try {
    return await SlotFile.open(path, SLOT_BYTES)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}
