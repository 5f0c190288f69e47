/**
 * Runs benchmarks and prints what they measured.
 *
 *   npm run bench                  all of them, at their full sizes: about an hour
 *   npm run bench -- reads hub     those two
 *   npm run bench -- --smoke       at the sizes of the tests, to see that they work
 */
import { spawnSync } from 'node:child_process'
import { statfsSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, platform, release, tmpdir, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { BENCHMARKS } from './benchmarks.ts'
import { type BenchReport, type LaneResult, runBenchmark } from './harness.ts'

const SEED = 1
const NAME_WIDTH = 40

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { smoke: { type: 'boolean', default: false } }
})
const unknown = positionals.filter((name) => !Object.hasOwn(BENCHMARKS, name))
if (unknown.length > 0) {
  console.error(`No such benchmark: ${unknown.join(', ')}. There are:`)
  console.error(Object.keys(BENCHMARKS).join(', '))
  process.exit(2)
}
printHeader()
for (const [name, benchmark] of Object.entries(BENCHMARKS)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue
  const report = await runBenchmark(benchmark, values.smoke ? 'smoke' : 'full', SEED)
  printReport(name, report)
}

function printHeader(): void {
  const [processor] = cpus()
  const { type } = statfsSync(tmpdir())
  const lines = [
    [
      'commit',
      `${git('rev-parse', '--short', 'HEAD')}${git('status', '--short') ? ', changed' : ''}`
    ],
    ['processor', `${availableParallelism()} × ${processor?.model.trim() ?? 'unknown'}`],
    ['memory', `${(totalmem() / 1e9).toFixed(0)} GB`],
    ['disk', `${tmpdir()}, file system type 0x${type.toString(16)}`],
    ['system', `${platform()} ${release()}, Node ${process.version}`],
    [
      'load',
      `${loadavg()
        .map((load) => load.toFixed(1))
        .join(', ')} (1, 5, 15 minutes)`
    ]
  ]
  for (const [name = '', value] of lines) console.log(`${name.padEnd(10)} ${value}`)
}

function printReport(name: string, { title, seed, lanes, notes, fingerprint }: BenchReport): void {
  console.log(`\n${name}: ${title}`)
  const columns = ['operations', 'p50 µs', 'p99 µs', 'max µs', 'per second', 'CPU s', 'ratio']
  console.log(row('', columns))
  for (const lane of lanes) console.log(row(lane.name, cells(lane)))
  for (const note of notes) console.log(`  ${note}`)
  console.log(`  fingerprint ${fingerprint}, seed ${seed}, load ${loadavg()[0]?.toFixed(1)}`)
}

function cells(lane: LaneResult): string[] {
  const { operations, seconds, cpuSeconds, latency, ratio } = lane
  const us = (value: number | undefined): string => (value === undefined ? '' : digits(value))
  return [
    operations.toLocaleString('en-US'),
    us(latency?.p50),
    us(latency?.p99),
    us(latency?.max),
    digits(operations / seconds),
    cpuSeconds === 0 ? '' : cpuSeconds.toFixed(1),
    ratio === undefined ? '' : ratio.toFixed(2)
  ]
}

function row(name: string, texts: readonly string[]): string {
  const widths = [11, 9, 9, 10, 11, 6, 6]
  const padded = texts.map((text, i) => text.padStart(widths[i] ?? 0))
  return `  ${name.padEnd(NAME_WIDTH)}${padded.join(' ')}`
}

function digits(value: number): string {
  const fraction = value < 100 ? 1 : 0
  return value.toLocaleString('en-US', {
    minimumFractionDigits: fraction,
    maximumFractionDigits: fraction
  })
}

function git(...args: string[]): string {
  // Without git or a checkout there is nothing to tell.
  return (spawnSync('git', args, { encoding: 'utf8' }).stdout ?? '').trim()
}
