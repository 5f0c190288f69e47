// A program that writes into a store and tells, line by line, what it was promised.
//
//   node writer.mjs <directory> <plan as JSON>
//
// The plan: { options, commits, bytes, durabilities, hold, beats }. Commit n learns the
// concept with key `k<n>`, with `bytes` of content, in the n-th of `durabilities`, in turn. With
// `beats` it tells every few milliseconds what is durable, and for how long at most anything waited for that.
import { randomBytes } from 'node:crypto'
import { open } from 'sutra-storage'
import { tell } from './tell.mjs'

const [directory, json = '{}'] = process.argv.slice(2)
const plan = JSON.parse(json)
const {
  options = {},
  commits = 10,
  bytes = 100,
  durabilities = ['fsync'],
  hold = false,
  beats = false
} = plan

function failure(error) {
  const { name, code, details, outcome, message } = error
  return { name, code, details, outcome, message }
}

let store
try {
  store = await open(directory, options)
} catch (error) {
  tell({ notOpened: failure(error) })
  process.exit(3)
}
tell({ opened: store.head })
store.telemetry$.subscribe((event) => {
  if (['poisoned', 'projection-stopped', 'torn-tail-dropped'].includes(event.type)) {
    tell({ telemetry: event })
  }
})

let waiting = []
let lagMs = 0
const beat = () => {
  const { durableHead } = store.stats()
  const now = performance.now()
  for (const { at } of waiting) lagMs = Math.max(lagMs, now - at)
  waiting = waiting.filter(({ last }) => last > durableHead)
  tell({ durable: durableHead, lagMs })
}
const beating = beats ? setInterval(beat, 10) : undefined

// Random, so that neither LevelDB nor a file system makes it smaller.
const filler = randomBytes(bytes).toString('latin1').replaceAll('\0', ' ')

let failed = 0
for (let n = 1; n <= commits && failed < 3; n++) {
  const durability = durabilities[n % durabilities.length]
  try {
    const content = `${n} ${filler}`
    const { first, last } = await store.learn({ id: { key: `k${n}` }, content }, { durability })
    if (beats) waiting.push({ last, at: performance.now() })
    tell({ ack: n, first, last, durability })
  } catch (error) {
    failed += 1
    tell({ failed: n, error: failure(error) })
  }
}

const state = async () => {
  const { position, durableHead, poisoned, pipeline } = store.stats()
  const { concepts } = await store.counts()
  const newest = (await store.get({ key: `k${concepts}` }))?.key
  return { position, durableHead, poisoned, concepts, newest, projections: pipeline.projections }
}
clearInterval(beating)
tell({ done: await state() })
if (hold) await new Promise((resolve) => process.stdin.once('data', resolve))
try {
  await store.close()
  tell({ closed: true })
} catch (error) {
  tell({ closed: false, error: failure(error) })
}
