/** Writes the same rows to the bare engine, in array batches, and closes it. */
import { ClassicLevel } from 'classic-level'
import { bareKey, bareKeysOfAssociation, contentOf, targetsOf } from '../records.mjs'
import { asked, Marks, MemoryWatch, tell } from './child.mjs'

const BATCH_ROWS = 1000
const { directory, concepts, each, seed, step, tuning } = asked

const db = new ClassicLevel(directory, tuning)
await db.open()
const memory = new MemoryWatch()
const began = performance.now()
await write(conceptRows(), new Marks('concepts', step, memory), 1)
if (each > 0) await write(associationRows(), new Marks('associations', step, memory), 2)
const ms = performance.now() - began
const closing = performance.now()
await db.close()
tell({ result: { ms, closeMs: performance.now() - closing, peak: memory.peak() } })
memory.stop()

async function write(rows, marks, rowsEach) {
  let batch = []
  let written = 0
  for (const row of rows) {
    batch.push(row)
    if (batch.length < BATCH_ROWS) continue
    await db.batch(batch)
    written += batch.length
    batch = []
    marks.reached(written / rowsEach)
  }
  await db.batch(batch)
  marks.reached((written + batch.length) / rowsEach)
}

function* conceptRows() {
  for (let i = 0; i < concepts; i++) {
    yield { type: 'put', key: bareKey(i), value: Buffer.from(contentOf(i)) }
  }
}

function* associationRows() {
  for (let source = 0; source < concepts; source++) {
    for (const [n, target] of targetsOf(source, concepts, each, seed).entries()) {
      for (const key of bareKeysOfAssociation({ source, target, type: `type-${n}` })) {
        yield { type: 'put', key, value: Buffer.alloc(8) }
      }
    }
  }
}
