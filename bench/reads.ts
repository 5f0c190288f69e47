/** What does a read cost in a large store? And how fast are its events read again? */
import { type ConceptId, open, type Store } from 'sutra-storage'
import { type BenchContext, collectGarbage } from './harness.ts'
import {
  associationRecords,
  associationsOf,
  type Bare,
  bareKey,
  conceptRecords,
  contentOf,
  keyOf,
  openBare,
  type Scratch,
  scratch
} from './support.ts'

const ASSOCIATIONS_EACH = 3
const NEIGHBOURS = 10
const ITERATOR_ROWS = 1000

interface Subject {
  store: Store
  bare: Bare
  concepts: number
  ids: readonly ConceptId[]
}

/** One concept by its id. */
export async function getById(bench: BenchContext): Promise<void> {
  await using folder = await scratch()
  await using subject = await subjectOf(bench, folder)
  const { store, bare, concepts, ids } = subject
  const reads = bench.size(50, 5_000)
  bench.title(`Get of a random id among ${concepts}`)
  const bareLane = bench.lane('classic-level getSync')
  const storeLane = bench.lane('store.get')
  // Both read the same concepts, a round of which warms up what is measured from then on.
  const draws = draw(bench, reads, concepts)
  let length = 0
  await bench.alternate(bench.size(2, 20), [
    async () => {
      for (const n of draws)
        length += bareLane.measureSync(() => bare.getSync(bareKey(n)))?.length ?? 0
    },
    async () => {
      for (const n of draws) {
        const id = ids[n]
        if (id === undefined) continue
        length += (await storeLane.measure(() => store.get(id)))?.content.length ?? 0
      }
    }
  ])
  bench.fingerprint(length)
}
