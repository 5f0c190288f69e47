/** Does an interval that adapts beat every fixed one? On a virtual clock, and on the real store. */
import { setTimeout as sleep } from 'node:timers/promises'
import { open, type PipelineOptions, type Store } from 'sutra-storage'
import { checkCommitOptions } from '#sutra/append/commit-options.js'
import { prepareCommit } from '#sutra/append/prepare.js'
import { closeEngine } from '#sutra/store/close.js'
import { Engine } from '#sutra/store/engine.js'
import { openParts } from '#sutra/store/open-parts.js'
import { NoWatch } from '#sutra/telemetry/operation-watch.js'
import type { BenchContext, Figure } from './harness.ts'
import { SHAPES } from './simulation/shapes.ts'
import { type Simulation, simulate } from './simulation/simulate.ts'
import { contentOf, scratch } from './support.ts'

/** A third of what the tables take, so that it is the interval that events wait for. */
const PACE_PER_MS = 40
const FIXED_MS = [1, 2, 5, 10, 20, 50, 100]

function fixed(ms: number): PipelineOptions {
  return { intervalMs: { min: ms, base: ms, max: ms } }
}

/** The real pipeline on a virtual clock: no figure of it depends on the machine. */
export async function controllerInTheory(bench: BenchContext): Promise<void> {
  bench.title(
    'Adaptive interval against fixed ones, simulated: a batch takes 1 ms and 5 µs an event'
  )
  for (const { name, ...shape } of SHAPES) {
    const given = { name, ...shape, ms: bench.size(Math.min(shape.ms, 1500), shape.ms) }
    const tell = (who: string, { overhead, lag }: Simulation, against?: Figures): Figures => ({
      cpu: bench.figure(`${name}, ${who}: batches`, overhead * 100, '% CPU', against?.cpu),
      lag: bench.figure(`${name}, ${who}: lag, mean`, lag.mean, 'ms', against?.lag),
      p99: bench.figure(`${name}, ${who}: lag, p99`, lag.p99, 'ms', against?.p99)
    })
    const ten = tell('fixed 10 ms', await simulate(given, fixed(10)))
    tell('adaptive', await simulate(given), ten)
    for (const ms of FIXED_MS) {
      if (ms === 10) continue
      tell(`fixed ${ms} ms`, await simulate(given, fixed(ms)), ten)
    }
  }
}

interface Figures {
  readonly cpu: Figure
  readonly lag: Figure
  readonly p99: Figure
}

/** On the store itself: two that differ in their interval alone, in turns. */
export async function controllerInPractice(bench: BenchContext): Promise<void> {
  const commits = bench.size(10, 300)
  const burst = bench.size(200, 4000)
  bench.title(`Adaptive interval against fixed 10 ms: ${commits} commits at 100 a second; bursts`)
  await using folder = await scratch()
  const options = { durability: 'os', scrubBytesPerSec: 0 } as const
  await using adaptive = await open(folder.path('adaptive'), options)
  await using ten = await open(folder.path('ten'), { ...options, pipeline: fixed(10) })
  await using idle = await withoutPipeline(folder.path('idle'))
  const sides = [
    { idleCpuMs: [] as number[], batches: 0, ...newLags(), store: ten },
    { idleCpuMs: [] as number[], batches: 0, ...newLags(), store: adaptive }
  ]
  const floorMs: number[] = []
  let n = 0
  const works = [
    async () => {
      const cpuMs = await cpuOf(async () => trickle(commits, async () => idle.commit(n++)))
      floorMs.push(cpuMs)
    },
    ...sides.map((side) => async () => {
      const { store } = side
      const before = store.stats().pipeline.batches
      const learn = async (): Promise<unknown> => store.learn({ content: contentOf(n++) })
      side.idleCpuMs.push(await cpuOf(async () => trickle(commits, learn)))
      side.batches += store.stats().pipeline.batches - before
      await store.caughtUp()
      // The load of the burst before must be forgotten.
      await sleep(bench.size(1, 1200))
      await burstOf(store, burst, 1, () => n++, side.singles)
      await store.caughtUp()
      await sleep(bench.size(1, 1200))
      await burstOf(store, burst * 4, 20, () => n++, side.paced, PACE_PER_MS)
      await store.caughtUp()
      await sleep(bench.size(1, 1200))
      await burstOf(store, burst * 10, 100, () => n++, side.batched)
      await store.caughtUp()
    })
  ]
  await bench.alternate(bench.size(1, 6), works)

  const floor = median(floorMs)
  bench.figure('trickle without a pipeline, CPU', floor, 'ms')
  let against: Record<string, Figure> = {}
  for (const [i, { idleCpuMs, batches, singles, paced, batched }] of sides.entries()) {
    const who = i === 0 ? 'fixed 10 ms' : 'adaptive'
    const tell = (name: string, value: number, unit: string): Figure =>
      bench.figure(`${who}: ${name}`, value, unit, against[name])
    const own: Record<string, Figure> = {
      'trickle, batches': tell('trickle, batches', batches, 'batches'),
      'trickle, CPU above that': tell('trickle, CPU above that', median(idleCpuMs) - floor, 'ms')
    }
    const kinds = { [`${PACE_PER_MS} events a ms`]: paced, 'single commits': singles, batched }
    for (const [kind, lags] of Object.entries(kinds)) {
      const facts = { mean: mean(lags.events), p99: p99(lags.events), 'behind it': mean(lags.ends) }
      for (const [fact, value] of Object.entries(facts)) {
        const name = `burst, ${kind}: lag, ${fact}`
        own[name] = tell(name, value, 'ms')
      }
    }
    against = own
  }
  bench.fingerprint(n)
}

