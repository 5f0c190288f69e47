/** Files of frames: written once, read in order. */
import { type FileHandle, open } from 'node:fs/promises'
import { type Frame, frameKey } from '../log/frame.ts'
import type { RawFrame } from '../log/frame-decode.ts'
import { decodeFrame } from '../log/frame-decode.ts'
import { isMissing } from '../storage/files.ts'
import { backupDamaged, dataPath, type FrameFile } from './backup-directory.ts'

const LENGTH_BYTES = 4
const PIECE_BYTES = 1024 * 1024
/** Small enough for any file system and for one to be copied again after a broken transfer. */
const FILE_BYTES = 256 * 1024 * 1024

interface OpenFile extends FrameFile {
  handle: FileHandle
}

/** Writes frames into new files. What is not finished stays unnamed and is nothing. */
export class FrameFileWriter {
  readonly files: FrameFile[] = []
  readonly #directory: string
  readonly #nextName: () => number
  #file: OpenFile | undefined
  #pieces: Buffer[] = []
  #pending = 0

  constructor(directory: string, nextName: () => number) {
    this.#directory = directory
    this.#nextName = nextName
  }

  async add(frame: { first: number; last: number; value: Buffer }): Promise<void> {
    const { first, last, value } = frame
    const file = this.#file ?? (await this.#begin(first))
    const length = Buffer.allocUnsafe(LENGTH_BYTES)
    length.writeUInt32LE(value.length)
    this.#pieces.push(length, value)
    this.#pending += LENGTH_BYTES + value.length
    file.bytes += LENGTH_BYTES + value.length
    file.last = last
    if (this.#pending >= PIECE_BYTES) await this.#write(file)
    if (file.bytes >= FILE_BYTES) await this.finish()
  }

  /** Ends the file that is open. It is durable then; its name is so once the directory is synced. */
  async finish(): Promise<void> {
    const file = this.#file
    if (file === undefined) return
    await this.#write(file)
    await file.handle.sync()
    await this.close()
    const { name, bytes, first, last } = file
    this.files.push({ name, bytes, first, last })
  }

  async close(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.handle.close()
  }

  async #begin(first: number): Promise<OpenFile> {
    const name = `${this.#nextName()}.frames`
    const handle = await open(dataPath(this.#directory, name), 'wx')
    this.#file = { name, handle, bytes: 0, first, last: 0 }
    return this.#file
  }

  async #write(file: OpenFile): Promise<void> {
    const bytes = Buffer.concat(this.#pieces)
    this.#pieces = []
    this.#pending = 0
    await file.handle.writeFile(bytes)
  }
}

/**
 * The values of a file's frames, unchecked.
 *
 * @throws StoreError `BACKUP_DAMAGED` for a length that cannot be.
 */
export async function* readFrameFile(directory: string, file: FrameFile): AsyncGenerator<Buffer> {
  const handle = await openNamed(directory, file.name)
  let window: Buffer = Buffer.alloc(0)
  let left = file.bytes
  try {
    const take = async (bytes: number): Promise<Buffer> => {
      // Asked before memory is taken for it.
      if (bytes > left) throw backupDamaged(file.name, `${bytes} bytes wanted, ${left} are left`)
      if (window.length < bytes) window = await fill(handle, window, bytes)
      if (window.length < bytes) throw backupDamaged(file.name, 'it ends within a frame')
      const taken = window.subarray(0, bytes)
      window = window.subarray(bytes)
      left -= bytes
      return taken
    }
    while (left > 0) yield await take((await take(LENGTH_BYTES)).readUInt32LE())
  } finally {
    await handle.close()
  }
}

/** What is in the window and, behind it, what the file has up to `bytes` or a little further. */
async function fill(handle: FileHandle, window: Buffer, bytes: number): Promise<Buffer> {
  const wanted = Math.max(bytes, PIECE_BYTES)
  const filled = Buffer.allocUnsafe(wanted)
  let at = window.copy(filled)
  while (at < bytes) {
    const { bytesRead } = await handle.read(filled, at, wanted - at)
    if (bytesRead === 0) break
    at += bytesRead
  }
  return filled.subarray(0, at)
}

async function openNamed(directory: string, name: string): Promise<FileHandle> {
  try {
    return await open(dataPath(directory, name), 'r')
  } catch (cause) {
    if (isMissing(cause)) throw backupDamaged(name, 'it is missing', cause)
    throw cause
  }
}

/** Copies a file, from where the handle stands, into a new one, and makes that durable. */
export async function copyFile(source: FileHandle, path: string): Promise<number> {
  const block = Buffer.allocUnsafe(PIECE_BYTES)
  const target = await open(path, 'wx')
  let copied = 0
  try {
    for (;;) {
      const { bytesRead } = await source.read(block, 0, block.length)
      if (bytesRead === 0) break
      await target.writeFile(block.subarray(0, bytesRead))
      copied += bytesRead
    }
    await target.sync()
  } finally {
    await target.close()
  }
  return copied
}

/** What the next frame is held against. */
export type Link = Pick<Frame, 'last' | 'checksum' | 'gap'>

/** Only a gap says more about the next frame than its checksum, and says it in its body. */
export function linkOf({ kind, first, last, checksum, value }: RawFrame, storeId: Buffer): Link {
  const gap = kind === 'gap' ? decodeFrame(frameKey(first), value, storeId).gap : undefined
  return { last, checksum, gap }
}
