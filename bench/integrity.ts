/** What does it cost to be able to prove that nothing is missing, and how long does the proof take? */
import { open, type Store } from 'sutra-storage'
// The one look inside: without it nobody could say what a part of a commit costs.
import { HeadFile } from '../dist/log/head-file.js'
import { type BenchContext, eventLoopDelay, type Lane } from './harness.ts'
import { associationRecords, conceptRecords, contentOf, count, scratch } from './support.ts'

/** The watermark beside each durable frame, against a store that leaves it out. */
export async function durableHead(bench: BenchContext): Promise<void> {
  const commits = bench.size(5, 500)
  const rows = bench.size(200, 40_000)
  const rounds = bench.size(2, 10)
  bench.title(`With and without the durable head: commits of one writer, imports, fsync: yes`)
  await using folder = await scratch()
  await using store = await open(folder.path('store'), { durability: 'fsync' })
  const written = HeadFile.prototype.write
  let next = 0

  const commitOnce = async (lane: Lane): Promise<void> => {
    await lane.run(async () => {
      for (let i = 0; i < commits; i++) {
        const content = contentOf(next++)
        await lane.measure(async () => store.learn({ content }))
      }
    })
  }
  const importOnce = async (lane: Lane): Promise<void> => {
    const from = next
    next += rows
    await lane.run(async () => store.import(conceptRecords(from, next)), rows)
    await store.caughtUp()
  }
  const without = async (work: () => Promise<void>): Promise<void> => {
    HeadFile.prototype.write = () => undefined
    try {
      await work()
    } finally {
      HeadFile.prototype.write = written
    }
  }
  const commitsWithout = bench.lane('commits without HEAD')
  const commitsWith = bench.lane('commits', commitsWithout)
  const importWithout = bench.lane('import without HEAD')
  const importWith = bench.lane('import', importWithout)
  await bench.alternate(rounds, [
    async () => without(async () => commitOnce(commitsWithout)),
    async () => commitOnce(commitsWith),
    async () => without(async () => importOnce(importWithout)),
    async () => importOnce(importWith)
  ])
  // The last one writes HEAD, so that the store agrees with itself when it is closed.
  await store.learn({ content: 'the end' })
  bench.fingerprint(store.head)
}

/** `verify` phase by phase, against a rebuild of the tables in the same run; then a backup. */
export async function proofs(bench: BenchContext): Promise<void> {
  const concepts = bench.size(1_000, 125_000)
  const events = concepts * 4
  bench.title(`Verify, rebuild and back up a store of ${count(events)} events`)
  await using folder = await scratch()
  {
    await using filled = await open(folder.path('store'), { durability: 'os' })
    await filled.import(conceptRecords(0, concepts))
    await filled.import(associationRecords(concepts, 3, bench.seed))
  }
  // Closing wrote everything into table files, as in a store that has been there for a while.
  await using store = await open(folder.path('store'), { durability: 'os' })
  await store.caughtUp()

  const rebuild = bench.lane('rebuild of the tables, events')
  const tables = bench.lane('verify: tables against the log, events', rebuild)
  const frames = bench.lane('verify: frames and chain, events')
  const blocks = bench.lane('verify: blocks of files, MB')
  const backup = bench.lane('backup, events')
  const delays: number[] = []
  const rounds = bench.size(1, 3)
  await bench.alternate(rounds, [
    async () => {
      await rebuild.run(async () => store.rebuild({ projections: ['tables'] }), store.head)
    },
    async () => {
      const { spent, bytes } = await verifyByPhase(store)
      frames.took(spent('log'), store.head)
      blocks.took(spent('log files', 'table files'), Math.max(1, Math.round(bytes / 1e6)))
      tables.took(spent('tables', 'compare'), store.head)
    }
  ])
  for (let round = 0; round < rounds; round++) {
    const target = folder.path(`backup-${round}`)
    const delay = await backup.run(
      async () =>
        eventLoopDelay(async () => {
          await store.backup(target)
        }),
      store.head
    )
    delays.push(delay)
  }
  bench.note(`event-loop delay of a backup ${Math.max(...delays).toFixed(1)} ms at p99`)
  bench.fingerprint(store.head)
}

interface Phases {
  /** Milliseconds that went into the phases of these names. */
  spent: (...names: string[]) => number
  bytes: number
}

/** Progress is told at the end of a piece of work, so the time before it belongs to its phase. */
async function verifyByPhase(store: Store): Promise<Phases> {
  const phases = new Map<string, number>()
  let last = performance.now()
  const { ok, bytes } = await store.verify({
    onProgress({ phase }) {
      const now = performance.now()
      phases.set(phase, (phases.get(phase) ?? 0) + now - last)
      last = now
    }
  })
  if (!ok) throw new Error('A store that nothing happened to is not whole')
  const spent = (...names: string[]): number =>
    names.reduce((sum, name) => sum + (phases.get(name) ?? 0), 0)
  return { spent, bytes }
}
