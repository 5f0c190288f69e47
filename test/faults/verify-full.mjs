// Verifies or rebuilds a store while its tables cannot be written, and both again when they can.
import { rm, writeFile } from 'node:fs/promises'
import { open } from 'sutra-storage'
import { tell } from '../support/tell.mjs'

const [directory, when, operation] = process.argv.slice(2)

const store = await open(directory)
for (let n = 0; n < 20; n++) {
  await store.learn({ content: `Concept ${n} `.repeat(50) }, { durability: 'os' })
}
await store.caughtUp()
await writeFile(when, '')
try {
  await store[operation]()
  tell({ failed: false })
} catch (error) {
  tell({ failed: error.name, message: error.message, code: error.code, details: error.details })
}
await rm(when)
const { ok } = await store.verify()
await store.rebuild()
tell({ ok, concepts: (await store.counts()).concepts })
await store.close()
