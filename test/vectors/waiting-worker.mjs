/** A thread of a pool whose answers wait for a file, and which dies where a file is missing. */
import { existsSync, writeFileSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'

parentPort.on('message', ({ id, body }) => {
  if (id === 0) return
  const answer = () => parentPort.postMessage({ id, body: { reply: undefined } })
  if (body === 'end') {
    setImmediate(() => parentPort.close())
    answer()
    return
  }
  const { until, diesWithout } = body.ask
  if (diesWithout !== undefined && !existsSync(diesWithout)) {
    writeFileSync(diesWithout, '')
    process.exit(1)
  }
  const waiting = setInterval(() => {
    if (until !== undefined && !existsSync(until)) return
    clearInterval(waiting)
    answer()
  }, 2)
})
