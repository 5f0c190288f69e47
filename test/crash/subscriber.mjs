// Subscribes, writes, and tells when it has begun. The parent kills it at some instant.
//
// Arguments: directory of the store, directory of the handlers' own files, a seed, the durability.
// What a handler does is a line in a file: it survives the process as the log does.
import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { open } from 'sutra-storage'

const [directory, home, seed, durability] = process.argv.slice(2)
let state = Number(seed)
const retry = { times: 1, firstMs: 1, maxMs: 1 }
const store = await open(directory, { durability })

const isPoison = (position) => position % 17 === 5
const lines = (name) => async (event, delivery) => {
  if (isPoison(event.position)) throw new Error(`poison, attempt ${delivery.attempt}`)
  if (below(4) === 0) await new Promise((resolve) => setTimeout(resolve, below(3)))
  appendFileSync(join(home, name), `${event.position} ${delivery.redelivered ? 1 : 0}\n`)
}

await store.subscribe('plain', { retry, quarantineMax: 1000 }, lines('plain'))
const every = { events: 40, ms: 20 }
await store.subscribe('lazy', { retry, quarantineMax: 1000, checkpointEvery: every }, lines('lazy'))

// One transaction: the effects and the position are in the new file, or neither is.
const ledger = join(home, 'ledger')
const saved = existsSync(ledger) ? JSON.parse(readFileSync(ledger, 'utf8')) : []
await store.subscribe(
  'ledger',
  { batch: 20, checkpointEvery: every, resumeAfter: () => saved.at(-1) ?? 0 },
  (events) => {
    const last = saved.at(-1) ?? 0
    for (const { position } of events) if (position > last) saved.push(position)
    writeFileSync(`${ledger}.new`, JSON.stringify(saved))
    renameSync(`${ledger}.new`, ledger)
    if (below(5) === 0) throw new Error('the connection broke behind the transaction')
  }
)
process.stdout.write(`${JSON.stringify({ subscribed: store.head })}\n`)

for (let i = 0; store.head < 100_000; i++) {
  const commands = Array.from({ length: 1 + below(5) }, (_, j) => ({
    do: 'learn',
    content: `${seed} ${i} ${j}`
  }))
  const own = below(10) === 0 ? 'fsync' : durability
  await store.commit(commands, { durability: own })
  await new Promise((resolve) => setTimeout(resolve, below(4)))
}

// The same chance as test/support/random.ts, which a program of JavaScript cannot import.
function below(end) {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * end)
}
