/** Bytes that nobody wrote: out of those that somebody did, or out of nothing. */
import type { Random } from '../support/random.ts'

/** What a length, a count or an offset should better not be. */
const EXTREMES: readonly number[] = [
  0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff
]

/** First bytes of MessagePack that claim a length: text, bytes, arrays, maps, extensions. */
const CLAIMS: readonly number[] = [
  0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0x72, 0xd4
]

const LENGTH_MAX = 4096

/** One to four changes of a sample, or bytes by chance. */
export function mutated(random: Random, samples: readonly Buffer[]): Buffer {
  if (random.next() < 0.05) return random.bytes(random.below(300))
  let bytes: Buffer = Buffer.from(random.pick(samples))
  const changes = 1 + random.below(4)
  for (let n = 0; n < changes; n++) bytes = changed(random, bytes, samples)
  return bytes.subarray(0, LENGTH_MAX)
}

function changed(random: Random, bytes: Buffer, samples: readonly Buffer[]): Buffer {
  const { length } = bytes
  if (length === 0) return random.bytes(1 + random.below(20))
  const at = random.below(length)
  switch (random.below(8)) {
    case 0:
    case 1:
      bytes[at] = bytes.readUInt8(at) ^ (1 << random.below(8))
      return bytes
    case 2:
      return bytes.subarray(0, at)
    case 3:
      return Buffer.concat([bytes, random.bytes(1 + random.below(40))])
    case 4:
      return spliced(random, bytes, random.pick(samples))
    case 5:
      return withExtreme(random, bytes, at)
    case 6:
      bytes[at] = random.pick(CLAIMS)
      return bytes
    default:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(8))])
  }
}

/** The beginning of one, then a piece of the other. */
function spliced(random: Random, bytes: Buffer, other: Buffer): Buffer {
  const cut = random.below(bytes.length)
  const from = random.below(other.length + 1)
  const piece = other.subarray(from, from + random.below(64))
  return Buffer.concat([bytes.subarray(0, cut), piece, bytes.subarray(cut)])
}

/** An integer of one, two, four or eight bytes, at any place, in either order of bytes. */
function withExtreme(random: Random, bytes: Buffer, at: number): Buffer {
  const value = random.pick(EXTREMES)
  const width = random.pick([1, 2, 4, 8])
  const field = Buffer.alloc(8)
  if (random.next() < 0.5) field.writeUInt32LE(value, 0)
  else field.writeUIntBE(value & 0xff, 0, 1)
  if (random.next() < 0.5) field.writeUInt32BE(value, 0)
  field.copy(bytes, at, 0, Math.min(width, bytes.length - at))
  return bytes
}