interface Lags {
  /** Of each event, from its acknowledgement until the tables hold it. */
  readonly events: number[]
  /** From the last acknowledgement of a burst until the tables hold all of it. */
  readonly ends: number[]
}

function newLags(): Record<'singles' | 'paced' | 'batched', Lags> {
  const none = (): Lags => ({ events: [], ends: [] })
  return { singles: none(), paced: none(), batched: none() }
}

/**
 * Many commits, all at once or so many events a millisecond, and when each of them was acknowledged
 * and projected. Asks for no hurry.
 */
async function burstOf(
  store: Store,
  events: number,
  each: number,
  next: () => number,
  lags: Lags,
  perMs = Number.POSITIVE_INFINITY
): Promise<void> {
  const acknowledged: { last: number; at: number }[] = []
  const projected: { to: number; at: number }[] = []
  const subscription = store.telemetry$.subscribe((event) => {
    if (event.type !== 'batch-applied' || event.projection !== 'tables') return
    projected.push({ to: event.to, at: performance.now() })
  })
  const commit = async (): Promise<void> => {
    const commands = Array.from({ length: each }, () => ({
      do: 'learn' as const,
      content: contentOf(next())
    }))
    const { last } = await store.commit(commands)
    acknowledged.push({ last, at: performance.now() })
  }
  const commits: Promise<void>[] = []
  const began = performance.now()
  for (let n = 0; n < events; n += each) {
    const waitMs = began + n / perMs - performance.now()
    if (waitMs > 0) await sleep(waitMs)
    commits.push(commit())
  }
  await Promise.all(commits)
  const { head } = store
  while ((projected.at(-1)?.to ?? 0) < head) await sleep(1)
  subscription.unsubscribe()
  let batch = 0
  for (const { last, at } of acknowledged) {
    while ((projected[batch]?.to ?? head) < last) batch += 1
    lags.events.push(Math.max((projected[batch]?.at ?? at) - at, 0))
  }
  lags.ends.push((projected.at(-1)?.at ?? 0) - (acknowledged.at(-1)?.at ?? 0))
}

async function trickle(commits: number, commit: () => Promise<unknown>): Promise<void> {
  const began = performance.now()
  for (let i = 0; i < commits; i++) {
    await commit()
    await sleep(Math.max(began + (i + 1) * 10 - performance.now(), 0))
  }
}

/** Processor time of all threads. */
async function cpuOf(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

/** A store whose pipeline was never started: what commits cost by themselves. */
async function withoutPipeline(
  directory: string
): Promise<AsyncDisposable & { commit(n: number): Promise<unknown> }> {
  const engine = new Engine(
    await openParts(directory, { durability: 'os', scrubBytesPerSec: 0 }),
    new NoWatch(directory)
  )
  const { limits } = engine
  const embedder = { embed: undefined, closing: engine.closing.signal }
  const valid = checkCommitOptions({ command: undefined, limits }, {}, 'os')
  return {
    commit: async (n) => {
      const commands = [{ do: 'learn' as const, content: contentOf(n) }]
      const context = { limits, vectors: undefined }
      const prepared = await prepareCommit(context, embedder, commands, valid, undefined)
      return engine.writer.commit(prepared)
    },
    [Symbol.asyncDispose]: async () => closeEngine(engine, new Set())
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}

function p99(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.99)] ?? 0
}
