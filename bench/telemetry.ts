/** What does it cost to be watched, and to be ready for it while nobody watches? */
import { open, type Store, type TelemetryEvent } from 'sutra-storage'
import { TelemetryHub } from '#sutra/telemetry/hub.js'
import { LatencyRecorder } from '#sutra/telemetry/latency.js'
import type { BenchContext, Lane } from './harness.ts'
import { conceptRecords, contentOf, count, scratch } from './support.ts'

/** Commits under way at once: they share frames, so that the disk is not what is measured. */
const UNDER_WAY = 200

/** One store, which is watched in every other round. */
export async function telemetryCost(bench: BenchContext): Promise<void> {
  const rounds = bench.size(2, 24)
  const piece = bench.size(400, 5_000)
  bench.title(
    `${count(piece)} commits and ${count(piece)} imported concepts of 100 bytes a round, fsync: no`
  )
  await using folder = await scratch()
  // A snapshot comes with each new subscriber, which would be many here: it is timed by itself.
  const telemetry = { metricsMs: 0 }
  await using store = await open(folder.path('store'), { durability: 'os', telemetry })
  const kinds = new Map<TelemetryEvent['type'], number>()
  let written = 0
  let quietNs = 0
  const work = (commits: Lane, imported: Lane, isWatched: boolean) => async (): Promise<void> => {
    const watching = isWatched
      ? store.telemetry$.subscribe(({ type }) => kinds.set(type, (kinds.get(type) ?? 0) + 1))
      : undefined
    const from = written
    written += 2 * piece
    const ns = await cpuNs(async () => {
      await commits.run(async () => commitAll(store, from, piece), piece)
      await store.caughtUp()
    })
    if (!isWatched) quietNs += ns
    const records = conceptRecords(from + piece, written)
    await imported.run(async () => store.import(records), piece)
    await store.caughtUp()
    watching?.unsubscribe()
  }
  const commits = bench.lane('single commits, nobody subscribed')
  const watchedCommits = bench.lane('single commits, one subscriber', commits)
  const imported = bench.lane('store.import, nobody subscribed')
  const watchedImports = bench.lane('store.import, one subscriber', imported)
  await bench.alternate(rounds, [
    work(commits, imported, false),
    work(watchedCommits, watchedImports, true)
  ])
  bench.fingerprint(store.head)
  const snapshotNs = await nsOf(bench.size(10, 100), () => store.stats())
  bench.figure('a snapshot of the statistics', snapshotNs / 1000, 'µs')
  const told = [...kinds.values()].reduce((sum, events) => sum + events, 0)
  await parts(bench, quietNs / (rounds * piece), told / (2 * rounds * piece))
}

async function commitAll(store: Store, from: number, commits: number): Promise<void> {
  for (let at = from; at < from + commits; at += UNDER_WAY) {
    const end = Math.min(at + UNDER_WAY, from + commits)
    const group = Array.from({ length: end - at }, (_, i) =>
      store.learn({ content: contentOf(at + i) })
    )
    await Promise.all(group)
  }
}

/**
 * The same from its parts, which are too small to be seen in the whole. Processor time, because others
 * on the machine do not count in it.
 */
async function parts(
  bench: BenchContext,
  commitNs: number,
  eventsPerCommit: number
): Promise<void> {
  const times = bench.size(10_000, 1_000_000)
  const hub = new TelemetryHub()
  let made = 0
  const tell = (): void => {
    if (!hub.active) return
    made += 1
    hub.emit({
      type: 'commit',
      time: Date.now(),
      origin: 'commit',
      commands: 1,
      events: 1,
      us: made,
      first: made,
      last: made,
      durability: 'os',
      outcome: 'appended',
      backlog: 1
    })
  }
  const checkNs = await nsOf(times, tell)
  bench.fingerprint(made)
  let seen = 0
  hub.events$.subscribe(() => {
    seen += 1
  })
  const tellNs = await nsOf(times, tell)
  bench.fingerprint(seen - made)
  bench.figure('a single commit, tables included', commitNs / 1000, 'µs')
  bench.figure('a check while nobody has subscribed', checkNs, 'ns')
  bench.figure('an event told to one subscriber', tellNs, 'ns')
  bench.figure('of a single commit, nobody', (100 * checkNs) / commitNs, '%')
  bench.figure(
    'of a single commit, one subscriber',
    (100 * tellNs * eventsPerCommit) / commitNs,
    '%'
  )
  await summaries(bench)
}

async function summaries(bench: BenchContext): Promise<void> {
  const latency = new LatencyRecorder()
  const times = bench.size(100, 2_000)
  const operations = Object.keys(latency.summary()) as Parameters<typeof latency.record>[0][]
  for (let i = 0; i < times * 10; i++) {
    for (const operation of operations) latency.record(operation, 1 + 1e4 * bench.random() ** 4)
  }
  const recordNs = await nsOf(times * 100, () => latency.record('get', 3))
  const summaryNs = await nsOf(times, () => latency.summary())
  latency.stop()
  bench.figure('a latency recorded', recordNs, 'ns')
  bench.figure(`percentiles of all ${operations.length} operations`, summaryNs / 1000, 'µs')
}

async function nsOf(times: number, work: () => unknown): Promise<number> {
  for (let i = 0; i < times / 10; i++) work()
  const ns = await cpuNs(async () => {
    for (let i = 0; i < times; i++) work()
  })
  return ns / times
}

/** Processor time of all threads meanwhile; never nothing. */
async function cpuNs(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return Math.max(user + system, 1) * 1000
}
