/** Does a single commit notice that a large import goes on beside it? */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Durability, open, type Store } from 'sutra-storage'
import type { BenchContext, Lane } from './harness.ts'
import { conceptRecords, contentOf, count, scratch } from './support.ts'

export async function singleBesideImport(bench: BenchContext): Promise<void> {
  const concepts = bench.size(2_000, 250_000)
  bench.title(`Single commits while ${count(concepts)} concepts are imported, and before and after`)
  await using folder = await scratch()
  for (const durability of ['fsync', 'os'] as const) {
    const alone = bench.lane(`${durability}: single commits alone`)
    const beside = bench.lane(`${durability}: beside an import`, alone)
    const whole = bench.lane(`${durability}: the import, nothing beside it`)
    const shared = bench.lane(`${durability}: the import, single commits beside it`, whole)
    const piece = Math.floor(concepts / bench.size(1, 4))
    // The stores of the two imports differ in nothing but what is beside them.
    await using store = await open(folder.path(`${durability}-shared`), { durability })
    await using other = await open(folder.path(`${durability}-whole`), { durability })
    const singles = new Singles(store)
    await bench.alternate(bench.size(1, 4), [
      async () => singles.pass(alone, async () => sleep(bench.size(20, 2000))),
      async (round) => {
        const records = conceptRecords(round * piece, (round + 1) * piece)
        await whole.run(async () => other.import(records), piece)
        await other.caughtUp()
      },
      async (round) => {
        const records = conceptRecords(round * piece, (round + 1) * piece)
        await singles.pass(beside, async () => {
          await shared.run(async () => store.import(records), piece)
        })
        await store.caughtUp()
      }
    ])
    bench.fingerprint(store.head - singles.given)
    await tellOthers(bench, durability, store)
  }
}

/** One commit after the other, each a few milliseconds behind the one before. */
class Singles {
  readonly #store: Store
  given = 0

  constructor(store: Store) {
    this.#store = store
  }

  async pass(lane: Lane, meanwhile: () => Promise<void>): Promise<void> {
    let isOver = false
    const done = meanwhile().finally(() => {
      isOver = true
    })
    while (!isOver) {
      const content = `single ${this.given++}, ${contentOf(this.given)}`
      await lane.measure(async () => this.#store.learn({ content }))
      await sleep(5 + (this.given % 5))
    }
    await done
  }
}

async function tellOthers(
  bench: BenchContext,
  durability: Durability,
  store: Store
): Promise<void> {
  const { backPressureMs } = store.stats().pipeline
  bench.note(
    `${durability}: writers waited ${Math.round(backPressureMs)} ms for room, all together`
  )
}
