/** What does it cost to keep telemetry, and how much disk does it take? */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { open, type Store, type TelemetryEvent } from 'sutra-storage'
import { Intake } from '#sutra/telemetry-store/intake.js'
import { toCommand } from '#sutra/telemetry-store/record.js'
import { segmentOptions } from '#sutra/telemetry-store/segment.js'
import type { BenchContext, Lane } from './harness.ts'
import { contentOf, count, scratch } from './support.ts'

/** Commits under way at once: they share frames, so that the disk is not what is measured. */
const UNDER_WAY = 200
const MINUTE_MS = 60_000
const WINDOW_MS = 10_000

/** Two stores in turns, of which one keeps its telemetry. */
export async function telemetryStoreCost(bench: BenchContext): Promise<void> {
  const rounds = bench.size(2, 30)
  const piece = bench.size(400, 20_000)
  bench.title(`${count(piece)} single commits a round, fsync: no; telemetry is kept or not`)
  await using folder = await scratch()
  await using plain = await open(folder.path('plain'), { durability: 'os' })
  const options = { durability: 'os', telemetry: { store: true } } as const
  await using keeping = await open(folder.path('keeping'), options)
  const without = bench.lane('single commits, nothing is kept')
  const kept = bench.lane('single commits, telemetry is kept', without)
  let written = 0
  const work = (lane: Lane, store: Store, isLast: boolean) => async (): Promise<void> => {
    const from = written
    await lane.run(async () => commitAll(store, from, piece), piece)
    await store.caughtUp()
    if (isLast) written += piece
  }
  await bench.alternate(rounds, [work(without, plain, false), work(kept, keeping, true)])
  bench.fingerprint(keeping.head)
  const taken = nsOfIntake(bench.size(10_000, 1_000_000))
  bench.figure('an event taken in', taken, 'ns')
  bench.figure('of a single commit, with its event', (100 * taken * without.rate) / 1e9, '%')
  const hours = bench.size(1, 24)
  const bytes = await bytesOfBusyHours(folder.path('busy'), hours)
  bench.figure('an hour of a busy store on disk', bytes / hours / 1024 ** 2, 'MiB')
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

function commitEvent(time: number, us: number): TelemetryEvent {
  return {
    ...{ type: 'commit', time, v: 1, origin: 'commit', commands: 1, events: 1, us },
    ...{ first: us, last: us, durability: 'os', outcome: 'appended', backlog: us }
  }
}

function queryEvent(
  time: number,
  kind: 'get' | 'neighbors' | 'search',
  us: number
): TelemetryEvent {
  return { type: 'query', time, v: 1, kind, us, results: 1 }
}

function nsOfIntake(times: number): number {
  const intake = new Intake(WINDOW_MS)
  const events = Array.from({ length: 1000 }, (_, i) => commitEvent(Date.now(), i))
  const work = (rounds: number): void => {
    for (let i = 0; i < rounds; i++) for (const event of events) intake.add(event)
  }
  work(times / 10_000)
  const began = process.cpuUsage()
  work(times / 1000)
  const { user, system } = process.cpuUsage(began)
  return ((user + system) * 1000) / times
}

/** As the recorder writes it: once a second what there is, sums every ten seconds, statistics once a minute. */
async function bytesOfBusyHours(path: string, hours: number): Promise<number> {
  await using source = await open(`${path}-source`)
  const stats = source.stats()
  const store = await open(path, segmentOptions(0))
  const intake = new Intake(WINDOW_MS)
  const start = Date.now()
  for (let time = start; time < start + hours * 60 * MINUTE_MS; time += 1000) {
    for (let us = 1; us < 1000; us += 100) {
      intake.add(commitEvent(time, us))
      for (const kind of ['get', 'neighbors', 'search'] as const) {
        intake.add(queryEvent(time, kind, us))
      }
      const frame = { commits: 1, events: 1, bytes: 100, us, first: us, last: us }
      intake.add({ type: 'group-commit', time, v: 1, ...frame })
      const batch = { projection: 'tables', from: 1, to: us, events: us, ms: us / 1000 }
      intake.add({ type: 'batch-applied', time, v: 1, ...batch })
    }
    const lag = {
      projection: 'tables',
      state: 'running',
      position: 1,
      lagEvents: 9,
      lagMs: 5
    } as const
    intake.add({ type: 'projection-lag', time, v: 1, ...lag })
    intake.add({ type: 'metrics', time, v: 1, stats })
    intake.turn(time)
    if (!intake.isEmpty) await store.commit(intake.take(500).map((item) => toCommand(item, 'busy')))
  }
  await store.close()
  return bytesBelow(path)
}

function bytesBelow(path: string): number {
  const found = statSync(path)
  if (!found.isDirectory()) return found.size
  return readdirSync(path).reduce((sum, name) => sum + bytesBelow(join(path, name)), 0)
}
