/** Where does the processor time of an import go? Every thread of a process is profiled. */
import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { readProfiles } from './cpu-profile.ts'
import type { BenchContext } from './harness.ts'
import { count, type Scratch, scratch } from './support.ts'

const CHILD = fileURLToPath(new URL('import-profile-child.mjs', import.meta.url))
const run = promisify(execFile)
/** Parts below this share of their thread are added up. */
const SHARE_MIN = 0.02
/** Four that work and one that waits for timers. */
const V8_THREADS = 5

interface Imported {
  ms: number
  cpuMs: number
  head: number
  /** Empty where the system does not tell. */
  threads: { id: number; nice: number; ms: number }[]
}

export async function importProfile(bench: BenchContext): Promise<void> {
  const concepts = bench.size(2_000, 500_000)
  const each = 3
  const few = Math.ceil(concepts / (1 + each))
  bench.title(
    `Processor time of an import by thread: ${count(concepts)} concepts of 100 bytes; ` +
      `${count(few)} with ${each} associations each. fsync: no. Profiled, so a little slower`
  )
  await using folder = await scratch()
  await profile(bench, folder, 'concepts', concepts, 0)
  await profile(bench, folder, 'graph', few, each)
}

async function profile(
  bench: BenchContext,
  folder: Scratch,
  name: string,
  concepts: number,
  each: number
): Promise<void> {
  const profiles = folder.path(`profiles-${name}`)
  await mkdir(profiles)
  const asked = { directory: folder.path(`store-${name}`), concepts, each, seed: bench.seed }
  const { stdout } = await run(process.execPath, [
    '--cpu-prof',
    `--cpu-prof-dir=${profiles}`,
    CHILD,
    JSON.stringify(asked)
  ])
  // Its one line of output.
  const imported = JSON.parse(stdout) as Imported
  const us = (ms: number): number => (ms * 1000) / (concepts * (1 + each))
  bench.figure(`${name}: time that passes`, us(imported.ms), 'µs a record')
  bench.figure(`${name}: processor time, all threads`, us(imported.cpuMs), 'µs a record')
  for (const [group, ms] of Object.entries(groupsOf(imported))) {
    bench.figure(`${name}: ${group}`, us(ms), 'µs a record')
  }
  for (const { name: thread, parts, busyMs } of await readProfiles(profiles)) {
    // Samples are taken as time passes, also while a thread waits for a processor: shares alone hold.
    const share = (ms: number): number => (100 * ms) / busyMs
    const large = parts.filter(([, ms]) => ms >= busyMs * SHARE_MIN)
    for (const [part, ms] of large) bench.figure(`${name}, ${thread}: ${part}`, share(ms), '%')
    const rest = busyMs - large.reduce((sum, [, ms]) => sum + ms, 0)
    bench.figure(`${name}, ${thread}: the rest`, share(rest), '%')
  }
  bench.fingerprint(imported.head)
}

/**
 * Threads have no names, but an order: V8's are started with the process, the pool that LevelDB's
 * writes are handed to with the first file, the tables' thread with the store, less urgent than
 * others, and LevelDB's own behind it, with the first compaction.
 */
function groupsOf({ threads }: Imported): Record<string, number> {
  const [main, ...others] = threads.toSorted((a, b) => a.id - b.id)
  const tables = others.find(({ nice }) => nice > (main?.nice ?? 0))
  if (main === undefined || tables === undefined) return {}
  const sum = (some: Imported['threads']): number => some.reduce((all, { ms }) => all + ms, 0)
  const older = others.filter(({ id }) => id < tables.id)
  return {
    'main thread': main.ms,
    "tables' thread": tables.ms,
    'garbage collection and compiling beside them': sum(older.slice(0, V8_THREADS)),
    'writes of LevelDB': sum(older.slice(V8_THREADS)),
    'compaction of LevelDB': sum(others.filter(({ id }) => id > tables.id))
  }
}
