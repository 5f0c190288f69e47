import { type Command, open, type Store } from 'sutra-storage'
import { expect, test, vi } from 'vitest'
import { Random } from '../support/random.ts'
import { temporaryPath } from '../support/temp.ts'
import { Clusters, similarityOf } from './clusters.ts'

const DIMENSIONS = 16
const WRITERS = 8
const ROUNDS = 150
const FIRST = 1500

test('while many write, each finds what it was just promised, and nothing older', async () => {
  const random = new Random()
  await using store = await openFilled(random)
  let dropped = 0
  store.telemetry$.subscribe((event) => {
    if (event.type === 'index-merged') dropped += event.dropped
  })
  const { promise: stop, resolve: onStop } = withResolvers()
  const moving = keepMoving(store, stop)

  const writers = Array.from({ length: WRITERS }, async (_, writer) => {
    const clusters = new Clusters(new Random(random.seed + 1 + writer), DIMENSIONS)
    for (let round = 0; round < ROUNDS; round++) {
      await learnAndFind(store, `w${writer}-${round}`, clusters)
    }
  })
  // Whatever fails, the store is not closed beneath the others.
  await Promise.allSettled(writers)
  onStop()
  await moving
  await Promise.all(writers)

  // Every vector that was ever given is in a graph, waits for one, or was left out by a merge.
  await vi.waitFor(() => {
    const { indexed, pending } = store.stats().vectors
    expect(indexed + pending + dropped).toBe(FIRST + WRITERS * ROUNDS * 2)
  })
  expect((await store.counts()).vectors).toBe(FIRST + WRITERS * ROUNDS * (2 / 3))
})

/** Learned, found; revised, found anew and not as it was; every third one forgotten, gone. */
async function learnAndFind(store: Store, key: string, clusters: Clusters): Promise<void> {
  const os = { durability: 'os' } as const
  const [first, second] = [clusters.next(), clusters.next()]
  await store.learn({ id: { key }, content: key, embedding: first }, os)
  await expectNearest(store, key, first)
  await store.revise({ key }, { embedding: second }, os)
  await expectNearest(store, key, second)
  const around = await store.search(first, { k: 5 })
  const again = around.find((match) => match.key === key)
  if (again !== undefined) {
    expect(again.similarity).toBeCloseTo(similarityOf(first, second, 'cosine'), 5)
  }
  if (Number(key.split('-')[1]) % 3 !== 0) return
  await store.forget({ key }, os)
  const gone = await store.search(second, { k: 5 })
  expect(gone.map((match) => match.key)).not.toContain(key)
}

async function expectNearest(store: Store, key: string, vector: Float32Array): Promise<void> {
  const [best] = await store.search(vector, { k: 1 })
  expect(best?.key).toBe(key)
  expect(best?.similarity).toBeCloseTo(1, 5)
}

/** Graphs are built, written and replaced all the time. */
async function keepMoving(store: Store, stop: Promise<void>): Promise<void> {
  let isStopped = false
  void stop.then(() => {
    isStopped = true
  })
  while (!isStopped) {
    await store.caughtUp()
    await store.checkpoint()
  }
}

async function openFilled(random: Random): Promise<Store> {
  const store = await open(await temporaryPath(), { vectors: { dimensions: DIMENSIONS } })
  const clusters = new Clusters(random, DIMENSIONS)
  for (let done = 0; done < FIRST; done += 500) {
    const commands = Array.from({ length: 500 }, (_, at): Command => {
      const key = `k${done + at}`
      return { do: 'learn', id: { key }, content: key, embedding: clusters.next() }
    })
    await store.commit(commands, { durability: 'os' })
  }
  return store
}

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {}
  const promise = new Promise<void>((onResolve) => {
    resolve = onResolve
  })
  return { promise, resolve }
}
