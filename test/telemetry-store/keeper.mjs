// Commits for a while, says how many were acknowledged, and waits to be killed.
//
//   node keeper.mjs <directory> <milliseconds>
import { setTimeout as sleep } from 'node:timers/promises'
import { open } from 'sutra-storage'
import { tell } from '../support/tell.mjs'

const [directory, ms] = process.argv.slice(2)
const store = await open(directory, { telemetry: { store: true }, durability: 'os' })
const started = performance.now()
let acknowledged = 0
tell({ opened: true })
while (performance.now() - started < Number(ms)) {
  for (let i = 0; i < 20; i++) await store.learn({ content: `${process.pid} ${acknowledged++}` })
  tell({ acknowledged, at: Date.now() })
  await sleep(5)
}
tell({ quiet: true })
await new Promise((resolve) => process.stdin.once('data', resolve))
await store.close()
