// Opens a store, writes and reads a little and closes it: what is on stderr is the debug log.
import { open } from 'sutra-storage'

const [directory] = process.argv.slice(2)
const store = await open(directory)
await store.learn({ id: { key: 'a' }, content: 'text' })
await store.get({ key: 'a' })
await store.close()
console.log(JSON.stringify({ closed: true }))
