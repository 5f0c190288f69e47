// Commits go on while projections of the program's own follow them, until somebody kills the process.
//
//   node projector.mjs <directory> steady|rebuild|versions <number of this life>
//
// The projection is that of test/projections/tally.ts, which the parent opens the store with.
import { defineProjection, open } from 'sutra-storage'
import { tell } from '../support/tell.mjs'

const [directory, kind, life] = process.argv.slice(2)
const version = kind === 'versions' ? Number(life) + 1 : 1
const projection = tally(version)
const store = await open(directory, {
  projections: [projection],
  pipeline: { intervalMs: { min: 1, base: 1, max: 5 } }
})
let count = 0
for (let n = 0; n < 20; n++) await commit('os')
tell({ ready: true })
await Promise.all([
  commitForever(),
  readForever(),
  kind === 'rebuild' ? rebuildForever() : undefined
])

/** Every older version is there, so that whatever the last life left goes on. */
function tally(newest) {
  let definition
  for (let version = Math.max(1, newest - 2); version <= newest; version++) {
    definition = defineProjection({
      name: 'tally',
      version,
      ...(definition && { previous: definition }),
      init: (rows) => rows.put('total', { count: 0, chain: version, last: 0 }),
      apply: (event, rows) => applyTo(event, rows, version),
      queries: { total: (rows) => rows.get('total') }
    })
  }
  return definition
}

function applyTo(event, rows, version) {
  const { id, source } = event.data
  const about = ['about', id ?? source ?? '']
  for (const key of ['total', ['type', event.type], about]) {
    const { count, chain } = rows.get(key) ?? { count: 0, chain: version }
    const next = (chain * 31 + event.position * version) % 1_000_003
    rows.put(key, { count: count + 1, chain: next, last: event.position })
  }
  if (event.type === 'concept-forgotten') rows.del(about)
}

async function commit(durability) {
  const commands = Array.from({ length: 1 + (count % 4) }, () => {
    const key = `k${life}-${++count % 150}`
    return { do: 'learn', id: { key }, content: `Content ${count}` }
  })
  const { last } = await store.commit(commands, { durability })
  if (durability === 'fsync') tell({ acknowledged: last })
  if (count % 97 === 0) await store.forget({ key: `k${life}-${count % 150}` }, { durability })
}

async function commitForever() {
  for (let n = 0; ; n++) await commit(n % 5 === 0 ? 'fsync' : 'os')
}

/** What is acknowledged is in every later read, also while the rows are replaced. */
async function readForever() {
  const { total } = store.projection(projection)
  for (;;) {
    const { head } = store
    const { count, last } = await total()
    if (count < head || last !== count) tell({ wrong: { head, count, last } })
  }
}

async function rebuildForever() {
  for (let n = 1; ; n++) {
    await store.rebuild({ projections: ['tally'] })
    tell({ rebuilt: n })
  }
}
