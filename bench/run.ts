/**
 * Runs benchmarks, prints what they measured, and keeps it as JSON and plots.
 *
 *   npm run bench                  all of them, at their full sizes: about an hour
 *   npm run bench -- reads hub     those two
 *   npm run bench -- --smoke       at the sizes of the tests, to see that they work
 *   npm run bench -- --out <dir>   JSON and plots go there; bench/results by default
 */
import { parseArgs } from 'node:util'
import { BENCHMARKS } from './benchmarks.ts'
import { runBenchmark } from './harness.ts'
import { describeMachine } from './machine.ts'
import { drawPlots } from './plots/draw.ts'
import { RESULTS, writeResult } from './results.ts'
import { printMachine, printReport } from './table.ts'

const SEED = 1

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { smoke: { type: 'boolean', default: false }, out: { type: 'string' } }
})
const unknown = positionals.filter((name) => !Object.hasOwn(BENCHMARKS, name))
if (unknown.length > 0) {
  console.error(`No such benchmark: ${unknown.join(', ')}. There are:`)
  console.error(Object.keys(BENCHMARKS).join(', '))
  process.exit(2)
}
const mode = values.smoke ? 'smoke' : 'full'
// Figures of smoke sizes mean nothing: they never take the place of others unasked.
const out = values.out ?? (values.smoke ? undefined : RESULTS)
printMachine(describeMachine())
for (const [name, benchmark] of Object.entries(BENCHMARKS)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue
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
