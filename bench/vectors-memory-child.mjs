/** Opens an index, searches it, and tells what the process grew by. One process for each. */
import { readFile } from 'node:fs/promises'
import { memoryUsage } from 'node:process'

const asked = JSON.parse(process.argv[2] ?? '{}')
const { path, queriesPath, dimensions, cacheBytes, ef, k, read = [] } = asked
const bytes = await readFile(queriesPath)
const queries = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
// Code is loaded before the first look: what it takes does not depend on the index.
const [{ open }, { Index, MetricKind, ScalarKind }] = await Promise.all([
  import('sutra-storage'),
  import('usearch')
])
const before = memoryUsage.rss()
const { search, index, close } = await (asked.kind === 'store' ? openStore() : openBare())
const found = []
const ms = []
for (let start = 0; start < queries.length; start += dimensions) {
  const query = queries.slice(start, start + dimensions)
  const started = performance.now()
  found.push(await search(query))
  ms.push(performance.now() - started)
}
const grown = memoryUsage.rss() - before
const state = index()
await close()
console.log(JSON.stringify({ grown, found, ms, ...state }))

async function openStore() {
  const options = cacheBytes === undefined ? {} : { vectors: { dimensions, cacheBytes } }
  const store = await open(path, options)
  let at = 0
  const search = async (query) => {
    const matches = await store.search(query, { k, ef })
    const keys = read.slice(at, at + k).map((key) => ({ key }))
    at += keys.length
    if (keys.length > 0) await store.getMany(keys)
    return matches.map(({ key }) => Number(key.slice(key.indexOf('-') + 1)))
  }
  const index = () => {
    const { segments, pending } = store.stats().vectors
    return { segments, pending }
  }
  return { search, index, close: async () => store.close() }
}

/** In memory, as a program has it that goes on adding. */
async function openBare() {
  const { quantization, connectivity, expansionAdd } = asked
  const index = new Index({
    dimensions,
    metric: MetricKind.Cos,
    quantization: { f32: ScalarKind.F32, f16: ScalarKind.F16, i8: ScalarKind.I8 }[quantization],
    connectivity,
    expansion_add: expansionAdd,
    expansion_search: ef,
    multi: false
  })
  index.load(path)
  const search = async (query) => [...index.search(query, k, 1).keys].map(Number)
  return { search, index: () => ({}), close: async () => undefined }
}
