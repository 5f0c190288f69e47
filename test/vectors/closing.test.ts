import { type Command, open, type Store } from 'sutra-storage'
import { expect, test } from 'vitest'
import { until } from '../projections/vectors-fixture.ts'
import { run } from '../support/child.ts'
import { Random } from '../support/random.ts'
import { temporaryPath } from '../support/temp.ts'
import { Clusters } from './clusters.ts'
import { expectExact } from './vector-model.ts'

const DIMENSIONS = 128
const COUNT = 6000

test('closing while graphs are built takes about a second at most and loses nothing', async () => {
  const random = new Random()
  const directory = await temporaryPath()
  const store = await open(directory, { vectors: { dimensions: DIMENSIONS } })
  const concepts = await fill(store, random)
  const query = new Clusters(random, DIMENSIONS).next()
  await store.search(query, { k: 1 })
  expect(store.stats().vectors.pending).toBeGreaterThan(1024)

  const started = performance.now()
  await store.close()

  // A second, and as much again for whatever else the machine does during a test run.
  expect(performance.now() - started).toBeLessThan(2000)
  await using again = await open(directory)
  const asked = { query, k: 50, metric: 'cosine' as const }
  expectExact(await again.search(query, { k: 50, exact: true }), concepts, asked)
  // What was cut off goes on, without a new vector.
  await until(() => again.stats().vectors.pending <= 1024)
})

test('whoever waits for the vectors is told that the store is closed', async () => {
  const store = await open(await temporaryPath(), { vectors: { dimensions: DIMENSIONS } })
  const stops: unknown[] = []
  store.telemetry$.subscribe((event) => {
    if (event.type === 'projection-stopped') stops.push(event)
  })
  await fill(store, new Random())

  const outcome = store.caughtUp().catch((error: unknown) => error)
  await store.close()

  expect(await outcome).toMatchObject({ code: 'STORE_CLOSED' })
  expect(stops).toEqual([])
})

test('closing or waiting while segments are merged ends, though nothing else keeps the process alive', async () => {
  const { code, lines, stderr } = await run('vectors/merge-closer.mjs', [
    await temporaryPath(),
    '8'
  ])

  expect(lines.at(-1), stderr).toEqual({ done: true })
  expect(code).toBe(0)
})

async function fill(store: Store, random: Random): Promise<Map<string, Float32Array>> {
  const clusters = new Clusters(random, DIMENSIONS)
  const concepts = new Map<string, Float32Array>()
  for (let done = 0; done < COUNT; done += 1000) {
    const commands = Array.from({ length: 1000 }, (_, at): Command => {
      const key = `k${done + at}`
      const embedding = clusters.next()
      concepts.set(key, embedding)
      return { do: 'learn', id: { key }, content: key, embedding }
    })
    await store.commit(commands, { durability: 'os' })
  }
  return concepts
}
