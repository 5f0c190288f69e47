/** Exact vectors of which some are in files alone, some in both, and the newest in memory alone. */
import { setTimeout as sleep } from 'node:timers/promises'
import { ConceptId, open, type Store } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { slabRows } from '#sutra/projections/vectors/layout.js'
import { Random } from '../support/random.ts'
import { temporaryPath } from '../support/temp.ts'

/** As many bytes a vector as no power of two holds: what is read ahead ends in the middle of slabs. */
const SIZES = [3000, 1500, 900]

describe('a search finds all, and nothing counts as damaged', () => {
  test.each(SIZES)(
    'with no room for rows that are in files, %i numbers each',
    async (dimensions) => {
      const random = new Random()
      const store = await open(await temporaryPath('small-cache'), {
        durability: 'os',
        vectors: { dimensions, cacheBytes: 0 }
      })
      try {
        const damage: unknown[] = []
        store.telemetry$.subscribe((event) => event.type === 'damage-found' && damage.push(event))
        const vectors: Float32Array[] = []
        // The first rows of a slab are in a file, the next ones are not.
        for (const count of [slabRows(dimensions) + 1 + random.below(9), 20, 1, 300, 2]) {
          await learn(store, vectors, { count, dimensions, random })
          await expectNearest(store, vectors, random)
          await store.checkpoint()
          // What is in files loses its place in memory now.
          await sleep(20)
        }
        await learn(store, vectors, { count: 3, dimensions, random })
        await expectNearest(store, vectors, random)
        expect(damage, `seed ${random.seed}`).toEqual([])
        expect((await store.verify()).problems).toEqual([])
      } finally {
        await store.close()
      }
    }
  )
})

interface Wanted {
  count: number
  dimensions: number
  random: Random
}

async function learn(
  store: Store,
  vectors: Float32Array[],
  { count, dimensions, random }: Wanted
): Promise<void> {
  const commands = Array.from({ length: count }, () => {
    const embedding = Float32Array.from({ length: dimensions }, () => random.next() - 0.5)
    vectors.push(embedding)
    return { do: 'learn' as const, id: { key: `${vectors.length - 1}` }, content: 'x', embedding }
  })
  for (let from = 0; from < count; from += 500) await store.commit(commands.slice(from, from + 500))
}

/** Of a vector that is there, the nearest is itself. */
async function expectNearest(
  store: Store,
  vectors: readonly Float32Array[],
  random: Random
): Promise<void> {
  for (let round = 0; round < 8; round++) {
    const at = round < 2 ? vectors.length - 1 - round : random.below(vectors.length)
    const query = vectors[at] ?? new Float32Array(0)
    const k = Math.min(vectors.length, 1000)
    const [best, ...others] = await store.search(query, { k, exact: true })
    expect(best?.id, `seed ${random.seed}`).toBe(ConceptId.fromKey(`${at}`))
    expect(others).toHaveLength(k - 1)
  }
}
