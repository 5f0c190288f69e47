// Long work, done over and over while commits go on, until somebody kills the process.
//
//   node work.mjs <directory> rebuild|sweep|save|import <number of this life>
import { open } from 'sutra-storage'
import { tell } from '../support/tell.mjs'

const [directory, kind, life] = process.argv.slice(2)
const SPOKES = 900
const RECORDS = 400
const WORK = { rebuild, sweep, save, import: importForever }

const store = await open(directory, { vectors: { dimensions: 4 } })
let count = 0
for (let n = 0; n < 30; n++) await learn(`k${life}-${++count}`)
tell({ ready: true })
await Promise.all([WORK[kind](), learnForever()])

async function learn(key, durability = 'fsync') {
  tell({ sent: key })
  const embedding = [count, 1, 0, 0]
  await store.learn({ id: { key }, content: `Content ${key}`, embedding }, { durability })
  tell({ acknowledged: key })
}

async function learnForever() {
  for (;;) await learn(`k${life}-${++count}`, count % 2 === 0 ? 'fsync' : 'os')
}

async function rebuild() {
  for (;;) await store.rebuild()
}

async function save() {
  for (;;) await store.rebuild({ projections: ['vectors'] })
}

/** A hub is forgotten: one event, and then page after page is erased in the background. */
async function sweep() {
  for (let n = 1; ; n++) {
    const hub = { key: `hub${life}-${n}` }
    const target = { key: `k${life}-1` }
    const spoke = (_, i) => ({ do: 'associate', source: hub, target, type: 'spoke', key: `${i}` })
    await store.commit([
      { do: 'learn', id: hub, content: 'Hub' },
      ...Array.from({ length: SPOKES }, spoke)
    ])
    await store.caughtUp()
    tell({ forgetting: hub.key })
    await store.forget(hub)
    tell({ forgotten: hub.key })
  }
}

async function importForever() {
  for (let n = 1; ; n++) {
    const key = (i) => `i${life}-${n}-${i}`
    const record = (_, i) => ({ kind: 'concept', key: key(i), content: `Content ${key(i)}` })
    tell({ importing: key(''), records: RECORDS })
    await store.import(Array.from({ length: RECORDS }, record))
    tell({ imported: key(''), records: RECORDS })
  }
}
