/** What does a concept cost that a million others are associated with? */

import { setTimeout as sleep } from 'node:timers/promises'
import { type ImportRecord, open, type Store } from 'sutra-storage'
import { type BenchContext, collectGarbage } from './harness.ts'
import { conceptRecords, count, keyOf, scratch } from './support.ts'

const HUB = { key: 'hub' }
const NEIGHBOURS = 10
const POLL_MS = 20

/** A hub is learned, read, forgotten by one event, and looked for from the other ends. */
export async function hub(bench: BenchContext): Promise<void> {
  const leaves = bench.size(2_000, 1_000_000)
  bench.title(`A hub of ${count(leaves)} associations, fsync: no`)
  await using folder = await scratch()
  await using store = await open(folder.path('store'), { durability: 'os' })
  await store.import(conceptRecords(0, leaves))
  await store.learn({ id: HUB, content: 'What everything is associated with' })
  await store.caughtUp()
  const before = memory()

  const associate = bench.lane('associate, tables up to date')
  await associate.run(async () => {
    await store.import(spokes(leaves))
    await store.caughtUp()
  }, leaves)
  const after = memory()
  await readHub(bench, store, leaves)
  await forgetHub(bench, store, leaves)
  bench.note(`memory of the process: ${before} before, ${after} with the hub, ${memory()} behind`)
  bench.fingerprint(store.head)
}

function* spokes(leaves: number): Generator<ImportRecord> {
  for (let i = 0; i < leaves; i++) {
    yield { kind: 'association', sourceKey: HUB.key, targetKey: keyOf(i), type: 'holds' }
  }
}

async function readHub(bench: BenchContext, store: Store, leaves: number): Promise<void> {
  const first = bench.lane(`first ${NEIGHBOURS} neighbours`)
  const page = bench.lane(`next ${NEIGHBOURS} neighbours, by cursor`)
  const incoming = bench.lane('from a random leaf to the hub')
  let after: string | undefined
  for (let i = bench.size(20, 1_000); i > 0; i--) {
    const found = await first.measure(() => store.neighbors(HUB, { limit: NEIGHBOURS }))
    const cursor = after ?? found.at(-1)?.cursor
    if (cursor === undefined) throw new Error('The hub has no neighbours')
    const next = await page.measure(() =>
      store.neighbors(HUB, { limit: NEIGHBOURS, after: cursor })
    )
    after = next.at(-1)?.cursor
    const leaf = { key: keyOf(Math.floor(bench.random() * leaves)) }
    const back = await incoming.measure(() => store.neighbors(leaf, { direction: 'in' }))
    bench.fingerprint(found.length + next.length + back.length)
  }
}

async function forgetHub(bench: BenchContext, store: Store, leaves: number): Promise<void> {
  const forget = bench.lane('forget, one event')
  const count = bench.lane('counts behind it')
  const incoming = bench.lane('from a random leaf to nothing')
  const sweep = bench.lane('sweep of the rows, in the background')
  let isSwept = false
  const watching = store.telemetry$.subscribe((event) => {
    if (event.type === 'sweep') isSwept = event.done
  })
  await sweep.run(async () => {
    await forget.measure(() => store.forget(HUB))
    const { associations } = await count.measure(() => store.counts())
    bench.fingerprint(associations)
    for (let i = bench.size(20, 1_000); i > 0; i--) {
      const leaf = { key: keyOf(Math.floor(bench.random() * leaves)) }
      const back = await incoming.measure(() => store.neighbors(leaf, { direction: 'in' }))
      bench.fingerprint(back.length)
    }
    // A timer, because what the store does in the background keeps no process alive.
    while (!isSwept) await sleep(POLL_MS)
  }, leaves)
  watching.unsubscribe()
}

function memory(): string {
  collectGarbage()
  const { rss, heapUsed } = process.memoryUsage()
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0)
  return `${megabytes(rss)} MB (heap ${megabytes(heapUsed)})`
}
