// Opens a store whose tables cannot be written, closes it, waits for a line, and opens it again.
import { once } from 'node:events'
import { open } from 'sutra-storage'

const [directory] = process.argv.slice(2)
const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`)

const broken = await open(directory)
for (let n = 1; n <= 20; n++) await broken.learn({ id: { key: `k${n}` }, content: `Concept ${n}` })
await broken.caughtUp().catch(() => undefined)
const { state } = broken.stats().pipeline.projections.tables
tell({ stopped: state, concepts: (await broken.counts()).concepts })
await once(process.stdin, 'data')
process.stdin.unref()
await broken.close()

const store = await open(directory)
await store.caughtUp()
const { concepts } = await store.counts()
const { ok } = await store.verify()
tell({ reopened: store.stats().pipeline.projections.tables.state, concepts, ok })
await store.close()
