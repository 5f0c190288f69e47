/** Opens what was closed, asks one question, and says so. One process for each. */
import { readFile } from 'node:fs/promises'

const asked = JSON.parse(process.argv[2] ?? '{}')
const { kind, path, queryPath, k } = asked
const bytes = await readFile(queryPath)
const query = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4).slice()

if (kind === 'store') {
  const { open } = await import('sutra-storage')
  const store = await open(path)
  const matches = await store.search(query, { k })
  console.log(matches.length)
  await store.close()
} else {
  const { Index, MetricKind, ScalarKind } = await import('usearch')
  const index = new Index({
    dimensions: asked.dimensions,
    metric: MetricKind.Cos,
    quantization: ScalarKind.F16,
    connectivity: asked.connectivity,
    expansion_add: asked.expansionAdd,
    multi: false
  })
  index.view(path)
  console.log(index.search(query, k, 1).keys.length)
}
