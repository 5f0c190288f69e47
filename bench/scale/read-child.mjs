/** Opens the store in a fresh process, compares samples with what was imported, and times reads. */
import { createReadStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createHistogram } from 'node:perf_hooks'
import { finished } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { ClassicLevel } from 'classic-level'
import { ConceptId, open } from 'sutra-storage'
import { bareKey, contentOf, keyOf, seededRandom, targetsOf } from '../records.mjs'
import { asked, MemoryWatch, tell } from './child.mjs'

const { directory, bareDirectory, concepts, each, seed, samples, reads, rounds, tuning } = asked
const HOT = 64
/** Until the ids are in memory, at most: beyond their budget they never are. */
const FILLED_MS = 120_000
const memory = new MemoryWatch()
const random = seededRandom(seed)
const anywhere = () => Math.floor(random() * concepts)
const idOf = (concept) => ConceptId.fromKey(keyOf(concept))

const began = performance.now()
const store = await open(directory)
const first = await store.get(idOf(anywhere()))
const openMs = performance.now() - began
tell({ answered: first !== undefined })

const differences = await compareSamples()
// A store that serves has its ids in memory, as far as they fit: filled in the background.
while (!store.stats().memory.idTableComplete && performance.now() - began < FILLED_MS) {
  await sleep(100)
}
const filledMs = performance.now() - began
const bare = new ClassicLevel(bareDirectory, tuning)
await bare.open()
for (const path of [directory, bareDirectory]) await readThrough(path)
const few = Array.from({ length: HOT }, anywhere)
const latency = {
  random: await compareReads(anywhere),
  hot: await compareReads(() => few[Math.floor(random() * HOT)]),
  missing: await compareReads(() => concepts + anywhere())
}
const { caches, memory: inStore } = store.stats()
await bare.close()
await store.close()
memory.stop()
tell({
  result: { openMs, filledMs, samples, differences, latency, peak: memory.peak(), caches, inStore }
})

/** @returns What is not as it was imported: the first few of them, and how many. */
async function compareSamples() {
  const found = []
  let count = 0
  const differs = (concept, what) => {
    count += 1
    if (found.length < 10) found.push(`${keyOf(concept)}: ${what}`)
  }
  for (let i = 0; i < samples; i++) {
    const concept = anywhere()
    const got = await store.get(idOf(concept))
    if (got?.content !== contentOf(concept)) differs(concept, 'content')
    if (got?.key !== keyOf(concept)) differs(concept, 'key')
    if (got?.type !== 'thing') differs(concept, 'type')
    if (each === 0) continue
    const targets = targetsOf(concept, concepts, each, seed)
    const expected = targets.map((target, n) => `type-${n} ${keyOf(target)}`)
    const neighbours = await store.neighbors(idOf(concept), { limit: each + 1 })
    const actual = neighbours.map(({ type, other }) => `${type} ${other.key}`)
    if (actual.join() !== expected.join()) differs(concept, 'associations')
  }
  return { count, found }
}

/** Files that are in the cache of the system make the reads that follow comparable. */
async function readThrough(path) {
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    // A lock may not be touched: whoever closes its file gives it back.
    if (entry.name === 'LOCK' || entry.name === 'OWNER') continue
    const stream = createReadStream(join(entry.parentPath, entry.name), { highWaterMark: 2 ** 20 })
    stream.resume()
    await finished(stream).catch(ignoreGone)
  }
}

/** LevelDB compacts meanwhile: what took the place of a file was written just now, and is in the cache. */
function ignoreGone(error) {
  if (error.code !== 'ENOENT') throw error
}

/** @param drawOne Which concept is read next. */
async function compareReads(drawOne) {
  const [ofBare, ofStore] = [createHistogram(), createHistogram()]
  let length = 0
  for (let round = 0; round < rounds; round++) {
    const works = [
      async () => {
        for (const key of Array.from({ length: reads }, drawOne).map(bareKey)) {
          const started = performance.now()
          const row = bare.getSync(key)
          record(ofBare, started)
          length += row?.length ?? 0
        }
      },
      async () => {
        for (const id of Array.from({ length: reads }, drawOne).map(idOf)) {
          const started = performance.now()
          const concept = await store.get(id)
          record(ofStore, started)
          length += concept?.content.length ?? 0
        }
      }
    ]
    // In turns, so that a noisy moment of the machine hits both.
    for (const work of round % 2 === 0 ? works : works.toReversed()) await work()
  }
  return { bare: latencyOf(ofBare), store: latencyOf(ofStore), length }
}

function record(histogram, started) {
  histogram.record(Math.max(1, Math.round((performance.now() - started) * 1e6)))
}

/** In microseconds. */
function latencyOf(histogram) {
  const us = (percentile) => histogram.percentile(percentile) / 1000
  return { p50: us(50), p90: us(90), p99: us(99), p999: us(99.9), max: histogram.max / 1000 }
}
