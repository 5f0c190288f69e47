/**
 * Memory that threads share, of which only what is touched is taken.
 *
 * It could grow, and never does: memory of a fixed size comes from `calloc`, which clears what other
 * memory has left behind, and so takes it. A store of a few vectors that was opened where others had
 * been closed took 30 MiB. What could grow is mapped by itself, and gone when it is let go.
 *
 * Whoever looks into it says how far: a view that followed its growth would be read 20 times slower.
 */
export function reserve(bytes: number): SharedArrayBuffer {
  return new SharedArrayBuffer(bytes, { maxByteLength: bytes })
}
