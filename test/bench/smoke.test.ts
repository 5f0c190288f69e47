import { describe, expect, test } from 'vitest'
import { BENCHMARKS } from '../../bench/benchmarks.ts'
import { runBenchmark } from '../../bench/harness.ts'

const TIMEOUT_MS = 120_000
const seed = Number(process.env['SUTRA_TEST_SEED'] ?? Math.floor(Math.random() * 1_000_000))

describe(`with small sizes and seed ${seed}`, () => {
  test.each(Object.entries(BENCHMARKS))(
    'the benchmark %s does what it measures',
    async (_, run) => {
      const report = await runBenchmark(run, 'smoke', seed)

      const idle = report.lanes.filter(
        ({ operations, seconds }) => operations === 0 || seconds <= 0
      )
      expect(idle).toEqual([])
      expect(report.lanes.length + report.figures.length).toBeGreaterThan(0)
      expect(report.figures.filter(({ value }) => !Number.isFinite(value))).toEqual([])
      expect(report.title).not.toBe('')
    },
    // Some start a process for each thing that they measure.
    TIMEOUT_MS
  )
})

test('a benchmark repeated with its seed does the same work', async () => {
  const [run] = Object.values(BENCHMARKS)
  if (run === undefined) throw new Error('There are no benchmarks')

  const first = await runBenchmark(run, 'smoke', seed)
  const second = await runBenchmark(run, 'smoke', seed)

  expect(second.fingerprint).toBe(first.fingerprint)
})
