/**
 * The process that `crash.ts` kills: it writes until it dies, and names on its standard output each
 * commit that was acknowledged. A commit is a pair of concepts and the association between them, so
 * that half a commit would show.
 */
import { writeSync } from 'node:fs'
import { open } from 'sutra-storage'

const WRITERS = 16

const [directory = ''] = process.argv.slice(2)
const store = await open(directory, { durability: 'fsync' })
await Promise.all(Array.from({ length: WRITERS }, (_, writer) => writeForever(writer)))

async function writeForever(writer: number): Promise<never> {
  for (let count = 0; ; count++) {
    const name = `${writer}-${count}`
    const [source, target] = [{ key: `${name}-a` }, { key: `${name}-b` }]
    await store.commit([
      { do: 'learn', id: source, content: `First half of ${name}` },
      { do: 'learn', id: target, content: `Second half of ${name}` },
      { do: 'associate', source, target, type: 'belongs-to' }
    ])
    // Not `process.stdout`: that queues what a busy parent has not read, and the kill loses it.
    writeSync(1, `${name}\n`)
  }
}
