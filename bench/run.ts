/** Runs benchmarks, prints what they measured, and keeps it as JSON and plots: `--help` tells how. */
import { Command } from 'commander'
import { BENCHMARKS } from './benchmarks.ts'
import { runBenchmark } from './harness.ts'
import { describeMachine } from './machine.ts'
import { drawPlots } from './plots/draw.ts'
import { RESULTS, writeResult } from './results.ts'
import { printMachine, printReport } from './table.ts'

const SEED = 1

const program = new Command('npm run bench --')
  .description('Measure the store against bare engines; about an hour for all, at full size.')
  .argument('[name...]', `benchmarks, all by default: ${Object.keys(BENCHMARKS).join(', ')}`)
  .option('--smoke', 'at the sizes of the tests, to see that they work')
  .option('--out <directory>', 'for JSON and plots (default: bench/results, with --smoke none)')
  .parse()
const values = program.opts<{ smoke?: true; out?: string }>()
const names = program.args
const unknown = names.filter((name) => !Object.hasOwn(BENCHMARKS, name))
if (unknown.length > 0) {
  program.error(`error: no such benchmark: ${unknown.join(', ')}; --help lists them`)
}
const mode = values.smoke === true ? 'smoke' : 'full'
// Figures of smoke sizes mean nothing: they never take the place of others unasked.
const out = values.out ?? (mode === 'smoke' ? undefined : RESULTS)
printMachine(describeMachine())
for (const [name, benchmark] of Object.entries(BENCHMARKS)) {
  if (names.length > 0 && !names.includes(name)) continue
  // Before it runs, so that the load is that of others.
  const machine = describeMachine()
  const date = new Date().toISOString()
  const report = await runBenchmark(benchmark, mode, SEED)
  printReport(name, report)
  // One by one: a run that is stopped keeps what it has.
  if (out !== undefined) await writeResult(out, { name, mode, date, machine, report })
}
if (out !== undefined) {
  for (const path of await drawPlots(out)) console.log(`drawn: ${path}`)
}
