// Damages copies of a closed store, one after another, and says what a reader is told of each.
//
//   node every-97th.mjs <file with the work as JSON>
//
// The work: { store, scratch, answers, cases: [{ file, at, how: 'flip' | 'cut' }] }.
import {
  closeSync,
  cpSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  truncateSync,
  writeSync
} from 'node:fs'
import { join } from 'node:path'
import { answersOf } from './answers.mjs'

const { store, scratch, answers, cases } = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const expected = new Map(answers)
const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`)

for (const { number, file, at, how } of cases) {
  tell({ begun: number })
  const copy = join(scratch, String(number))
  cpSync(store, copy, { recursive: true })
  if (how === 'cut') truncateSync(join(copy, file), at)
  else flip(join(copy, file), at)
  const { answers: found, told, error } = await answersOf(copy)
  const wrong = found
    .filter(([name, answer]) => answer !== expected.get(name))
    .map(([name]) => name)
  tell({ number, outcome: outcomeOf(wrong, told, error), wrong, told, error })
  rmSync(copy, { recursive: true })
}

function outcomeOf(wrong, told, error) {
  if (wrong.join() === 'verify') return 'told'
  // An answer that is wrong stays wrong, whatever is refused after it.
  if (wrong.length > 0) return told.length > 0 ? 'wrong, told' : 'wrong'
  if (error !== undefined) return error.typed ? 'refused' : 'failed'
  return told.length > 0 ? 'healed' : 'same'
}

function flip(path, at) {
  const file = openSync(path, 'r+')
  const byte = Buffer.alloc(1)
  readSync(file, byte, 0, 1, at)
  byte[0] ^= 1 << (at % 8)
  writeSync(file, byte, 0, 1, at)
  closeSync(file)
}
