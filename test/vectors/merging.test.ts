import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Command, open, type Store, type TelemetryEvent } from 'sutra-storage'
import { expect, test } from 'vitest'
import { until } from '../projections/vectors-fixture.ts'
import { Random } from '../support/random.ts'
import { temporaryPath } from '../support/temp.ts'
import { Clusters } from './clusters.ts'
import { applyTo, type Concepts, expectExact, recallOf } from './vector-model.ts'

const DIMENSIONS = 16
const COUNT = 2500

test('vectors that were revised go away in the background, and views go on finding them', async () => {
  await using filled = await Filled.create()
  const { store } = filled
  await using view = await store.view()
  const before = filled.concepts

  await filled.reviseAll()
  await filled.reviseAll()
  await filled.merged()

  expect(filled.events).toContainEqual(
    expect.objectContaining({ type: 'index-merged', dropped: expect.any(Number) })
  )
  const { indexed, pending } = store.stats().vectors
  expect(indexed + pending).toBeLessThan(3 * COUNT)
  await filled.expectAnswers(store, filled.concepts)
  await filled.expectAnswers(view, before)
  expect(await store.vector({ key: 'k7' })).toEqual(filled.concepts.get('k7'))
  expect(await view.vector({ key: 'k7' })).toEqual(before.get('k7'))
})

test('a store whose segments were merged opens as it was, without what was dropped', async () => {
  const filled = await Filled.create()
  await filled.reviseAll()
  await filled.forgetHalf()
  await filled.merged()
  await filled.store.checkpoint()
  const rows = filled.store.stats().vectors.indexed + filled.store.stats().vectors.pending
  await filled.store.close()

  await using again = await open(filled.directory)

  await filled.expectAnswers(again, filled.concepts)
  const { indexed, pending, segments } = again.stats().vectors
  expect(indexed + pending).toBeLessThanOrEqual(rows)
  expect((await again.verify()).problems).toEqual([])
  const files = await readdir(join(filled.directory, 'vectors'))
  expect(files.filter((name) => name.endsWith('.f32'))).toHaveLength(segments)
})

test('searches agree with brute force while segments are merged', async () => {
  await using filled = await Filled.create()
  await filled.reviseAll()
  await filled.reviseAll()
  const merging = filled.merged()
  let isMerged = false
  void merging.then(() => {
    isMerged = true
  })

  const recalls: number[] = []
  while (!isMerged) recalls.push(await filled.expectExact(filled.store, filled.concepts))

  await merging
  // One search alone may miss two of twenty.
  expect(mean(recalls)).toBeGreaterThan(0.9)
  await filled.expectAnswers(filled.store, filled.concepts)
})

test('what reads for long has the vectors of its position, whatever is merged meanwhile', async () => {
  await using filled = await Filled.create()
  const before = filled.concepts
  const found = new Map<string, Float32Array | undefined>()
  const concepts = filled.store.concepts({ include: ['vector'] })[Symbol.asyncIterator]()
  const first = await concepts.next()

  await filled.reviseAll()
  await filled.reviseAll()
  await filled.merged()
  for (let next = first; next.done !== true; next = await concepts.next()) {
    found.set(next.value.key ?? '', next.value.vector)
  }

  expect(found.size).toBe(COUNT)
  expect([...found].filter(([key, vector]) => !isSame(vector, before.get(key)))).toEqual([])
})

test('the dead that a view from before the index kept from being looked for go away behind it', async () => {
  await using filled = await Filled.create()
  const { store } = filled
  const view = await store.view()
  await store.rebuild({ projections: ['vectors'] })
  await filled.forgetHalf()
  await store.checkpoint()
  await store.caughtUp()
  // They are counted meanwhile, in vain.
  await sleep(300)
  expect(filled.events.some(({ type }) => type === 'index-merged')).toBe(false)

  await view.close()

  await filled.merged()
  await filled.expectAnswers(store, filled.concepts)
})

/** A store with many vectors, and what it must have. */
class Filled implements AsyncDisposable {
  readonly store: Store
  readonly directory: string
  readonly events: TelemetryEvent[] = []
  readonly #clusters: Clusters
  #concepts = new Map<string, Float32Array | undefined>()

  private constructor(store: Store, directory: string) {
    this.store = store
    this.directory = directory
    this.#clusters = new Clusters(new Random(), DIMENSIONS)
    store.telemetry$.subscribe((event) => this.events.push(event))
  }

  static async create(): Promise<Filled> {
    const directory = await temporaryPath()
    const store = await open(directory, { vectors: { dimensions: DIMENSIONS } })
    const filled = new Filled(store, directory)
    await filled.#commit((key) => ({
      ...{ do: 'learn', id: { key }, content: key, embedding: filled.#clusters.next() }
    }))
    await store.caughtUp()
    return filled
  }

  get concepts(): Concepts {
    return new Map(this.#concepts)
  }

  async reviseAll(): Promise<void> {
    await this.#commit((key) => ({
      ...{ do: 'revise', target: { key }, embedding: this.#clusters.next() }
    }))
  }

  async forgetHalf(): Promise<void> {
    await this.#commit((key, at) => (at % 2 === 0 ? { do: 'forget', id: { key } } : undefined))
  }

  /** Whatever was to be merged is. */
  async merged(): Promise<void> {
    await this.store.caughtUp()
    await until(() => this.events.some(({ type }) => type === 'index-merged'))
  }

  async expectAnswers(reader: Pick<Store, 'search'>, concepts: Concepts): Promise<void> {
    const recalls: number[] = []
    for (let round = 0; round < 5; round++) recalls.push(await this.expectExact(reader, concepts))
    expect(mean(recalls)).toBeGreaterThan(0.9)
  }

  /** @returns The recall of the same search by graphs. */
  async expectExact(reader: Pick<Store, 'search'>, concepts: Concepts): Promise<number> {
    const query = this.#clusters.next()
    const asked = { query, k: 20, metric: 'cosine' as const }
    expectExact(await reader.search(query, { k: 20, exact: true }), concepts, asked)
    return recallOf(await reader.search(query, { k: 20, ef: 512 }), concepts, asked)
  }

  async #commit(make: (key: string, at: number) => Command | undefined): Promise<void> {
    const next = new Map(this.#concepts)
    for (let done = 0; done < COUNT; done += 500) {
      const commands = Array.from({ length: 500 }, (_, at) => make(`k${done + at}`, at))
      const given = commands.filter((command) => command !== undefined)
      await this.store.commit(given, { durability: 'os' })
      for (const command of given) applyTo(next, command)
    }
    this.#concepts = next
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.close()
  }
}

function isSame(a: Float32Array | undefined, b: Float32Array | undefined): boolean {
  return a !== undefined && b !== undefined && Buffer.compare(bytesOf(a), bytesOf(b)) === 0
}

function bytesOf(vector: Float32Array): Buffer {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength)
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, one) => sum + one, 0) / numbers.length
}
