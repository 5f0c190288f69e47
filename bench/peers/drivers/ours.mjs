import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { open as openStore } from '../../../dist/index.js'
import { CONNECTIVITY, EFS, EXPANSION_ADD } from './usearch-file.mjs'

/** How long nothing may move before what is left is left for good. */
const STILL_MS = 2000
const MAX_DEPTH = 6

export async function load(data, directory, mark) {
  const { dimensions } = data
  const store = await openStore(join(directory, 'store'), {
    durability: 'os',
    vectors: {
      dimensions,
      metric: 'cosine',
      quantization: 'f16',
      connectivity: CONNECTIVITY,
      expansionAdd: EXPANSION_ADD
    }
  })
  await store.import(records(data))
  mark('import')
  mark('vectors', await indexed(store))
  return async () => store.close()
}

export async function open(directory) {
  const store = await openStore(join(directory, 'store'))
  let expansion
  return {
    get: (key) => store.get({ key }),
    hop: (key) => store.neighbors({ key }),
    path: (source, target) =>
      store.findPath({ key: source }, { key: target }, { direction: 'both', maxDepth: MAX_DEPTH }),
    knn: (vector, k) => store.search(vector, { k, ef: expansion }),
    efs: EFS,
    useEf: (ef) => {
      expansion = ef
    },
    read: {
      hop: (found) => found.map(({ type, other }) => [type, other.key]),
      path: (path) => path?.keys ?? [],
      knn: (found) => found.map(({ key }) => key)
    },
    close: async () => store.close()
  }
}

/** Each commit is on disk before it is acknowledged. */
export async function openForCommits(directory) {
  const store = await openStore(join(directory, 'store'), { durability: 'fsync' })
  return {
    commit: (key, content) => store.learn({ id: { key }, content }),
    close: async () => store.close()
  }
}

function* records({ keys, types, contents, vectors, dimensions, ...edges }) {
  for (const [row, key] of keys.entries()) {
    const embedding = vectors.subarray(row * dimensions, (row + 1) * dimensions)
    yield { kind: 'concept', key, type: types[row], content: contents[row], embedding }
  }
  const { sources, targets, edgeTypes, typeNames, edgeKeys } = edges
  for (const [edge, source] of sources.entries()) {
    const ends = { sourceKey: keys[source], targetKey: keys[targets[edge]] }
    const key = edgeKeys[edge] === '' ? {} : { key: edgeKeys[edge] }
    yield { kind: 'association', ...ends, type: typeNames[edgeTypes[edge]], ...key }
  }
}

/** @returns When the last vector that goes into a graph was in it; the few others are scanned. */
async function indexed(store) {
  await store.caughtUp()
  let { pending } = store.stats().vectors
  let since = performance.now()
  while (pending > 0 && performance.now() - since < STILL_MS) {
    await sleep(5)
    const { pending: now } = store.stats().vectors
    if (now !== pending) since = performance.now()
    pending = now
  }
  return since
}
