/**
 * Unpacks zstd. The oldest Node that we support has none, and the decoder used here does not look at
 * checksums, so this walks through the frames itself and checks what the decoder does not: that
 * nothing is missing at the end, that each frame is as long as it says, and its checksum. One way on
 * all versions of Node. The format: RFC 8878.
 */
import { Decompress } from 'fzstd'
import xxhash, { type XXHash } from 'xxhash-wasm'

const MAGIC = 0xfd2fb528
/** The low four bits of a skippable frame's magic number are free. */
const SKIPPABLE = 0x184d2a50
/** What the zstd program takes without being told to. */
const WINDOW_BYTES_MAX: number = 128 * 1024 * 1024
const BLOCK_BYTES_MAX: number = 128 * 1024
const RAW = 0
const RLE = 1
const COMPRESSED = 2

/** Yields what is in the frames of a file, a block at a time, however little packs how much. */
export async function* unpackZstd(
  source: AsyncIterable<Uint8Array>
): AsyncGenerator<Buffer, void, undefined> {
  const { create64 } = await xxhash()
  const input = new Bytes(source)
  try {
    if (await input.isAtEnd()) throw new Error('it is empty, which no zstd file is')
    while (!(await input.isAtEnd())) {
      const magic = (await input.take(4)).readUInt32LE()
      if (magic === MAGIC) yield* unpackFrame(input, create64())
      else if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE) {
        await input.skip((await input.take(4)).readUInt32LE())
      } else throw new Error('it is not packed with zstd, or damaged')
    }
  } finally {
    await input.close()
  }
}

async function* unpackFrame(
  input: Bytes,
  checksum: XXHash<bigint>
): AsyncGenerator<Buffer, void, undefined> {
  const header = await readHeader(input)
  const unpacked: Buffer[] = []
  const decoder = new Decompress((block) => unpacked.push(Buffer.from(block)))
  let packed = header.bytes
  let length = 0
  for (let isLast = false; !isLast; ) {
    const head = await input.take(3)
    isLast = ((head[0] ?? 0) & 1) === 1
    const body = await input.take(bodyBytes(head.readUIntLE(0, 3)))
    const tail = isLast && header.hasChecksum ? await input.take(4) : Buffer.alloc(0)
    // The decoder wants to see the beginning of a frame in one piece.
    packed = Buffer.concat([packed, head, body, tail])
    decoder.push(packed, isLast)
    packed = Buffer.alloc(0)
    for (const block of unpacked.splice(0)) {
      checksum.update(block)
      length += block.length
      if (block.length > 0) yield block
    }
    if (tail.length > 0 && BigInt(tail.readUInt32LE()) !== (checksum.digest() & 0xffffffffn)) {
      throw new Error('its checksum is wrong')
    }
  }
  if (header.length !== undefined && length !== header.length) {
    throw new Error(`a frame of ${header.length} bytes has ${length}`)
  }
}

interface Header {
  /** Of the file, magic number included. */
  readonly bytes: Buffer
  readonly hasChecksum: boolean
  readonly length: number | undefined
}

async function readHeader(input: Bytes): Promise<Header> {
  const magic = Buffer.alloc(4)
  magic.writeUInt32LE(MAGIC)
  const descriptor = await input.take(1)
  const flags = descriptor[0] ?? 0
  if (flags & 0b1000) throw new Error('a frame uses what is not defined yet')
  const isSingle = (flags & 0b10_0000) !== 0
  const window = await input.take(isSingle ? 0 : 1)
  const dictionary = await input.take([0, 1, 2, 4][flags & 0b11] ?? 0)
  if (dictionary.some((byte) => byte !== 0)) throw new Error('it was packed with a dictionary')
  const size = await input.take([isSingle ? 1 : 0, 2, 4, 8][flags >> 6] ?? 0)
  const length = lengthOf(size)
  const windowBytes = isSingle ? (length ?? 0) : windowOf(window[0] ?? 0)
  // Taken at once by the decoder, whatever is in the frame.
  if (windowBytes > WINDOW_BYTES_MAX) {
    throw new Error(`its window of ${windowBytes} bytes exceeds ${WINDOW_BYTES_MAX}`)
  }
  const bytes = Buffer.concat([magic, descriptor, window, dictionary, size])
  return { bytes, hasChecksum: (flags & 0b100) !== 0, length }
}

function lengthOf(size: Buffer): number | undefined {
  switch (size.length) {
    case 0:
      return undefined
    case 2:
      return size.readUInt16LE() + 256
    case 8:
      return Number(size.readBigUInt64LE())
    default:
      return size.readUIntLE(0, size.length)
  }
}

function windowOf(byte: number): number {
  const base = 2 ** (10 + (byte >> 3))
  return base + (base / 8) * (byte & 7)
}

/** How many bytes stand behind the head of a block. */
function bodyBytes(head: number): number {
  const type = (head >> 1) & 0b11
  const size = head >> 3
  if (type !== RAW && type !== RLE && type !== COMPRESSED) throw new Error('a block is damaged')
  if (size > BLOCK_BYTES_MAX) throw new Error(`a block of ${size} bytes exceeds ${BLOCK_BYTES_MAX}`)
  return type === RLE ? 1 : size
}

/** The bytes of a source, in pieces of the size that is asked for. */
class Bytes {
  readonly #iterator: AsyncIterator<Uint8Array>
  #left: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#iterator = source[Symbol.asyncIterator]()
  }

  async isAtEnd(): Promise<boolean> {
    while (this.#left.length === 0) {
      const { done, value } = await this.#iterator.next()
      if (done) return true
      this.#left = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    }
    return false
  }

  async take(length: number): Promise<Buffer> {
    const parts: Buffer[] = []
    for (let missing = length; missing > 0; ) {
      if (await this.isAtEnd()) throw new Error('it ends in the middle of a frame')
      const part = this.#left.subarray(0, missing)
      this.#left = this.#left.subarray(part.length)
      missing -= part.length
      parts.push(part)
    }
    const [only, ...others] = parts
    return only !== undefined && others.length === 0 ? only : Buffer.concat(parts)
  }

  async skip(length: number): Promise<void> {
    for (let missing = length; missing > 0; ) {
      missing -= (await this.take(Math.min(missing, BLOCK_BYTES_MAX))).length
    }
  }

  async close(): Promise<void> {
    await this.#iterator.return?.()
  }
}
