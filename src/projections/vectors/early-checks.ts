/**
 * Compares saved graphs with their checksums while the other parts of a store open: whoever searches
 * first waits for that, and the thread that does it has nothing else to do until then.
 */
import { isDeepStrictEqual } from 'node:util'
import type { BlockRange, FileSeal } from './index-files.ts'
import { sealedGraphs } from './manifest.ts'
import type { VectorPool } from './pool.ts'

/** Opening asks the same thread for more, and waits behind what is checked early: some 60 ms. */
const EARLY_BYTES = 256 * 1024 * 1024

/** Fewer blocks of a graph are not shared between threads. */
const BLOCKS_MIN = 8

export class EarlyChecks {
  readonly #stop = new AbortController()
  readonly #checks = new Map<string, { seal: FileSeal; done: Promise<void> }>()
  readonly #begun: Promise<void>

  /** @param directory Of the vectors. What its manifest says is believed only if others find the same. */
  constructor(pool: VectorPool, directory: string) {
    this.#begun = this.#begin(pool, directory)
  }

  /**
   * Resolves when the file is what the seal says, or `false` if it was not looked at.
   *
   * @throws IndexDamage
   */
  async has(path: string, seal: FileSeal): Promise<boolean> {
    await this.#begun
    const check = this.#checks.get(path)
    if (check === undefined || !isDeepStrictEqual(check.seal, seal)) return false
    this.#checks.delete(path)
    await check.done
    return true
  }

  /** Checks that nobody asked for are not begun any more. */
  async stop(): Promise<void> {
    await this.#begun
    if (this.#checks.size > 0) this.#stop.abort()
  }

  async #begin(pool: VectorPool, directory: string): Promise<void> {
    let bytes = 0
    for (const { path, seal } of await sealedGraphs(directory)) {
      bytes += seal.bytes
      if (bytes > EARLY_BYTES) return
      const done = checkShared(pool, path, seal, this.#stop.signal)
      // Whoever asks is told; if the store does not open, nobody does.
      done.catch(() => undefined)
      this.#checks.set(path, { seal, done })
    }
  }
}

/**
 * A part for each reader that runs, because whoever searches first waits for it: a thread takes
 * longer to start than to check a hundred megabytes.
 *
 * @throws IndexDamage
 */
export async function checkShared(
  pool: VectorPool,
  path: string,
  seal: FileSeal,
  signal?: AbortSignal
): Promise<void> {
  const count = seal.blocks.length
  const share = Math.max(BLOCKS_MIN, Math.ceil(count / pool.running))
  const ranges: BlockRange[] = []
  for (let from = 0; from < count; from += share) {
    ranges.push({ from, to: Math.min(count, from + share) })
  }
  const options = { role: 'read', ...(signal && { signal }) } as const
  await Promise.all(
    ranges.map(async (blocks) => pool.run('check', { path, seal, blocks }, options))
  )
}
