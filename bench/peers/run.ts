/** Compares the store with others on one dataset in one run. */
import { mkdir, writeFile } from 'node:fs/promises'
import { availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { toInteger } from '../../dist/cli/arguments.js'
import { scratch } from '../support.ts'
import { besideLmdb, describeBeside } from './beside-lmdb.ts'
import { CATALOGUE } from './catalogue.ts'
import { type Made, readOrMake } from './dataset.ts'
import { K } from './questions.ts'
import { race } from './race.ts'
import { markdown, remarks, table } from './report.ts'

const RECALL = 0.99
const SMOKE_SYNSETS = 2000
const FOLDER = fileURLToPath(new URL('data/', import.meta.url))
const RESULTS = fileURLToPath(new URL('results/', import.meta.url))

const program = new Command('npm run bench:peers --')
  .description('Compare the store with others on WordNet with vectors of GloVe: half an hour.')
  .option('--smoke', `${SMOKE_SYNSETS} synsets with hashed words, to see that it works`, false)
  .option('--peer <names>', `some of ${CATALOGUE.map(({ name }) => name).join(',')}`)
  .option('--rounds <count>', 'how often questions are asked: the middle one counts', toInteger, 3)
  .option('--synsets <count>', 'a part of WordNet', toInteger)
  .parse()
const values = program.opts<{ smoke: boolean; peer?: string; rounds: number; synsets?: number }>()
const { rounds, synsets } = values
const names = values.peer?.split(',') ?? CATALOGUE.map(({ name }) => name)
const unknown = names.filter((name) => !CATALOGUE.some((peer) => peer.name === name))
if (unknown.length > 0) misused(`There is no peer ${unknown.join(', ')}`)
if (rounds === 0) misused('--rounds takes a whole number from 1')
// Fewer have no pairs five hops apart.
if (synsets !== undefined && synsets < SMOKE_SYNSETS) {
  misused(`--synsets takes a whole number from ${SMOKE_SYNSETS}`)
}

const stopped = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.once(name, () => stopped.abort(new Error(`Stopped by ${name}`)))
}
try {
  await main(stopped.signal)
} catch (error) {
  if (!stopped.signal.aborted) throw error
  console.error('Stopped')
  process.exitCode = 130
}

async function main(signal: AbortSignal): Promise<void> {
  const made = await readOrMake(FOLDER, values.smoke ? SMOKE_SYNSETS : synsets, values.smoke)
  const header = headerOf(made)
  for (const line of header) console.log(line)
  await using folder = await scratch()
  const peers = CATALOGUE.filter(({ name }) => names.includes(name))
  const log = (text: string): void => console.error(`  ${text}`)
  const results = await race(peers, made, {
    folder: folder.path('peers'),
    rounds: values.smoke ? 1 : rounds,
    recall: RECALL,
    budgetMs: values.smoke ? 5_000 : 60_000,
    loadMs: values.smoke ? 60_000 : 1_800_000,
    taskMs: values.smoke ? 60_000 : 600_000,
    log,
    signal
  })
  console.log(`\n${table(results)}\n`)
  for (const remark of remarks(results)) console.log(`- ${remark}`)
  const beside = await besideLmdb(results, folder.path('peers'), made, values.smoke, signal)
  console.log(`\n${describeBeside(beside)}`)
  const figures = { header, dataset: made.data.name, recall: RECALL, rounds, results, beside }
  await mkdir(RESULTS, { recursive: true })
  await writeFile(`${RESULTS}${made.data.name}.json`, `${JSON.stringify(figures, undefined, 2)}\n`)
  const page = [...header, '', markdown(results), '', describeBeside(beside), ''].join('\n')
  await writeFile(`${RESULTS}${made.data.name}.md`, page)
  console.log(`\nWritten: ${RESULTS}${made.data.name}.json and .md`)
}

function misused(why: string): never {
  return program.error(`error: ${why}; --help tells more`)
}

function headerOf({ data, questions }: Made): string[] {
  const count = (value: number): string => value.toLocaleString('en-US')
  const load = loadavg().map((each) => each.toFixed(1))
  const { gets, hops, pairs, nearest } = questions
  return [
    `${data.name}: ${count(data.keys.length)} concepts, ${count(data.sources.length)} ` +
      `associations, ${data.dimensions}-d vectors of ${data.vectorsFrom}`,
    `${count(gets.length)} gets, ${count(hops.length)} one-hops, ${pairs.length} pairs 3 to 5 ` +
      `hops apart (both directions), ${nearest.length} k-NN queries, k = ${K}, ` +
      `recall ${RECALL} or more`,
    `${availableParallelism()} × ${cpus()[0]?.model.trim() ?? 'unknown'}, ` +
      `${(totalmem() / 1e9).toFixed(0)} GB, ${platform()} ${release()}, Node ${process.version}, ` +
      `load ${load.join(', ')}, ${new Date().toISOString().slice(0, 10)}`
  ]
}
