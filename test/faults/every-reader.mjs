// A short life of a store that is read alone. It tells what each kind of reading came to.
//
//   node every-reader.mjs <directory>
import { open } from 'sutra-storage'
import { tell } from '../support/tell.mjs'

const [directory] = process.argv.slice(2)
// Nothing stays in memory, so that every reading asks the files.
const OPTIONS = { vectors: { dimensions: 4, cacheBytes: 0 }, createIfMissing: false }
const LAST = 24
const query = [0.5, -0.25, 1, 0]

const READINGS = {
  get: async (store) => store.get({ key: 'k3' }),
  'get with vector': async (store) => store.get({ key: 'k3' }, { include: ['vector'] }),
  vector: async (store) => store.vector({ key: `k${LAST}` }),
  search: async (store) => store.search(query, { k: 5 }),
  'search, exact': async (store) => store.search(query, { k: 5, exact: true }),
  'search, where': async (store) => store.search(query, { k: 5, where: { n: { gt: 4 } } }),
  neighbors: async (store) => store.neighbors({ key: 'k3' }),
  paths: async (store) => store.findPath({ key: 'k1' }, { key: 'k5' }),
  concepts: async (store) => all(store.concepts()),
  events: async (store) => all(store.events()),
  history: async (store) => store.view(async (view) => view.get({ key: 'k5' })),
  hash: async (store) => store.stateHash(),
  verify: async (store) => (await store.verify()).problems,
  export: async (store) => all(store.export({ format: 'jsonl' })),
  subscription: async (store) => {
    const subscription = await store.subscribe('reader', {}, () => undefined)
    await subscription.caughtUp()
    await subscription.close()
  },
  caughtUp: async (store) => store.caughtUp()
}

async function all(items) {
  let count = 0
  for await (const _ of items) count += 1
  return count
}

function shown(error) {
  const { name, code, message, cause } = error
  return { name, code, message, cause: cause && { name: cause.name, code: cause.code } }
}

async function step(name, work) {
  try {
    const problems = await work()
    tell({ done: name, ...(name === 'verify' && problems.length > 0 ? { problems } : {}) })
  } catch (error) {
    tell({ failed: name, error: shown(error) })
  }
}

let store
await step('open', async () => {
  store = await open(directory, OPTIONS)
})
if (store !== undefined) {
  for (const [name, read] of Object.entries(READINGS)) await step(name, async () => read(store))
  await step('close', async () => store.close())
}
tell({ ended: true })
