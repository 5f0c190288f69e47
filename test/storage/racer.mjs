// Takes a directory when it is told to: as a thread at once, as a process for each line `go`.
import { createInterface } from 'node:readline'
import { parentPort, workerData } from 'node:worker_threads'
import { Ownership } from '#sutra/storage/owner.js'

if (parentPort !== null) {
  await Ownership.take(workerData.directory)
  parentPort.postMessage('won')
  parentPort.ref()
  setInterval(() => undefined, 1000)
} else {
  const [directory] = process.argv.slice(2)
  const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`)
  tell({ ready: true })
  let ownership
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === 'release') {
      await ownership.release()
      tell({ released: true })
      continue
    }
    try {
      ownership = await Ownership.take(directory)
      tell({ won: true })
    } catch (error) {
      tell({ lost: error.code })
    }
  }
}
