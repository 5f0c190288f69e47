// A thread that opens a store and keeps it.
import { parentPort, workerData } from 'node:worker_threads'
import { open } from 'sutra-storage'

const store = await open(workerData)
parentPort.postMessage('opened')
setInterval(() => store.stats(), 1000)
