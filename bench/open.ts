/** How long until a store can be read, and does it depend on what it holds? */
import { open } from 'sutra-storage'
import type { BenchContext } from './harness.ts'
import { fillBare, fillStore } from './reads.ts'
import { bareKey, count, keyOf, openBare, scratch } from './support.ts'

const EACH = 3

/** Cleanly closed stores of two sizes: opening is flat where both take the same time. */
export async function openAgain(bench: BenchContext): Promise<void> {
  const sizes = [bench.size(200, 100_000), bench.size(2_000, 1_000_000)]
  const largest = Math.max(...sizes)
  bench.title('Open a store that was closed, to the first get, file cache warm')
  await using folder = await scratch()
  await fillBare(folder.path('bare'), largest, EACH, bench.seed)
  const bareLane = bench.lane(
    `classic-level, ${count(largest)} concepts, ${EACH} associations each`
  )
  const works = [
    async () => {
      const bare = await bareLane.measure(async () => {
        const opened = await openBare(folder.path('bare'))
        bench.fingerprint(opened.getSync(bareKey(0))?.length ?? 0)
        return opened
      })
      await bare.close()
    }
  ]
  for (const concepts of sizes) {
    const directory = folder.path(`store-${concepts}`)
    await fillStore(directory, concepts, EACH, bench.seed)
    const lane = bench.lane(
      `store, ${count(concepts)} concepts, ${EACH} associations each`,
      bareLane
    )
    works.push(async () => {
      const store = await lane.measure(async () => {
        const opened = await open(directory)
        bench.fingerprint((await opened.get({ key: keyOf(0) }))?.content.length ?? 0)
        return opened
      })
      await store.close()
    })
  }
  await bench.alternate(bench.size(2, 15), works)
}
