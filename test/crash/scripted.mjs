// A short life with everything in it that changes files in an order that matters, told line by
// line: what is sent, and what was acknowledged. states.test.ts records its system calls.
//
//   node scripted.mjs <directory> [vectors]
import { writeSync } from 'node:fs'
import { open } from 'sutra-storage'

const [directory, vectors] = process.argv.slice(2)
const OPTIONS = { ...(vectors ? { vectors: { dimensions: 4 } } : {}), durabilityIntervalMs: 5 }
const DURABILITIES = ['os', 'fsync', 'os', 'interval', 'fsync']

let count = 0
// Straight to the pipe, in this thread: a line that was told is a system call in its place.
const tell = (line) => writeSync(1, `${JSON.stringify(line)}\n`)

/** Three events, whole or not at all. */
async function commit(store) {
  const n = ++count
  const id = { key: `k${n}` }
  const embedding = vectors ? { embedding: [n, 1, 0, 0] } : {}
  const durability = DURABILITIES[n % DURABILITIES.length]
  tell({ sent: n, durability })
  const { last } = await store.commit(
    [
      { do: 'learn', id, content: `Content ${n}`, ...embedding },
      { do: 'associate', source: id, target: id, type: 'self' },
      { do: 'reinforce', target: id, strength: 0.5 }
    ],
    { durability, idempotencyKey: `c${n}` }
  )
  tell({ acknowledged: n, durability, last })
}

async function commits(store, times) {
  for (let n = 0; n < times; n++) await commit(store)
}

let store = await open(directory, OPTIONS)
tell({ opened: 'new' })
await commits(store, 6)
await store.caughtUp()
await store.checkpoint()
tell({ done: 'checkpoint' })
await commits(store, 3)
await Promise.all([store.rebuild(), commits(store, 4)])
tell({ done: 'rebuild' })
await store.forget({ key: 'k1' }, { durability: 'fsync' })
tell({ forgotten: 1 })
await commits(store, 2)
await store.close()
tell({ done: 'close' })
store = await open(directory, OPTIONS)
await commits(store, 3)
await store.close()
tell({ done: 'close' })
