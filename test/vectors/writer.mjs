// Commits what a plan says, several at once, until it is done or somebody kills the process.
//
//   node writer.mjs <directory> <file with a JSON array of commits, each an array of commands> <from>
//
// Checkpoints and searches come in between, so that files of vectors are written all the time.
import { readFileSync } from 'node:fs'
import { open } from 'sutra-storage'
import { tell } from '../support/tell.mjs'

const AT_ONCE = 4
const CHECKPOINT_EVERY = 25

const [directory, plan, from] = process.argv.slice(2)
const commits = JSON.parse(readFileSync(plan, 'utf8'))

const store = await open(directory)
tell({ opened: store.head })
let next = Number(from)
await Promise.all(Array.from({ length: AT_ONCE }, writeOn))
tell({ done: true })
// Only being killed ends it.
setInterval(() => {}, 1000)

async function writeOn() {
  while (next < commits.length) {
    const n = next++
    const durability = n % 3 === 0 ? 'fsync' : 'os'
    await store.commit(commits[n], { durability })
    tell({ acknowledged: n })
    if (n % CHECKPOINT_EVERY === 0) await store.checkpoint()
    const query = commits[n][0]?.embedding
    if (query && n % 7 === 0) await store.search(query, { k: 5 })
  }
}
