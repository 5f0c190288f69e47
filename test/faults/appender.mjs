// Appends frames to a log, without a store around it: nothing is synced behind its back.
//
//   node appender.mjs <directory> <bytes of a frame> <one letter a frame: d durable, - not>
import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { ConceptId } from '#sutra/ids.js'
import { LevelLog } from '#sutra/log/level-log.js'

const [directory, bytes, letters] = process.argv.slice(2)
const fields = { content: 'x', data: randomBytes(Number(bytes)) }

mkdirSync(directory)
const log = await LevelLog.create(directory, randomBytes(16))
for (const [at, letter] of [...letters].entries()) {
  const id = ConceptId.fromContent(`${at}`)
  const position = at + 1
  const learned = {
    type: 'concept-learned',
    ordinal: position,
    id,
    version: 1,
    created: true,
    fields
  }
  const commit = { time: 0, first: position, meta: undefined, events: [learned] }
  await log.append([commit], { durable: letter === 'd' })
}
process.stdout.write(`${JSON.stringify({ head: log.head, durableHead: log.durableHead })}\n`)
process.kill(process.pid, 'SIGKILL')
