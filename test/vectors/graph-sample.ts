/** A store with enough vectors that a graph of them is on disk, for tests that damage it. */
import { cp } from 'node:fs/promises'
import { type Command, type Match, open, type Store } from 'sutra-storage'
import { expect } from 'vitest'
import { until } from '../projections/vectors-fixture.ts'
import { Random } from '../support/random.ts'
import { lastingPath, temporaryPath } from '../support/temp.ts'

const DIMENSIONS = 8
const CONCEPTS = 1200
const OPTIONS = { vectors: { dimensions: DIMENSIONS } }

/** The newest vector of each concept by its key; the forgotten ones are not here. */
export type Vectors = ReadonlyMap<string, Float32Array>

export interface GraphSample {
  directory: string
  stateHash: string
  vectors: Vectors
}

const templates = new Map<number, Promise<GraphSample>>()

/** A closed store of its own. Made once for each seed, then copied. */
export async function graphSample(seed = 1): Promise<GraphSample> {
  let template = templates.get(seed)
  if (template === undefined) {
    template = makeTemplate(seed)
    templates.set(seed, template)
  }
  const { directory: made, ...rest } = await template
  const directory = await temporaryPath()
  await cp(made, directory, { recursive: true })
  return { directory, ...rest }
}

async function makeTemplate(seed: number): Promise<GraphSample> {
  const directory = await lastingPath('template')
  const random = new Random(seed)
  const vectors = new Map<string, Float32Array>()
  await using store = await open(directory, OPTIONS)
  for (let done = 0; done < CONCEPTS; done += 100) {
    const commands = Array.from({ length: 100 }, (_, at): Command => {
      const key = `k${done + at}`
      const embedding = randomVector(random)
      vectors.set(key, embedding)
      return { do: 'learn', id: { key }, content: key, embedding }
    })
    await store.commit(commands, { durability: 'os' })
  }
  for (const key of ['k5', 'k600', 'k1199']) {
    const embedding = randomVector(random)
    vectors.set(key, embedding)
    await store.revise({ key }, { embedding })
  }
  for (const key of ['k6', 'k601']) {
    vectors.delete(key)
    await store.forget({ key })
  }
  await store.caughtUp()
  await store.checkpoint()
  return { directory, vectors, stateHash: await store.stateHash() }
}

/** Each of some searches finds what comparing with every vector finds. */
export async function expectRightAnswers(
  store: Store,
  vectors: Vectors,
  rounds = 5
): Promise<void> {
  const random = new Random(rounds)
  for (let round = 0; round < rounds; round++) {
    const query = randomVector(random)
    const expected = bestOf(vectors, query, 10)
    expect(keysOf(await store.search(query, { k: 10, exact: true }))).toEqual(expected)
    const found = keysOf(await store.search(query, { k: 10, ef: 512 }))
    expect(
      found.filter((key) => key !== undefined && expected.includes(key)).length
    ).toBeGreaterThanOrEqual(9)
  }
  for (const key of ['k0', 'k5', 'k700', 'k1199']) {
    expect(await store.vector({ key })).toEqual(vectors.get(key))
  }
}

/** What there was to build is built, and written, so that the next open finds it. */
export async function settled(store: Store): Promise<void> {
  await store.caughtUp()
  await until(() => store.stats().vectors.scanned < 1024)
  await store.checkpoint()
}

/** @returns The event of each damage that was told, from now on. */
export function damagesOf(store: Store): unknown[] {
  const found: unknown[] = []
  store.telemetry$.subscribe((event) => {
    if (event.type === 'damage-found') found.push(event)
  })
  return found
}

function bestOf(vectors: Vectors, query: Float32Array, k: number): string[] {
  return Array.from(vectors, ([key, vector]) => ({ key, cosine: cosine(query, vector) }))
    .sort((a, b) => b.cosine - a.cosine)
    .slice(0, k)
    .map(({ key }) => key)
}

function keysOf(matches: readonly Match[]): (string | undefined)[] {
  return matches.map(({ key }) => key)
}

function cosine(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array): number =>
    x.reduce((sum, one, at) => sum + one * (y[at] ?? 0), 0)
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
}

function randomVector(random: Random): Float32Array {
  return Float32Array.from({ length: DIMENSIONS }, () => random.next() - 0.5)
}
