/**
 * A program under a load that rises and falls: writers, readers and searches in a store that can be
 * attached to. Says on standard output that it has begun; ends when its standard input does.
 */
import { open } from 'sutra-storage'

const DIMENSIONS = 64
const WAVE_MS = 9000
const TYPES = ['word', 'person', 'place', 'idea']
const WRITERS = ['ada', 'grace', 'edsger']

const [directory] = process.argv.slice(2)
const store = await open(directory, {
  attach: true,
  durability: 'interval',
  vectors: { dimensions: DIMENSIONS }
})
let learned = 0
let isOver = false
process.stdin.resume().on('end', () => {
  isOver = true
})
process.stdout.write('ready\n')
await Promise.all([...WRITERS.map(write), read(), search()])
await store.close()

async function write(subject) {
  while (!isOver) {
    const wave = 1 + Math.sin((2 * Math.PI * Date.now()) / WAVE_MS)
    const concepts = Array.from({ length: 1 + Math.round(6 * wave) }, () => concept(learned++))
    const last = { key: `k${learned - 1}` }
    const other = { key: `k${Math.floor((learned - 1) * Math.random())}` }
    await store.commit(concepts, { subject })
    await store
      .associate({ source: last, target: other, type: 'reminds-of' }, { subject })
      .catch(gone)
    if (Math.random() < 0.3) {
      await store.reinforce(other, { strength: { by: 0.1 } }, { subject }).catch(gone)
    }
    if (Math.random() < 0.1) await store.forget(other, { subject }).catch(gone)
    await rest(12)
  }
}

async function read() {
  while (!isOver) {
    const id = { key: `k${Math.floor(learned * Math.random())}` }
    if (await store.has(id)) {
      await store.get(id)
      await store.neighbors(id).catch(gone)
    }
    await rest(3)
  }
}

async function search() {
  while (!isOver) {
    await store.search(vector(), { k: 5 })
    await rest(40)
  }
}

/** Another writer may have forgotten it since, or not have learned it yet. */
function gone(error) {
  if (error.code !== 'CONCEPT_NOT_FOUND') throw error
}

function concept(number) {
  return {
    do: 'learn',
    id: { key: `k${number}` },
    type: TYPES[number % TYPES.length],
    content: `what is known of ${TYPES[number % TYPES.length]} ${number}`,
    ...(number % 4 === 0 && { embedding: vector() })
  }
}

function vector() {
  return Float32Array.from({ length: DIMENSIONS }, () => Math.random() - 0.5)
}

function rest(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
