// Closes a store while its vectors are being merged, or waits for more vectors first, again and again.
//
//   node merge-closer.mjs <directory> <rounds>
//
// Nothing else keeps this process alive: if what it waits for waited for a timer that does not either,
// it would end in the middle, and never tell that it is done.
import { cpSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { open } from 'sutra-storage'
import { tell } from '../support/tell.mjs'

const DIMENSIONS = 128
const FIRST = 4000
const LATER = 200
const MORE = 1100
const FORGOTTEN = 1500
const MERGE_MS = 480

const [directory, rounds] = process.argv.slice(2)
const options = { durability: 'os', limits: { commitCommands: FIRST } }

await storeOfOneSegment(join(directory, 'first'))
for (let round = 0; round < Number(rounds); round++) {
  const path = join(directory, String(round))
  const store = await storeOfTwoSegments(path)
  const files = new Set(segmentsOf(path))
  await store.commit(range(0, FORGOTTEN).map((n) => ({ do: 'forget', id: { key: `k${n}` } })))
  await store.caughtUp()
  // The files of the merged segment come first, then its graph, a step and a rest at a time.
  while (segmentsOf(path).every((name) => files.has(name))) await setImmediate()
  await setTimeout((MERGE_MS * round) / Number(rounds))
  if (round % 2 === 1) {
    await store.commit(range(FIRST + LATER, MORE).map(learn))
    await store.caughtUp()
  }
  await store.close()
  tell({ closed: round })
}
tell({ done: true })

async function storeOfOneSegment(path) {
  const store = await open(path, { ...options, vectors: { dimensions: DIMENSIONS } })
  await store.commit(range(0, FIRST).map(learn))
  await store.caughtUp()
  await store.checkpoint()
  await store.close()
}

/** Only a segment that nothing is added to any more is merged. */
async function storeOfTwoSegments(path) {
  cpSync(join(directory, 'first'), path, { recursive: true })
  const store = await open(path, options)
  await store.commit(range(FIRST, LATER).map(learn))
  await store.caughtUp()
  await store.checkpoint()
  return store
}

function learn(n) {
  const embedding = range(0, DIMENSIONS).map((at) => Math.sin(n * DIMENSIONS + at * at))
  return { do: 'learn', id: { key: `k${n}` }, content: 'text', embedding }
}

function segmentsOf(path) {
  return readdirSync(join(path, 'vectors')).filter((name) => name.endsWith('.f32'))
}

function range(from, count) {
  return Array.from({ length: count }, (_, at) => from + at)
}
