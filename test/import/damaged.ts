/** What becomes of files that were damaged. */
import { readFile, writeFile } from 'node:fs/promises'
import { isStoreError, type Store } from 'sutra-storage'
import { expect } from 'vitest'
import { Random } from '../support/random.ts'

const ROUNDS = 25

/** Damages a file again and again; importing it gives rows or a typed error, and always ends. */
export async function importDamaged(
  store: Store,
  path: string,
  damage: (whole: Buffer, random: Random) => Buffer
): Promise<void> {
  const random = new Random()
  const whole = await readFile(path)
  for (let round = 0; round < ROUNDS; round++) {
    await writeFile(path, damage(whole, random))
    const outcome = await outcomeOf(store, path)
    expect(outcome, `round ${round}, SUTRA_TEST_SEED=${random.seed}`).toMatch(
      /^(imported|IMPORT_SOURCE_INVALID|LIMIT_EXCEEDED|UNSUPPORTED)$/
    )
  }
}

/** Flips and overwrites bytes from a place on, or cuts the file off. */
export function damageFrom(from: number, whole: Buffer, random: Random): Buffer {
  const bytes = Buffer.from(whole)
  if (random.below(6) === 0) return bytes.subarray(0, random.below(bytes.length))
  for (let flips = 1 + random.below(4); flips > 0; flips--) {
    const at = from + random.below(bytes.length - from)
    bytes[at] = random.below(2) === 0 ? random.below(256) : (bytes[at] ?? 0) ^ 0xff
  }
  return bytes
}

async function outcomeOf(store: Store, path: string): Promise<string> {
  try {
    await store.import(path, { dryRun: true })
    return 'imported'
  } catch (error) {
    return isStoreError(error) ? error.code : String(error)
  }
}
