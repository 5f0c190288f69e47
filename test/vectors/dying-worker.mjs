// A worker of the vectors' pool that dies over one kind of task, always or as often as the
// environment says. The number of deaths left lies in a file, since each new thread reads it anew.
import '#sutra/projections/vectors/pool-worker.js'
import { readFileSync, writeFileSync } from 'node:fs'
import process from 'node:process'
import { parentPort } from 'node:worker_threads'

const { kind, deaths } = JSON.parse(process.env['SUTRA_TEST_DYING'] ?? '{}')

// Both listeners hear of a task in the same turn: it dies before there is an answer.
parentPort.on('message', ({ body }) => {
  if (body?.do !== kind) return
  const left = Number(readFileSync(deaths, 'utf8'))
  if (left === 0) return
  writeFileSync(deaths, String(left - 1))
  process.exit(1)
})
