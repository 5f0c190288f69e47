// A program that writes into several stores and closes some of them, and then has nothing to do.
//
//   node many-stores.mjs <directory> <how many> <how many of them are closed>
import { join } from 'node:path'
import { open } from 'sutra-storage'
import { tell } from '../../support/tell.mjs'

const [directory, count, closed] = process.argv.slice(2)
const stores = []
for (let n = 0; n < Number(count); n++) {
  const store = await open(join(directory, String(n)))
  await store.learn({ id: { key: 'k' }, content: `of store ${n}` })
  await store.caughtUp()
  stores.push(store)
}
tell({ projected: stores.length })
for (const store of stores.slice(0, Number(closed))) await store.close()
tell({ closed: Number(closed) })
