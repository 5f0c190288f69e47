/** A small store with some of everything, for tests that damage it or compare it. */
import { open, type Store, type StoreOptions } from 'sutra-storage'

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

/** Twenty commits: concepts with and without vectors, associations, changes, one forgotten. */
export async function fillSample(store: Store): Promise<void> {
  for (let n = 1; n <= 12; n++) {
    await store.learn({
      id: { key: `k${n}` },
      type: n % 2 === 0 ? 'even' : 'odd',
      content: `Concept ${n}`,
      metadata: { n, tags: ['sample'] },
      ...(n % 3 === 0 ? { embedding: vectorOf(n) } : {})
    })
  }
  for (let n = 2; n <= 12; n++) {
    const ends = { source: { key: `k${n - 1}` }, target: { key: `k${n}` } }
    await store.associate({ ...ends, type: 'next', strength: n / 12 }, { idempotencyKey: `a${n}` })
  }
  await store.associate({ source: { key: 'k1' }, target: { key: 'k1' }, type: 'self', key: 'x' })
  await store.reinforce({ key: 'k1' }, { strength: { by: -0.25 } })
  await store.revise({ key: 'k2' }, { content: 'Concept 2, revised', metadata: { n: null } })
  await store.dissociate({ source: { key: 'k1' }, target: { key: 'k2' }, type: 'next' })
  await store.forget({ key: 'k6' })
}

export function vectorOf(n: number): Float32Array {
  return Float32Array.from({ length: DIMENSIONS }, (_, i) => Math.sin(n * 7 + i * 3))
}

/** Makes the sample in a directory and closes it, projected whole. */
export async function makeSample(directory: string, options = VECTORS): Promise<Seen> {
  const store = await open(directory, options)
  try {
    await fillSample(store)
    await store.checkpoint()
    return await look(store)
  } finally {
    await store.close()
  }
}
