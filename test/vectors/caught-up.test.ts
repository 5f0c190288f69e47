/** Whoever has waited for the index to catch up finds its vectors in graphs, also after an open. */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Command, open, type Store, type TelemetryEvent } from 'sutra-storage'
import { expect, test } from 'vitest'
import { Random } from '../support/random.ts'
import { flipFile } from '../support/raw.ts'
import { temporaryPath } from '../support/temp.ts'
import { Clusters } from './clusters.ts'
import { expectExact } from './vector-model.ts'

const DIMENSIONS = 128
const COUNT = 5000
/** So few may be left for searches to compare. */
const LEFT = 1024

test('what was cut off by closing is in graphs when a wait right after opening ends', async () => {
  const directory = await temporaryPath()
  const store = await open(directory, { vectors: { dimensions: DIMENSIONS } })
  const concepts = await fill(store)
  await store.search(query(), { k: 1 })
  expect(store.stats().vectors.pending).toBeGreaterThan(LEFT)
  await store.close()

  await using again = await open(directory)
  const { vectors, pipeline } = again.stats()
  expect(vectors.pending).toBeGreaterThan(LEFT)
  expect(pipeline.projections['vectors']?.lagEvents).toBeGreaterThan(0)
  await again.caughtUp()

  expect(again.stats().vectors).toMatchObject({ position: again.head })
  expect(again.stats().vectors.pending).toBeLessThan(LEFT)
  const asked = { query: query(), k: 50, metric: 'cosine' as const }
  expectExact(await again.search(asked.query, { k: 50, exact: true }), concepts, asked)
})

test('a search that begins beside a rebuild of the index finds what there is, in whichever moment', async () => {
  await using store = await open(await temporaryPath(), { vectors: { dimensions: DIMENSIONS } })
  const embedding = query()
  await store.learn({ id: { key: 'a' }, content: 'a', embedding })
  const found: unknown[] = []
  for (let microtasks = 0; microtasks < 20; microtasks++) {
    const rebuilt = store.rebuild({ projections: ['vectors'] })
    for (let i = 0; i < microtasks; i++) await Promise.resolve()
    const [match] = await store.search(embedding, { k: 1 })
    found.push(match?.key)
    await rebuilt
  }
  expect(new Set(found)).toEqual(new Set(['a']))
})

test('an index that is replaced while it is read answers all the same', async () => {
  const directory = await caughtUpStore()
  await rm(join(directory, 'vectors'), { recursive: true })
  await using store = await open(directory)

  // The log is being read for these when another index takes the place of that one.
  const found = store.search(query(), { exact: true })
  const vector = store.vector({ key: 'k1' })
  const hash = store.stateHash()
  const rebuilding = store.rebuild({ projections: ['vectors'] })
  const late = store.search(query(), { exact: true })

  expect(await found).toEqual(await late)
  expect(await vector).toHaveLength(DIMENSIONS)
  await rebuilding
  expect(await store.stateHash()).toBe(await hash)
})

test('where all is in graphs there is nothing to wait for, and nothing to do', async () => {
  const directory = await caughtUpStore()

  const applied: TelemetryEvent[] = []
  await using store = await open(directory)
  store.telemetry$.subscribe((event) => {
    if (event.type === 'batch-applied' || event.type === 'index-built') applied.push(event)
  })
  const { position } = store.stats().vectors
  expect(position).toBe(store.head)
  await store.caughtUp()

  expect(applied).toEqual([])
  expect(store.stats().vectors.pending).toBeLessThan(LEFT)
})

test('a graph that is found damaged is there again', async () => {
  const directory = await caughtUpStore()
  const files = join(directory, 'vectors')
  const graphs = (await readdir(files)).filter((name) => name.endsWith('.usearch'))
  expect(graphs).toHaveLength(1)
  await flipFile(join(files, graphs[0] ?? ''), 2000)

  await using store = await open(directory)
  await store.caughtUp()

  expect(store.stats().vectors).toMatchObject({ position: store.head })
  expect(store.stats().vectors.pending).toBeLessThan(LEFT)
})

test('nobody who asks for it need wait: it catches up by itself', async () => {
  const directory = await caughtUpStore()
  const files = join(directory, 'vectors')
  const [graph = ''] = (await readdir(files)).filter((name) => name.endsWith('.usearch'))
  await flipFile(join(files, graph), 2000)

  await using store = await open(directory)

  await expect.poll(() => store.stats().vectors.pending, { timeout: 30_000 }).toBeLessThan(LEFT)
  await expect.poll(() => store.stats().vectors.position, { timeout: 30_000 }).toBe(store.head)
})

test('closing ends the wait', async () => {
  const directory = await temporaryPath()
  const store = await open(directory, { vectors: { dimensions: DIMENSIONS } })
  await fill(store)
  await store.close()
  const again = await open(directory)

  const outcome = again.caughtUp().catch((error: unknown) => error)
  await again.close()

  expect(await outcome).toMatchObject({ code: 'STORE_CLOSED' })
})

test('a signal ends the wait', async () => {
  const directory = await temporaryPath()
  const store = await open(directory, { vectors: { dimensions: DIMENSIONS } })
  await fill(store)
  await store.close()
  await using again = await open(directory)
  const abort = new AbortController()

  const waiting = again.caughtUp(undefined, { signal: abort.signal })
  abort.abort()

  await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' })
})

async function caughtUpStore(): Promise<string> {
  const directory = await temporaryPath()
  const store = await open(directory, { vectors: { dimensions: DIMENSIONS } })
  await fill(store)
  await store.checkpoint()
  await store.close()
  return directory
}

async function fill(store: Store): Promise<Map<string, Float32Array>> {
  const clusters = new Clusters(new Random(), DIMENSIONS)
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

function query(): Float32Array {
  return new Clusters(new Random(7), DIMENSIONS).next()
}
