// Closes a store while its OWNER cannot be removed, and opens it again in the same process.
import { rm, writeFile } from 'node:fs/promises'
import { open } from 'sutra-storage'
import { tell } from '../support/tell.mjs'

const [directory, armed] = process.argv.slice(2)

function failure({ name, code, cause }) {
  return { name, code, cause: cause?.code ?? String(cause) }
}

const store = await open(directory)
await writeFile(armed, '')
tell({ closed: await store.close().then(() => 'without a word', failure) })
await rm(armed)
const again = await open(directory).catch(failure)
tell({ again: again.head ?? again })
await writeFile(armed, '')
await again.close?.().catch(() => undefined)
tell({ left: true })
setInterval(() => undefined, 1000)
