import { type FileHandle, open } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import type { Pace } from './pace.ts'

/** What a file must be, byte for byte: its size and the CRC-32 of each block. */
export interface FileSeal {
  bytes: number
  blocks: number[]
}

const BLOCK_BYTES = 1024 * 1024

/** A part of the index that cannot be trusted. It is thrown away and rebuilt from the log. */
export class IndexDamage extends Error {
  override readonly name = 'IndexDamage'
}

/** Writes a new file and seals it. The caller names it in the manifest, or nobody ever reads it. */
export async function writeSealed(
  path: string,
  pieces: Iterable<Uint8Array>,
  pace: Pace
): Promise<FileSeal> {
  const seal = new SealBuilder()
  const file = await open(path, 'wx')
  try {
    for (const piece of pieces) {
      await writeFully(file, piece)
      seal.add(piece)
      if (pace.due) await pace.breathe()
    }
    await file.sync()
  } finally {
    await file.close()
  }
  return seal.finish()
}

/** Forces a file that somebody else wrote onto the disk. */
export async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Reads a whole file, block by block, and tells what it is. */
export async function readSeal(
  path: string,
  pace: Pace,
  onBlock?: (block: Uint8Array) => void
): Promise<FileSeal> {
  const seal = new SealBuilder()
  const block = Buffer.allocUnsafe(BLOCK_BYTES)
  const file = await open(path, 'r')
  try {
    for (;;) {
      const { bytesRead } = await file.read(block, 0, BLOCK_BYTES)
      if (bytesRead === 0) return seal.finish()
      const bytes = block.subarray(0, bytesRead)
      seal.add(bytes)
      onBlock?.(bytes)
      if (pace.due) await pace.breathe()
    }
  } finally {
    await file.close()
  }
}

/**
 * Checks every block of a file.
 *
 * @param onBlock Gets the bytes on the way. Use them only once this has resolved.
 * @throws IndexDamage
 */
export async function checkSealed(
  path: string,
  expected: FileSeal,
  pace: Pace,
  onBlock?: (block: Uint8Array) => void
): Promise<void> {
  const found = await readSeal(path, pace, onBlock).catch((cause: unknown) => {
    // What the system refused, and not that the reading was cut off by close.
    if (!(cause instanceof Error) || !('syscall' in cause)) throw cause
    throw new IndexDamage(`${path} cannot be read: ${cause.message}`, { cause })
  })
  if (found.bytes !== expected.bytes) {
    throw new IndexDamage(`${path} has ${found.bytes} bytes, expected ${expected.bytes}`)
  }
  const bad = found.blocks.findIndex((crc, at) => crc !== expected.blocks[at])
  if (bad !== -1) throw new IndexDamage(`${path} is damaged in block ${bad}`)
}

class SealBuilder {
  #bytes = 0
  #crc = 0
  readonly #blocks: number[] = []

  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const room = BLOCK_BYTES - (this.#bytes % BLOCK_BYTES)
      const part = bytes.subarray(at, at + room)
      this.#crc = crc32(part, this.#crc)
      this.#bytes += part.length
      at += part.length
      if (part.length === room) this.#endBlock()
    }
  }

  finish(): FileSeal {
    if (this.#bytes % BLOCK_BYTES > 0) this.#endBlock()
    return { bytes: this.#bytes, blocks: this.#blocks }
  }

  #endBlock(): void {
    this.#blocks.push(this.#crc)
    this.#crc = 0
  }
}

async function writeFully(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at)
    at += bytesWritten
  }
}
