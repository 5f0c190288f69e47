// What a store answers to every kind of question, each as text, for as long as it answers.
import { createHash } from 'node:crypto'
import { open } from 'sutra-storage'

const QUERY = Float32Array.from({ length: 8 }, (_, i) => Math.cos(i))
const TELLING = ['damage-found', 'torn-tail-dropped', 'projection-stopped', 'rebuild-started']

/** @returns The answers until one was refused, what telemetry said, and the refusal. */
export async function answersOf(directory) {
  const answers = []
  const told = []
  try {
    const store = await open(directory)
    store.telemetry$.subscribe((event) => {
      if (TELLING.includes(event.type)) told.push(`${event.type} ${event.part ?? ''}`)
    })
    try {
      for (const [name, ask] of QUESTIONS) answers.push([name, digest(await ask(store))])
    } finally {
      await store.close()
    }
    return { answers, told, error: undefined }
  } catch (error) {
    const { name, code, message } = error
    return { answers, told, error: { typed: name === 'StoreError', code, message, name } }
  }
}

const QUESTIONS = [
  ['position', async (store) => store.position],
  ['counts', async (store) => store.counts()],
  ['events', async (store) => all(store.events())],
  ['concepts', async (store) => all(store.concepts())],
  ['types', typesOf],
  ['neighbors', neighborsOf],
  ['vectors', vectorsOf],
  ['search', async (store) => store.search(QUERY, { k: 50 })],
  ['exact search', async (store) => store.search(QUERY, { k: 50, exact: true })],
  ['path', async (store) => store.findPath({ key: 'early1' }, { key: 'k5' }, { maxDepth: 12 })],
  ['content hash', async (store) => store.contentHash()],
  ['state hash', async (store) => store.stateHash()],
  ['verify', async (store) => (await store.verify()).problems],
  ['repeated commit', repeatCommit]
]

async function typesOf(store) {
  const pages = []
  for (const type of ['odd', 'even', 'early']) {
    for await (const { content } of store.concepts({ type })) pages.push([type, content])
  }
  return pages
}

async function neighborsOf(store) {
  const pages = []
  for await (const { id } of store.concepts()) {
    pages.push(await store.neighbors(id, { direction: 'both', limit: 1000, include: ['concept'] }))
  }
  return pages
}

async function vectorsOf(store) {
  const vectors = []
  for await (const { id } of store.concepts()) vectors.push(await store.vector(id))
  return vectors.map((vector) => vector && Array.from(vector))
}

/** Sent again with its key, a commit is a duplicate of the first one. */
async function repeatCommit(store) {
  const ends = { source: { key: 'k1' }, target: { key: 'k2' } }
  const options = { durability: 'os', idempotencyKey: 'a2' }
  return store.associate({ ...ends, type: 'next', strength: 2 / 12 }, options)
}

async function all(iterable) {
  const found = []
  for await (const one of iterable) found.push(one)
  return found
}

/** Members in the order of their names: where a count comes from is nobody's business. */
function digest(answer) {
  const json = JSON.stringify(answer ?? null, (_, value) => {
    if (value instanceof Float32Array) return Array.from(value)
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return value
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
  return createHash('sha256').update(json).digest('hex')
}
