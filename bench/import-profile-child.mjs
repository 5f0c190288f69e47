/** Imports with every thread profiled: each writes a profile when it ends. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import threads from 'node:worker_threads'
import { associationRecords, conceptRecords } from './records.mjs'

const TASKS = '/proc/self/task'
/** Linux tells the time of threads in hundredths of a second, whatever its own clock does. */
const TICK_MS = 10

const { directory, concepts, each, seed } = JSON.parse(process.argv[2] ?? '{}')
// The store starts its threads without the flags of the process. Here they are part of the question.
threads.Worker = class extends threads.Worker {
  constructor(script, options) {
    super(script, { ...options, execArgv: process.execArgv })
  }
}
syncBuiltinESMExports()
// As tsc leaves it: there, the file of a function says which part it belongs to.
const { open } = await import('../build/index.js')

const store = await open(directory, { durability: 'os' })
const cpu = process.cpuUsage()
const before = threadTimes()
const began = performance.now()
await store.import(records())
await store.caughtUp()
const ms = performance.now() - began
const { user, system } = process.cpuUsage(cpu)
const spent = [...threadTimes()].map(([id, { nice, ms: after }]) => {
  return { id, nice, ms: after - (before.get(id)?.ms ?? 0) }
})
const { head } = store
await store.close()
console.log(JSON.stringify({ ms, cpuMs: (user + system) / 1000, threads: spent, head }))

function* records() {
  yield* conceptRecords(0, concepts)
  if (each > 0) yield* associationRecords(concepts, each, seed)
}

/** Processor time and niceness of each thread, by its number; of none where it is not Linux. */
function threadTimes() {
  const ids = existsSync(TASKS) ? readdirSync(TASKS) : []
  return new Map(
    ids.map((id) => {
      const stat = readFileSync(`${TASKS}/${id}/stat`, 'utf8')
      // Behind the name, which may hold anything: user time is the 12th field, niceness the 17th.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      const ticks = Number(fields[11]) + Number(fields[12])
      return [Number(id), { nice: Number(fields[16]), ms: ticks * TICK_MS }]
    })
  )
}
