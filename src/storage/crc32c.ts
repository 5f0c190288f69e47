/**
 * CRC-32C (Castagnoli), which LevelDB guards its blocks and records with. Node's zlib knows the other
 * polynomial alone; processors have instructions for this one.
 */
import { crc32c } from '@node-rs/crc32'

const POLYNOMIAL = 0x82f63b78
const MASK_DELTA = 0xa282ead8
/** Made when it is needed, which is for a repair. */
let bytewise: Int32Array | undefined

/** Checksum as LevelDB stores it: rotated and shifted, since it may be part of what it guards. */
export function maskedCrc32c(bytes: Uint8Array): number {
  return mask(crc32c(bytes))
}

function mask(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + MASK_DELTA) >>> 0
}

/**
 * Where the bytes end that begin at `from` and are followed by their own masked checksum: the
 * first such place, in one pass; -1 if there is none. By chance there is one in 2^32 bytes.
 */
export function findMaskedEnd(bytes: Buffer, from: number): number {
  bytewise ??= makeTable()
  const table = bytewise
  let crc = -1
  for (let end = from; end + 4 < bytes.length; ) {
    crc = (table[(crc ^ (bytes[end] as number)) & 255] as number) ^ (crc >>> 8)
    end += 1
    if (mask(~crc >>> 0) === bytes.readUInt32LE(end)) return end
  }
  return -1
}

function makeTable(): Int32Array {
  const table = new Int32Array(256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
    table[byte] = crc
  }
  return table
}
