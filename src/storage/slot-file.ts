/**
 * A small record that is written again and again: three slots, of which the newest whole one counts.
 *
 * One slot holds what was synced last and is never written over, one may be on its way to the disk, and
 * one takes what is written meanwhile. So a process that dies leaves the newest record that was written,
 * and a power cut at least the one that was synced last, whatever it did to the others.
 *
 * A slot, little endian: magic `SLOT`, length of the record u32, sequence u64, the record, CRC-32 of
 * all that is before.
 */
import { closeSync, fdatasync, openSync, readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { crc32 } from 'node:zlib'
import { assert } from '../assert.ts'
import { replaceFile, writeFullySync } from './files.ts'

const SLOTS = 3
const MAGIC = 0x544f4c53
const HEADER_BYTES = 16
const CRC_BYTES = 4

export class SlotFile {
  readonly #descriptor: number
  readonly #slotBytes: number
  #sequence: bigint
  /** What writes go to, and what a power cut cannot take. */
  #current: number
  #synced: number
  #isDirty = false
  #isClosed = false
  #syncing: Promise<void> | undefined

  private constructor(path: string, slotBytes: number, newest: Slot) {
    this.#descriptor = openSync(path, 'r+')
    this.#slotBytes = slotBytes
    this.#sequence = newest.sequence
    this.#synced = newest.at
    this.#current = (newest.at + 1) % SLOTS
  }

  /** Makes the file with its first record, or puts it in the place of another. Resolves when both are durable. */
  static async create(path: string, slotBytes: number, record: Uint8Array): Promise<SlotFile> {
    await replaceFile(path, encodeSlot(1n, record, slotBytes))
    return new SlotFile(path, slotBytes, { at: 0, sequence: 1n, record })
  }

  /** Opens the file and reads the newest whole slot; `undefined` when none is whole. */
  static async open(
    path: string,
    slotBytes: number
  ): Promise<{ file: SlotFile; record: Uint8Array; damaged: number[] } | undefined> {
    const { newest, damaged } = look(path, slotBytes)
    if (newest === undefined) return undefined
    const file = new SlotFile(path, slotBytes, newest)
    try {
      // The process that wrote it may have died before it synced it.
      await promisify(fdatasync)(file.#descriptor)
    } catch (error) {
      file.close()
      throw error
    }
    return { file, record: newest.record, damaged }
  }

  /** The newest whole record, for who only looks. */
  static peek(path: string, slotBytes: number): Uint8Array | undefined {
    return look(path, slotBytes).newest?.record
  }

  /** The same, with the slots that were written and hold no whole record, counted from 1. */
  static inspect(path: string, slotBytes: number): { record?: Uint8Array; damaged: number[] } {
    const { newest, damaged } = look(path, slotBytes)
    return newest === undefined ? { damaged } : { record: newest.record, damaged }
  }

  /** Survives the process from here on, not the machine. Blocks for about a microsecond. */
  write(record: Uint8Array): void {
    // The number of a closed file may be that of another one by now.
    assert(!this.#isClosed, 'a closed file is not written')
    this.#sequence += 1n
    const slot = encodeSlot(this.#sequence, record, this.#slotBytes)
    const at = this.#current * this.#slotBytes
    writeFullySync(this.#descriptor, slot, at)
    this.#isDirty = true
  }

  /** Makes what was written so far survive a power cut. */
  async sync(): Promise<void> {
    // A sync that is under way may have begun before the last write.
    while (this.#syncing !== undefined) await this.#syncing
    if (!this.#isDirty || this.#isClosed) return
    this.#syncing = this.#sync().finally(() => {
      this.#syncing = undefined
    })
    await this.#syncing
  }

  /** To be called when no sync is under way. */
  close(): void {
    assert(this.#syncing === undefined, 'a file is not closed while it is synced')
    this.#isClosed = true
    closeSync(this.#descriptor)
  }

  async #sync(): Promise<void> {
    const done = this.#current
    // Three slots: the one that is neither synced nor being so takes what is written meanwhile.
    this.#current = SLOTS - done - this.#synced
    this.#isDirty = false
    await promisify(fdatasync)(this.#descriptor)
    this.#synced = done
  }
}

interface Slot {
  at: number
  sequence: bigint
  record: Uint8Array
}

function encodeSlot(sequence: bigint, record: Uint8Array, slotBytes: number): Buffer {
  const end = HEADER_BYTES + record.length
  assert(end + CRC_BYTES <= slotBytes, `a record fits into its slot (${record.length} bytes)`)
  const slot = Buffer.alloc(end + CRC_BYTES)
  slot.writeUInt32LE(MAGIC, 0)
  slot.writeUInt32LE(record.length, 4)
  slot.writeBigUInt64LE(sequence, 8)
  slot.set(record, HEADER_BYTES)
  slot.writeUInt32LE(crc32(slot.subarray(0, end)), end)
  return slot
}

function look(path: string, slotBytes: number): { newest: Slot | undefined; damaged: number[] } {
  const bytes = readFileSync(path)
  const damaged: number[] = []
  let newest: Slot | undefined
  for (let at = 0; at < SLOTS; at++) {
    const slot = bytes.subarray(at * slotBytes, (at + 1) * slotBytes)
    // The file grows by the slot that is written: one that is behind its end never was.
    if (slot.length === 0) break
    const found = decodeSlot(slot)
    if (found === undefined) damaged.push(at + 1)
    else if (newest === undefined || found.sequence > newest.sequence) newest = { at, ...found }
  }
  return { newest, damaged }
}

function decodeSlot(slot: Buffer): Omit<Slot, 'at'> | undefined {
  if (slot.length < HEADER_BYTES + CRC_BYTES || slot.readUInt32LE(0) !== MAGIC) return undefined
  const end = HEADER_BYTES + slot.readUInt32LE(4)
  if (end + CRC_BYTES > slot.length) return undefined
  if (slot.readUInt32LE(end) !== crc32(slot.subarray(0, end))) return undefined
  return { sequence: slot.readBigUInt64LE(8), record: slot.subarray(HEADER_BYTES, end) }
}
