/** A small store with some of everything, for tests that damage it or compare it. */
import { cp } from 'node:fs/promises'
import { open, type Store, type StoreOptions } from 'sutra-storage'
import { lastingPath, temporaryPath } from './temp.ts'

export const DIMENSIONS = 8
export const VECTORS: StoreOptions = { vectors: { dimensions: DIMENSIONS } }

/** What a reader sees. Two stores in the same state give the same. */
export interface Seen {
  position: number
  stateHash: string
  contentHash: string
  counts: Awaited<ReturnType<Store['counts']>>
  pages: string[][]
}

export async function look(store: Store): Promise<Seen> {
  const pages: string[][] = []
  for await (const concept of store.concepts()) {
    const associations = await store.neighbors(concept.id, { direction: 'both', limit: 1000 })
    pages.push([concept.content, ...associations.map((one) => `${one.type} ${one.other.id}`)])
  }
  return {
    position: store.position,
    stateHash: await store.stateHash(),
    contentHash: await store.contentHash(),
    counts: await store.counts(),
    pages
  }
}

/** Forty events: concepts with and without vectors, associations, changes, one forgotten. */
export async function fillSample(store: Store): Promise<void> {
  const os = { durability: 'os' } as const
  for (let n = 1; n <= 12; n++) {
    const concept = {
      id: { key: `k${n}` },
      type: n % 2 === 0 ? 'even' : 'odd',
      content: `Concept ${n}`,
      metadata: { n, tags: ['sample'] },
      ...(n % 3 === 0 ? { embedding: vectorOf(n) } : {})
    }
    await store.learn(concept, os)
  }
  for (let n = 2; n <= 12; n++) {
    const ends = { source: { key: `k${n - 1}` }, target: { key: `k${n}` } }
    const options = { ...os, idempotencyKey: `a${n}` }
    await store.associate({ ...ends, type: 'next', strength: n / 12 }, options)
  }
  const self = { source: { key: 'k1' }, target: { key: 'k1' }, type: 'self', key: 'x' }
  await store.associate(self, os)
  await store.reinforce({ key: 'k1' }, { strength: { by: -0.25 } }, os)
  await store.revise({ key: 'k2' }, { content: 'Revised', metadata: { n: null } }, os)
  await store.dissociate({ source: { key: 'k1' }, target: { key: 'k2' }, type: 'next' }, os)
  await store.forget({ key: 'k6' })
}

export function vectorOf(n: number): Float32Array {
  return Float32Array.from({ length: DIMENSIONS }, (_, i) => Math.sin(n * 7 + i * 3))
}

export interface Sample {
  directory: string
  /** What a reader of it sees. */
  before: Seen
}

let template: Promise<Sample> | undefined

/** A closed store that holds the sample, projected whole. Made once, then copied. */
export async function sampleStore(path?: string): Promise<Sample> {
  template ??= makeTemplate()
  const { directory: made, before } = await template
  const directory = path ?? (await temporaryPath())
  await cp(made, directory, { recursive: true })
  return { directory, before }
}

async function makeTemplate(): Promise<Sample> {
  const directory = await lastingPath('template')
  return { directory, before: await makeSample(directory) }
}

/** Makes the sample in a directory and closes it, projected whole. */
export async function makeSample(directory: string, options = VECTORS): Promise<Seen> {
  await using store = await open(directory, options)
  // Projected in several batches, so that there are several continuity records.
  for (let n = 1; n <= 3; n++) {
    await store.learn({ id: { key: `early${n}` }, content: `Early ${n}`, type: 'early' })
    await store.caughtUp()
  }
  await fillSample(store)
  await store.checkpoint()
  return await look(store)
}
