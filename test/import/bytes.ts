/** Bytes as a program hands them over, in chunks of a size that fits nothing. */
export async function* inChunks(
  text: string | Uint8Array,
  size: number
): AsyncGenerator<Uint8Array, void> {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

/** Runs of a property: when it fails, its report names the seed. */
export function seeded(numRuns: number): { numRuns: number; seed?: number } {
  const seed = process.env['SUTRA_TEST_SEED']
  return seed === undefined ? { numRuns } : { numRuns, seed: Number(seed) }
}
