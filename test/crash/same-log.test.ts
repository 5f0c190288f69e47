/**
 * The same log, projected in other ways: with batches of other sizes, at other intervals, stopped
 * and gone on with, built anew. The state is the same each time. `SUTRA_SAME` sets how many ways.
 */
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { open, type StoreOptions } from 'sutra-storage'
import { expect, test } from 'vitest'
import { Random } from '../support/random.ts'
import { fillSample, VECTORS, vectorOf } from '../support/sample.ts'
import { temporaryPath } from '../support/temp.ts'

const WAYS = Number(process.env['SUTRA_SAME'] ?? 2)
const random = new Random()

test(`gives the same state each time, seed: ${random.seed}`, { timeout: 3_600_000 }, async () => {
  const original = await temporaryPath('original')
  const expected = await make(original)
  const hashes: string[] = []
  for (let way = 0; way < WAYS; way++) {
    const directory = await temporaryPath(`way-${way}`)
    await cp(original, directory, { recursive: true })
    for (const part of ['tables', 'vectors']) await rm(join(directory, part), { recursive: true })
    hashes.push(await project(directory))
  }

  expect(hashes).toEqual(hashes.map(() => expected))
  expect(hashes).toHaveLength(WAYS)
})

/** Everything that folding meets: changes, hubs whose pages split, the forgotten and their return. */
async function make(directory: string): Promise<string> {
  await using store = await open(directory, VECTORS)
  await fillSample(store)
  const os = { durability: 'os' } as const
  const hub = { key: 'hub' }
  for (let n = 1; n <= 300; n++) {
    const id = { key: `n${random.below(90)}` }
    const embedding = random.next() < 0.3 ? { embedding: vectorOf(n) } : {}
    await store.learn({ id, content: `Content ${random.below(50)}`, ...embedding }, os)
    await store.learn({ id: hub, content: 'Hub' }, os)
    const key = `p${random.below(120)}`
    await store.associate({ source: id, target: hub, type: 'to', key, strength: 0.5 }, os)
    if (random.next() < 0.05) await store.forget(id, os)
    if (random.next() < 0.01) await store.forget(hub, os)
    if (random.next() < 0.02) await store.caughtUp()
  }
  await store.checkpoint()
  return await store.stateHash()
}

async function project(directory: string): Promise<string> {
  const options = (): StoreOptions => {
    const min = 1 + random.below(20)
    return {
      pipeline: {
        batchEventsMax: random.pick([1, 7, 100, 20_000]),
        intervalMs: { min, base: min + random.below(30) }
      }
    }
  }
  for (let restart = random.below(4); restart > 0; restart--) {
    const store = await open(directory, options())
    await sleep(random.below(60))
    await store.close()
  }
  await using store = await open(directory, options())
  if (random.next() < 0.5) await store.rebuild()
  await store.caughtUp()
  return await store.stateHash()
}
