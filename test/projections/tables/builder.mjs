// Opens a store with other indexes than it had, and writes on while they are built.
//
//   node builder.mjs <directory> <indexes as JSON>
import { open } from 'sutra-storage'
import { tell } from '../../support/tell.mjs'

const [directory, indexes = '{}'] = process.argv.slice(2)
const store = await open(directory, { indexes: JSON.parse(indexes), durability: 'os' })
store.telemetry$.subscribe((event) => {
  if (event.type === 'fields-indexed') tell({ indexed: event.fields })
})
tell({ opened: store.head })
for (let n = 0; ; n++) {
  const id = { key: `k${(n * 7) % 3000}` }
  await store.revise(id, { metadata: { year: 2000 + (n % 10) } })
  await store.learn({ content: `Later ${process.pid} ${n}`, metadata: { year: 3000, lang: 'en' } })
}
