import { closeSync, openSync, readSync } from 'node:fs'
import { open } from 'node:fs/promises'
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

/** By its name, which survives the way between threads. */
export function isIndexDamage(error: unknown): boolean {
  return error instanceof Error && error.name === 'IndexDamage'
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

/** A file whose first bytes are sealed already: what is whole of it is not read again. */
export interface SealRange {
  /** The seal covers the first so many bytes; by default, all there are. */
  bytes?: number
  known?: FileSeal | undefined
}

/** Reads a file, block by block, and tells what it is. */
export async function readSeal(
  path: string,
  pace: Pace,
  { bytes = Number.POSITIVE_INFINITY, known }: SealRange = {},
  onBlock?: (block: Uint8Array) => void
): Promise<FileSeal> {
  const seal = new SealBuilder(known)
  const block = Buffer.allocUnsafe(BLOCK_BYTES)
  const file = await open(path, 'r')
  try {
    while (seal.bytes < bytes) {
      const wanted = Math.min(BLOCK_BYTES, bytes - seal.bytes)
      const { bytesRead } = await file.read(block, 0, wanted, seal.bytes)
      if (bytesRead === 0) break
      const read = block.subarray(0, bytesRead)
      seal.add(read)
      onBlock?.(read)
      if (pace.due) await pace.breathe()
    }
    return seal.finish()
  } finally {
    await file.close()
  }
}

/**
 * Checks every block of a file. What lies behind the sealed bytes was never named by a manifest and
 * means nothing.
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
  const range = { bytes: expected.bytes }
  const found = await readSeal(path, pace, range, onBlock).catch((cause: unknown) => {
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

/**
 * The same, into memory: as much as there is room for. Use it only once this has resolved.
 *
 * @throws IndexDamage
 */
export async function readSealed(
  path: string,
  expected: FileSeal,
  pace: Pace,
  into: SharedArrayBuffer
): Promise<void> {
  const bytes = new Uint8Array(into)
  let at = 0
  await checkSealed(path, expected, pace, (block) => {
    bytes.set(block.subarray(0, bytes.length - at), at)
    at += block.length
  })
}

/** Some blocks of a sealed file. */
export interface BlockRange {
  from: number
  to: number
}

/**
 * Checks some blocks of a file without letting anything in between: for a thread that has nothing
 * else to do, while somebody waits.
 *
 * @throws IndexDamage
 */
export function checkBlocks(path: string, seal: FileSeal, { from, to }: BlockRange): void {
  const block = Buffer.allocUnsafe(BLOCK_BYTES)
  const descriptor = openForReading(path)
  try {
    for (let at = from; at < to; at++) {
      const wanted = Math.min(BLOCK_BYTES, seal.bytes - at * BLOCK_BYTES)
      const read = readSync(descriptor, block, 0, wanted, at * BLOCK_BYTES)
      if (read !== wanted) throw new IndexDamage(`${path} is cut short in block ${at}`)
      if (crc32(block.subarray(0, read)) !== seal.blocks[at]) {
        throw new IndexDamage(`${path} is damaged in block ${at}`)
      }
    }
  } finally {
    closeSync(descriptor)
  }
}

function openForReading(path: string): number {
  try {
    return openSync(path, 'r')
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new IndexDamage(`${path} cannot be read: ${reason}`, { cause })
  }
}

class SealBuilder {
  #bytes = 0
  #crc = 0
  readonly #blocks: number[] = []

  /** @param known Of a file that has only grown since: its whole blocks are taken over. */
  constructor(known?: FileSeal) {
    const whole = Math.floor((known?.bytes ?? 0) / BLOCK_BYTES)
    this.#blocks.push(...(known?.blocks.slice(0, whole) ?? []))
    this.#bytes = whole * BLOCK_BYTES
  }

  get bytes(): number {
    return this.#bytes
  }

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
