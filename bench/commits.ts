/** How many single commits are acknowledged a second when each is on disk before it is? */
import { open, type Store } from 'sutra-storage'
import type { BenchContext } from './harness.ts'
import { type Bare, bareKey, contentOf, openBare, scratch } from './support.ts'

/** One durable commit at a time: the floor set by fsync, without any grouping. */
export async function commitsOfOneWriter(bench: BenchContext): Promise<void> {
  const commits = bench.size(5, 1000)
  bench.title('Single commits of 100 bytes, 1 writer, fsync: yes')
  await commitsOf(bench, 1, commits)
}

export async function commitsOfFewWriters(bench: BenchContext): Promise<void> {
  await commitsOfWriters(bench, 8, bench.size(3, 100))
}

export async function commitsOfManyWriters(bench: BenchContext): Promise<void> {
  await commitsOfWriters(bench, 64, bench.size(2, 50))
}

/** Several writers at once: those who wait share a frame and its fsync. */
async function commitsOfWriters(
  bench: BenchContext,
  writers: number,
  commits: number
): Promise<void> {
  bench.title(`Single commits of 100 bytes, ${writers} writers at once, fsync: yes`)
  await commitsOf(bench, writers, commits)
}

async function commitsOf(bench: BenchContext, writers: number, commits: number): Promise<void> {
  const rounds = bench.size(2, writers === 1 ? 8 : 20)
  await using folder = await scratch()
  await using store = await open(folder.path('store'), { durability: 'fsync' })
  await using bare = await openBare(folder.path('bare'))
  await warmUp(store, bare, bench.size(10, 3000))
  const everyone = Array.from({ length: writers }, (_, writer) => writer)
  const number = (round: number, writer: number, i: number): number =>
    (round * writers + writer) * commits + i

  const bareLane = bench.lane('classic-level put, sync')
  const storeLane = bench.lane('store.learn', bareLane)
  const works = [
    async (round: number) => {
      const write = async (writer: number): Promise<void> => {
        for (let i = 0; i < commits; i++) {
          const n = number(round, writer, i)
          const value = Buffer.from(contentOf(n))
          await bareLane.measure(async () => bare.put(bareKey(n), value, { sync: true }))
        }
      }
      await bareLane.run(async () => Promise.all(everyone.map(write)))
    },
    async (round: number) => {
      const write = async (writer: number): Promise<void> => {
        for (let i = 0; i < commits; i++) {
          const content = contentOf(number(round, writer, i))
          await storeLane.measure(async () => store.learn({ content }))
        }
      }
      await storeLane.run(async () => Promise.all(everyone.map(write)))
    }
  ]
  if (writers > 1) {
    const batchLane = bench.lane(`classic-level batch of ${writers}, sync`, bareLane)
    works.push(async (round) => {
      const batches = (): Promise<void> => writeBatches(bare, writers, commits, round)
      await batchLane.run(batches, writers * commits)
    })
  }
  await bench.alternate(rounds, works)
  bench.fingerprint(store.head)
}

/** A fresh process compiles as it goes and starts its threads, and 4 000 commits are soon over. */
async function warmUp(store: Store, bare: Bare, commits: number): Promise<void> {
  for (let n = 0; n < commits; n++) {
    await store.learn({ content: contentOf(n) })
    await bare.put(bareKey(n), Buffer.from(contentOf(n)), { sync: true })
  }
  await store.caughtUp()
}

/** What those who group by hand would reach: nobody waits for more than its own batch. */
async function writeBatches(
  bare: Bare,
  rows: number,
  batches: number,
  round: number
): Promise<void> {
  for (let i = 0; i < batches; i++) {
    const first = (round * batches + i) * rows
    const batch = Array.from({ length: rows }, (_, row) => ({
      type: 'put' as const,
      key: bareKey(first + row),
      value: Buffer.from(contentOf(first + row))
    }))
    await bare.batch(batch, { sync: true })
  }
}
