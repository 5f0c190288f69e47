/** Memory seen as words and numbers, for copies too small to be worth a call out of JavaScript. */

/** Longer copies are worth the call. */
const LOOP_BYTES_MAX = 1024

/** Copies bytes that begin at multiples of four, and up to three bytes behind them. */
export function copyWords(
  source: Int32Array,
  from: number,
  target: Int32Array,
  to: number,
  bytes: number
): void {
  const words = (bytes + 3) >>> 2
  const first = from >>> 2
  const at = to >>> 2
  if (bytes > LOOP_BYTES_MAX) {
    target.set(source.subarray(first, first + words), at)
    return
  }
  for (let i = 0; i < words; i++) target[at + i] = source[first + i] ?? 0
}

/** Copies a few bytes from and to anywhere, as one entry of a page has. */
export function copyBytes(
  source: Buffer,
  start: number,
  end: number,
  target: Buffer,
  at: number
): void {
  if (end - start > LOOP_BYTES_MAX / 4) {
    source.copy(target, at, start, end)
    return
  }
  for (let i = start; i < end; i++) target[at + i - start] = source[i] ?? 0
}

/** All whole words of a block of memory. */
export function wordsOf(bytes: Buffer): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2)
}

export function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}
