/** Draws what there are results for. The others keep the plots they have. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Result, readResult, resultNames, writeResult } from '../results.ts'
import { type Chart, renderChart } from './chart.ts'
import { controllerChart } from './controller.ts'
import { latencyChart } from './latency.ts'
import { PEERS, type PeersFile, peersChart } from './peers.ts'
import { ratiosChart } from './ratios.ts'
import { type ScaleFile, scaleChart } from './scale.ts'

/** @returns The files that were written, beside the results they were drawn from. */
export async function drawPlots(directory: string): Promise<string[]> {
  const found = await readAll(directory)
  const scale = largest(found.filter((file) => 'scale' in file))
  const results = found.filter((file) => 'report' in file)
  const reads = results.find(({ name }) => name === 'reads')
  const controller = results.find(({ name }) => name === 'controller')
  const peers = await peersIn(directory)
  const charts = [
    scale && scaleChart(scale),
    reads && latencyChart(reads, scale),
    ratiosChart(results),
    controller && (await controllerChart(controller)),
    peers && peersChart(peers)
  ].filter((chart): chart is Chart => chart !== undefined)
  const paths: string[] = []
  for (const chart of charts) {
    const path = join(directory, `${chart.name}.svg`)
    await writeFile(path, renderChart(chart))
    paths.push(path)
  }
  return paths
}

/** The newest, which is kept beside what is drawn: a plot can be drawn again from its directory. */
async function peersIn(directory: string): Promise<PeersFile | undefined> {
  const newest = await readResult<PeersFile>(PEERS, 'wordnet')
  if (newest === undefined) return readResult<PeersFile>(directory, 'peers')
  await writeResult(directory, { ...newest, name: 'peers' })
  return newest
}

/** In the order in which they were measured. */
async function readAll(directory: string): Promise<(Result | ScaleFile)[]> {
  const files: (Result | ScaleFile)[] = []
  for (const name of await resultNames(directory)) {
    if (name === 'peers') continue
    const file = await readResult<Result | ScaleFile>(directory, name)
    if (file !== undefined) files.push(file)
  }
  return files.sort((a, b) => (a.date < b.date ? -1 : 1))
}

/** Of the runs with concepts alone, if there are any. */
function largest(files: readonly ScaleFile[]): ScaleFile | undefined {
  const [first] = files.toSorted(
    ({ scale: a }, { scale: b }) => a.each - b.each || b.concepts - a.concepts
  )
  return first
}
