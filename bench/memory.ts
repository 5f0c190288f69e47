/** What does an import take of memory, and does the event loop stay free? In processes of its own. */
import type { BenchContext } from './harness.ts'
import { runScale } from './scale/run.ts'
import { count, scratch } from './support.ts'

const MB = 1e6

export async function importMemory(bench: BenchContext): Promise<void> {
  const concepts = bench.size(2_000, 1_000_000)
  bench.title(`Memory of a process that imports ${count(concepts)} concepts of 100 bytes`)
  await using folder = await scratch()
  const { store, bare, rates, read, processToAnswerMs } = await runScale({
    directory: folder.path('.'),
    concepts,
    each: 0,
    durability: 'os',
    seed: bench.seed,
    samples: bench.size(50, 10_000),
    rounds: bench.size(2, 10),
    reads: bench.size(20, 5_000)
  })
  const bareRss = bench.figure('classic-level, peak', bare.peak.rss / MB, 'MB')
  bench.figure('store, peak', store.peak.rss / MB, 'MB', bareRss)
  bench.figure('store, peak without pages of files', store.peak.anonymous / MB, 'MB')
  bench.figure('store, JavaScript heap, peak', store.peak.heapUsed / MB, 'MB')
  bench.figure('store, buffers outside the heap, peak', store.peak.external / MB, 'MB')
  bench.figure('store, id table', store.idTableBytes / MB, 'MB')
  bench.figure('event-loop delay, p99', store.delayP99Ms, 'ms')
  bench.figure('event-loop delay, max', store.delayMaxMs, 'ms')
  bench.figure('clean close', store.closeMs, 'ms')
  bench.figure('open to first get', read.openMs, 'ms')
  bench.figure('the same from the start of a process', processToAnswerMs, 'ms')
  bench.note(`last tenth against first: ${rates.lastToFirst.toFixed(2)} of its rate`)
  bench.fingerprint(store.counts.concepts)
  bench.fingerprint(read.differences.count)
}
