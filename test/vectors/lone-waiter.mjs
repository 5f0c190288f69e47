// Waits for what only a timer of the store's own ends, with nothing else that keeps this process alive.
//
//   node lone-waiter.mjs <directory> gathering|resting
//
// If the wait did not keep it alive, it would end with code 13 and never tell what came of it.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { open } from 'sutra-storage'
import { VectorPool } from '#sutra/projections/vectors/pool.js'
import { tell } from '../support/tell.mjs'

const DIMENSIONS = 4096
const GATHERED_MS = 100

const [directory, mode] = process.argv.slice(2)
mkdirSync(directory, { recursive: true })
if (mode === 'resting') dieOverBuilds()
const store = await open(join(directory, 'store'), {
  durability: 'os',
  pipeline: { intervalMs: { min: GATHERED_MS, base: GATHERED_MS, max: GATHERED_MS } },
  limits: { commitCommands: 3000 },
  vectors: { dimensions: DIMENSIONS, connectivity: 2, expansionAdd: 2 }
})
let count = 0
const { pendingMax } = store.stats().vectors
// From then on vectors are counted as they are committed.
await store.commit([learn()])
await store.search(vector(0), { k: 1 })
const half = Math.floor(pendingMax / 2)
const halves = [half, pendingMax - half - 1]
await Promise.all(halves.map((length) => store.commit(Array.from({ length }, learn))))
if (mode === 'resting') await store.caughtUp().catch(({ code }) => tell({ stopped: code }))

const waited = store.stats().vectors.pending === pendingMax
const { outcome } = await store.commit([learn()]).catch(({ code }) => ({ outcome: code }))
tell({ waited, outcome })
await store.close()

function learn() {
  count += 1
  return { do: 'learn', id: { key: `k${count}` }, content: 'text', embedding: vector(count) }
}

function vector(n) {
  return Float32Array.from({ length: DIMENSIONS }, (_, at) => ((n * 31 + at * 7) % 101) - 50)
}

function dieOverBuilds() {
  const deaths = join(directory, 'deaths')
  writeFileSync(deaths, '1000000')
  process.env['SUTRA_TEST_DYING'] = JSON.stringify({ kind: 'build', deaths })
  const pool = new VectorPool(new URL('./dying-worker.mjs', import.meta.url))
  VectorPool.hold = () => pool.hold()
}
