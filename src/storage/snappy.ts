/**
 * Decompresses one block in the raw format of Snappy, which LevelDB compresses its blocks with.
 * LevelDB does so itself whenever it reads; this is for reading its files when it cannot.
 */

const LITERAL = 0
/** Longer literals are copied by the system. */
const VIEW_BYTES = 64

/**
 * @param max Longest result to make room for.
 * @throws RangeError on bytes that are no such block.
 */
export function uncompressSnappy(input: Uint8Array, max: number): Buffer {
  const { value: length, next } = readVarint(input, 0)
  if (length > max) throw new RangeError(`a block of ${length} bytes, at most ${max} expected`)
  const output = Buffer.alloc(length)
  let from = next
  let to = 0
  while (from < input.length) {
    const tag = byteAt(input, from)
    if ((tag & 3) === LITERAL) {
      const literal = literalAt(input, from, tag)
      const end = literal.from + literal.length
      if (end > input.length || to + literal.length > length) throw cut()
      // Most are of some bytes: a view of them would cost more than they do.
      if (literal.length > VIEW_BYTES) output.set(input.subarray(literal.from, end), to)
      else
        for (let i = 0; i < literal.length; i++) output[to + i] = input[literal.from + i] as number
      to += literal.length
      from = end
    } else {
      const copy = copyAt(input, from, tag)
      if (copy.offset === 0 || copy.offset > to || to + copy.length > length) throw cut()
      // What is copied may overlap what is written: a run is a copy of itself.
      for (let i = 0; i < copy.length; i++) {
        output[to + i] = output[to + i - copy.offset] as number
      }
      to += copy.length
      from = copy.next
    }
  }
  if (to !== length) throw cut()
  return output
}

/** A number in groups of seven bits, lowest first; at most 32 bits. */
export function readVarint(bytes: Uint8Array, at: number): { value: number; next: number } {
  let value = 0
  let scale = 1
  for (let next = at; next < at + 8; next++) {
    const byte = byteAt(bytes, next)
    value += (byte & 127) * scale
    if (byte < 128) return { value, next: next + 1 }
    scale *= 128
  }
  throw new RangeError('a number of more than eight bytes')
}

function literalAt(input: Uint8Array, at: number, tag: number): { from: number; length: number } {
  const short = tag >>> 2
  if (short < 60) return { from: at + 1, length: short + 1 }
  const bytes = short - 59
  let length = 0
  for (let i = bytes; i > 0; i--) length = length * 256 + byteAt(input, at + i)
  return { from: at + 1 + bytes, length: length + 1 }
}

function copyAt(
  input: Uint8Array,
  at: number,
  tag: number
): { offset: number; length: number; next: number } {
  const kind = tag & 3
  if (kind === 1) {
    const offset = ((tag >>> 5) << 8) | byteAt(input, at + 1)
    return { offset, length: ((tag >>> 2) & 7) + 4, next: at + 2 }
  }
  const low = byteAt(input, at + 1) | (byteAt(input, at + 2) << 8)
  const length = (tag >>> 2) + 1
  if (kind === 2) return { offset: low, length, next: at + 3 }
  const high = byteAt(input, at + 3) + byteAt(input, at + 4) * 256
  return { offset: low + high * 65536, length, next: at + 5 }
}

function byteAt(bytes: Uint8Array, at: number): number {
  const byte = bytes[at]
  if (byte === undefined) throw cut()
  return byte
}

function cut(): RangeError {
  return new RangeError('the block is cut or names bytes outside of it')
}
