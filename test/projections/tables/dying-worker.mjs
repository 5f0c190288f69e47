// A worker of the tables' pool that dies over every batch of stores whose path names them as deadly.
import '#sutra/projections/tables/worker.js'
import process from 'node:process'
import { parentPort } from 'node:worker_threads'

const deadly = new Set()

// Both listeners hear of a question in the same turn: it dies before there is an answer.
parentPort.on('message', ({ body }) => {
  if (body.do === 'open' && body.data.directory.includes('deadly')) deadly.add(body.session)
  if (body.do === 'project' && deadly.has(body.session)) process.exit(1)
})
