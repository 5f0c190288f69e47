// A short life of a store in which every kind of file is written, and which goes on after whatever
// fails. It tells what was acknowledged, what failed and how, and what could still be read.
//
//   node short-run.mjs <directory> [vectors]
import { writeSync } from 'node:fs'
import { open } from 'sutra-storage'

const [directory, vectors] = process.argv.slice(2)
const options = vectors ? { vectors: { dimensions: 4 } } : {}
const DURABILITIES = ['os', 'fsync', 'interval', 'fsync']
const tell = (line) => writeSync(1, `${JSON.stringify(line)}\n`)
const shown = ({ name, code, outcome, message }) => ({ name, code, outcome, message })

let count = 0
const acknowledged = new Set()

/** @returns Whether it was done. */
async function step(name, work) {
  try {
    await work()
    return true
  } catch (error) {
    tell({ failed: name, error: shown(error) })
    return false
  }
}

async function commit(store) {
  const n = ++count
  const id = { key: `k${n}` }
  const embedding = vectors ? { embedding: [n, 1, 0, 0] } : {}
  const commands = [
    { do: 'learn', id, content: `Content ${n}`, ...embedding },
    { do: 'associate', source: id, target: id, type: 'self' }
  ]
  const durability = DURABILITIES[n % DURABILITIES.length]
  try {
    await store.commit(commands, { durability })
    acknowledged.add(n)
    tell({ ack: n })
  } catch (error) {
    tell({ refused: n, error: shown(error) })
  }
}

async function commits(store) {
  for (let n = 0; n < 4; n++) await commit(store)
}

/** Whatever became of writing, what was acknowledged can be read. */
async function look(store) {
  for (const n of acknowledged) {
    const concept = await store.get({ key: `k${n}` })
    if (concept?.content !== `Content ${n}`) tell({ missing: n })
  }
  await store.counts()
  tell({ read: acknowledged.size })
}

async function live(steps) {
  let store
  const opening = async () => {
    store = await open(directory, options)
  }
  if (!(await step('open', opening))) return
  for (const [name, work] of steps) {
    await step(name, async () => work(store))
    await step('read', async () => look(store))
  }
  await step('close', async () => store.close())
}

const records = Array.from({ length: 12 }, (_, n) => ({
  kind: 'concept',
  key: `i${n}`,
  content: `Imported ${n}`
}))

await live([
  ['commits', commits],
  ['checkpoint', async (store) => store.checkpoint()],
  ['import', async (store) => tell({ imported: (await store.import(records)).concepts })],
  ['rebuild', async (store) => store.rebuild()],
  ['commits', commits]
])
await live([
  ['commits', commits],
  ['checkpoint', async (store) => store.checkpoint()]
])
tell({ ended: true })
