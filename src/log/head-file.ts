/**
 * HEAD: the watermark of the durable head, in two slots written in turn.
 *
 * It is written beside each durable frame, after the frame's sync and before its commits are
 * acknowledged, so that losing the *last* acknowledged frames is noticed too. It is synced at
 * checkpoints only: after a power cut it may name an older frame, never one that was not durable.
 *
 * A slot of 64 bytes, little endian: magic `SUTH`, format u32, sequence u64, position u64,
 * checksum of the frame that ends there u32, store id 16 bytes, zeros, CRC-32 of what is before.
 */
import { closeSync, fsync, openSync, readFileSync, readSync } from 'node:fs'
import { promisify } from 'node:util'
import { crc32 } from 'node:zlib'
import { isMisplaced, isMissing, writeFullySync } from '../storage/files.ts'

const SLOT_BYTES = 64
const SLOT_AT = [0, 512] as const
const MAGIC = 0x48545553
const HEAD_FORMAT = 1
const CRC_AT = 60
const STORE_ID = [28, 44] as const

export interface Watermark {
  position: number
  /** Checksum of the frame whose last event has that position; 0 for an empty log. */
  checksum: number
}

/** Whose HEAD it is, by the newest whole slot; `undefined` if none is whole or there is no file. */
export function storeIdOfHead(path: string): Buffer | undefined {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (error) {
    if (isMissing(error) || isMisplaced(error)) return undefined
    throw error
  }
  const slots = SLOT_AT.map((at) => bytes.subarray(at, at + SLOT_BYTES)).filter(isWhole)
  const sequenceOf = (slot: Buffer): bigint => slot.readBigUInt64LE(8)
  const [first, second] = slots
  const newest = first && second && sequenceOf(second) > sequenceOf(first) ? second : first
  return newest?.subarray(...STORE_ID)
}

/** The newest whole slot of this store; `undefined` if there is none. */
export function readWatermark(path: string, storeId: Buffer): Watermark | undefined {
  try {
    const { file, watermark } = HeadFile.open(path, storeId, true)
    file.close()
    return watermark
  } catch (error) {
    // A HEAD that the system would not read may know of more than the frames that are left.
    if (isMissing(error) || isMisplaced(error)) return undefined
    throw error
  }
}

function isWhole(slot: Buffer): boolean {
  if (slot.length !== SLOT_BYTES) return false
  if (slot.readUInt32LE(0) !== MAGIC || slot.readUInt32LE(4) !== HEAD_FORMAT) return false
  return slot.readUInt32LE(CRC_AT) === crc32(slot.subarray(0, CRC_AT))
}

export class HeadFile {
  readonly #descriptor: number
  readonly #storeId: Buffer
  readonly #slot = Buffer.alloc(SLOT_BYTES)
  #sequence = 0n

  private constructor(descriptor: number, storeId: Buffer) {
    this.#descriptor = descriptor
    this.#storeId = storeId
  }

  static create(path: string, storeId: Buffer): HeadFile {
    const file = new HeadFile(openSync(path, 'w+'), storeId)
    file.write({ position: 0, checksum: 0 })
    return file
  }

  /** Opens the file and reads the newest whole slot; `undefined` when neither slot is whole. */
  static open(
    path: string,
    storeId: Buffer,
    readOnly: boolean = false
  ): { file: HeadFile; watermark: Watermark | undefined } {
    const file = new HeadFile(openSync(path, readOnly ? 'r' : 'r+'), storeId)
    return { file, watermark: file.#readNewest() }
  }

  /**
   * Writes the watermark into the older slot. Blocks for about a microsecond: it goes to the page
   * cache alone, and an asynchronous write would cost every commit a turn of the thread pool.
   * One that fails may leave half a slot: the next one goes there again, and never over the whole one.
   */
  write(watermark: Watermark): void {
    const sequence = this.#sequence + 1n
    const slot = this.#slot
    slot.writeUInt32LE(MAGIC, 0)
    slot.writeUInt32LE(HEAD_FORMAT, 4)
    slot.writeBigUInt64LE(sequence, 8)
    slot.writeBigUInt64LE(BigInt(watermark.position), 16)
    slot.writeUInt32LE(watermark.checksum, 24)
    this.#storeId.copy(slot, 28)
    slot.writeUInt32LE(crc32(slot.subarray(0, CRC_AT)), CRC_AT)
    const at = SLOT_AT[Number(sequence % 2n)] ?? 0
    writeFullySync(this.#descriptor, slot, at)
    this.#sequence = sequence
  }

  async sync(): Promise<void> {
    await promisify(fsync)(this.#descriptor)
  }

  close(): void {
    closeSync(this.#descriptor)
  }

  #readNewest(): Watermark | undefined {
    let newest: Watermark | undefined
    for (const at of SLOT_AT) {
      const slot = Buffer.alloc(SLOT_BYTES)
      if (readSync(this.#descriptor, slot, 0, SLOT_BYTES, at) !== SLOT_BYTES) continue
      if (!isWhole(slot) || !slot.subarray(...STORE_ID).equals(this.#storeId)) continue
      const sequence = slot.readBigUInt64LE(8)
      if (newest !== undefined && sequence <= this.#sequence) continue
      this.#sequence = sequence
      newest = { position: Number(slot.readBigUInt64LE(16)), checksum: slot.readUInt32LE(24) }
    }
    return newest
  }
}
