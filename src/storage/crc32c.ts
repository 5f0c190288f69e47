/**
 * CRC-32C (Castagnoli), which LevelDB guards its blocks and records with. Node's zlib knows the other
 * polynomial alone. Eight bytes a step through eight tables (Kounavis and Berry 2005).
 */

const POLYNOMIAL = 0x82f63b78
const SLICES = 8
const TABLES: readonly Int32Array[] = makeTables()
const MASK_DELTA = 0xa282ead8

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
  const [table] = TABLES as Eight
  let crc = -1
  for (let end = from; end + 4 < bytes.length; ) {
    crc = (table[(crc ^ (bytes[end] as number)) & 255] as number) ^ (crc >>> 8)
    end += 1
    if (mask(~crc >>> 0) === bytes.readUInt32LE(end)) return end
  }
  return -1
}

export function crc32c(bytes: Uint8Array): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES as Eight
  const { length } = bytes
  const whole = length - (length % SLICES)
  let crc = -1
  let at = 0
  // Every index is in range: a table has 256 entries, and `at` stays below `whole`.
  for (; at < whole; at += SLICES) {
    const low =
      crc ^
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24))
    crc =
      (t7[low & 255] as number) ^
      (t6[(low >>> 8) & 255] as number) ^
      (t5[(low >>> 16) & 255] as number) ^
      (t4[low >>> 24] as number) ^
      (t3[bytes[at + 4] as number] as number) ^
      (t2[bytes[at + 5] as number] as number) ^
      (t1[bytes[at + 6] as number] as number) ^
      (t0[bytes[at + 7] as number] as number)
  }
  for (; at < length; at++) {
    crc = (t0[(crc ^ (bytes[at] as number)) & 255] as number) ^ (crc >>> 8)
  }
  return ~crc >>> 0
}

type Eight = [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array
]

function makeTables(): Int32Array[] {
  const first = new Int32Array(256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
    first[byte] = crc
  }
  const tables = [first]
  for (let slice = 1; slice < SLICES; slice++) {
    const before = tables[slice - 1] as Int32Array
    tables.push(before.map((crc) => (first[crc & 255] as number) ^ (crc >>> 8)))
  }
  return tables
}
