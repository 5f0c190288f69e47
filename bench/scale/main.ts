/** Imports a great many concepts and checks that the store holds and serves them. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Command, Option } from 'commander'
import type { Durability } from 'sutra-storage'
import { toInteger } from '#sutra/cli/arguments.js'
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

interface Values {
  concepts: number
  associations: number
  dir: string
  keep?: true
  durability: Durability
  maxRss?: number
  out: string
}

const values = new Command('npm run bench:scale --')
  .description('Import a great many concepts, and check that the store holds and serves them.')
  .option('--concepts <count>', 'how many', toInteger, 10_000_000)
  .option('--associations <count>', 'of each concept, to others anywhere', toInteger, 0)
  .option('--dir <directory>', 'where the one is made that is imported into', tmpdir())
  .option('--keep', 'leave what was made')
  .addOption(
    new Option('--durability <mode>', 'when a commit is acknowledged')
      .choices(DURABILITIES)
      .default('os')
  )
  .option('--max-rss <MiB>', 'say whether the import stayed below; limits nothing', toInteger)
  .option('--out <directory>', 'for the results and the plots', RESULTS)
  .parse()
  .opts<Values>()
const { concepts, associations: each, durability } = values
const maxRss = values.maxRss === undefined ? undefined : values.maxRss * MiB

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
  if (values.keep !== true) await rm(directory, { recursive: true, force: true })
  else console.log(`kept: ${directory}`)
}
