// A program that backs a store up, or restores a backup, and dies before its n-th file operation.
//
//   node copier.mjs backup|restore|compare <from> <to> <n>
//
// Without n it lives, and tells how many operations there were.
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { fileURLToPath } from 'node:url'
import { open, restore } from 'sutra-storage'
import { tell } from '../support/tell.mjs'

const [what, from, to, fatal = '0'] = process.argv.slice(2)

let operations = 0
let armed = false

function watched(owner, name) {
  const original = owner[name]
  owner[name] = function operation(...args) {
    if (armed) operations += 1
    if (armed && operations === Number(fatal)) process.kill(process.pid, 'SIGKILL')
    return original.apply(this, args)
  }
}

const file = await fs.promises.open(fileURLToPath(import.meta.url))
for (const name of ['writeFile', 'sync', 'close']) watched(Object.getPrototypeOf(file), name)
await file.close()
for (const name of ['open', 'rename', 'rm', 'mkdir', 'writeFile', 'link']) {
  watched(fs.promises, name)
}
syncBuiltinESMExports()

function failure({ name, code, outcome, cause }) {
  return { name, code, outcome, cause: cause?.code ?? String(cause) }
}

async function make(work) {
  armed = true
  try {
    await work()
    tell({ operations })
  } catch (error) {
    tell({ failed: failure(error) })
  }
  armed = false
}

if (what === 'restore') await make(async () => restore(from, to))
else if (what === 'compare') await make(async () => restore(from, to, { compare: true }))
else {
  const store = await open(from, { createIfMissing: false })
  await make(async () => store.backup(to))
  // Whatever became of the backup, the store goes on.
  await store.learn({ id: { key: 'goes on' }, content: 'Goes on' }, { durability: 'fsync' })
  tell({ head: store.head })
  await store.close()
}
