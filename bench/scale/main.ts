/**
 * Imports a great many concepts and checks that the store holds and serves them.
 *
 *   npm run bench:scale -- --concepts 10000000
 *
 *   --associations 3     of each concept, to others anywhere; none by default
 *   --dir <directory>    where the one is made that is imported into; that for temporary files
 *   --keep               leaves what was made
 *   --durability fsync   or interval; os by default
 *   --max-rss 1536       MiB: says whether the import stayed below, and limits nothing
 *   --out <directory>    for the results and the plots; bench/results by default
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { Durability } from 'sutra-storage'
import { describeMachine } from '../machine.ts'
import { drawPlots } from '../plots/draw.ts'
import { RESULTS, writeResult } from '../results.ts'
import { printMachine } from '../table.ts'
import { printMark, printScale } from './print.ts'
import { runScale } from './run.ts'

const SEED = 1
const SAMPLES = 10_000
const ROUNDS = 20
const READS = 5_000
const MiB = 1024 * 1024
const DURABILITIES: readonly Durability[] = ['fsync', 'interval', 'os']

const { values } = parseArgs({
  options: {
    concepts: { type: 'string', default: '10000000' },
    associations: { type: 'string', default: '0' },
    dir: { type: 'string', default: tmpdir() },
    keep: { type: 'boolean', default: false },
    durability: { type: 'string', default: 'os' },
    'max-rss': { type: 'string' },
    out: { type: 'string', default: RESULTS }
  }
})
const concepts = wholeNumber('concepts', values.concepts)
const each = wholeNumber('associations', values.associations)
const durability = DURABILITIES.find((one) => one === values.durability)
if (durability === undefined) misused(`--durability is one of ${DURABILITIES.join(', ')}`)
const maxRss =
  values['max-rss'] === undefined ? undefined : wholeNumber('max-rss', values['max-rss']) * MiB

const interrupted = new AbortController()
process.once('SIGINT', () => interrupted.abort())
const parent = resolve(values.dir)
await mkdir(parent, { recursive: true })
const machine = describeMachine(parent)
printMachine(machine)
const directory = await mkdtemp(join(parent, 'sutra-scale-'))
try {
  const result = await runScale({
    directory,
    concepts,
    each,
    durability,
    seed: SEED,
    samples: SAMPLES,
    rounds: ROUNDS,
    reads: READS,
    onMark: printMark,
    signal: interrupted.signal
  })
  printScale(result, maxRss)
  const date = new Date().toISOString()
  await writeResult(values.out, { name: `scale-${concepts}-${each}`, date, machine, scale: result })
  for (const path of await drawPlots(values.out)) console.log(`drawn: ${path}`)
} finally {
  if (!values.keep) await rm(directory, { recursive: true, force: true })
  else console.log(`kept: ${directory}`)
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text.replaceAll('_', ''))
  if (!Number.isSafeInteger(value) || value < 0) misused(`--${name} is a whole number, not ${text}`)
  return value
}

function misused(reason: string): never {
  console.error(reason)
  process.exit(2)
}
