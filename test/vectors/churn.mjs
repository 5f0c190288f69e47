/** Opens small stores, closes them and opens them again, and tells what its memory comes to. */
import { mkdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { open } from 'sutra-storage'

const [directory = ''] = process.argv.slice(2)
const STORES = 8
const ROUNDS = 6
const KIB = 1024

mkdirSync(directory)
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc')

/** Resident memory that is of no file, in bytes. */
function anonymous() {
  collect()
  const [, kib] = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return Number(kib) * KIB
}

for (let round = 0; round < ROUNDS; round++) {
  const opened = Array.from({ length: STORES }, (_, i) =>
    open(`${directory}/${i}`, { durability: 'os', vectors: { dimensions: 8 } })
  )
  const stores = await Promise.all(opened)
  for (const store of stores) {
    await store.learn({ content: `round ${round}`, embedding: [1, 2, 3, 4, 5, 6, 7, round] })
    await store.search([1, 2, 3, 4, 5, 6, 7, 8])
  }
  await Promise.all(stores.map(async (store) => store.close()))
  await sleep(100)
  console.log(JSON.stringify({ round, bytes: anonymous() }))
}
