/** One table, an HNSW index over its vectors, a B-tree over its keys. It knows no associations. */
import { join } from 'node:path'
import { connect, Index, makeArrowTable } from '@lancedb/lancedb'
import { CONNECTIVITY, EFS, EXPANSION_ADD } from './usearch-file.mjs'

/** Its graph holds numbers of 8 bits: so many times `k` are fetched and ranked by exact vectors. */
const REFINE_FACTOR = 4
const K_MAX = 10
/** It refuses an expansion below what is fetched. */
const EXPANSIONS = EFS.filter((ef) => ef >= K_MAX * REFINE_FACTOR)

export async function load(data, directory, mark) {
  const { keys, types, contents, vectors, dimensions } = data
  const db = await connect(join(directory, 'lancedb'))
  const rows = keys.map((key, row) => ({
    key,
    type: types[row],
    content: contents[row],
    vector: vectors.subarray(row * dimensions, (row + 1) * dimensions)
  }))
  const table = await db.createTable('concepts', makeArrowTable(rows))
  mark('table')
  await table.createIndex('key', { config: Index.btree() })
  mark('keys')
  const parameters = { m: CONNECTIVITY, efConstruction: EXPANSION_ADD, numPartitions: 1 }
  const config = Index.hnswSq({ distanceType: 'cosine', ...parameters })
  await table.createIndex('vector', { config })
  mark('vectors')
  return async () => {
    table.close()
    db.close()
  }
}

export async function open(directory) {
  const db = await connect(join(directory, 'lancedb'))
  const table = await db.openTable('concepts')
  let [expansion] = EXPANSIONS
  return {
    get: (key) =>
      table.query().where(`key = '${key}'`).select(['type', 'content']).limit(1).toArray(),
    knn: (vector, k) =>
      table
        .vectorSearch(vector)
        .distanceType('cosine')
        .ef(expansion)
        .refineFactor(REFINE_FACTOR)
        .select(['key', '_distance'])
        .limit(k)
        .toArray(),
    efs: EXPANSIONS,
    useEf: (ef) => {
      expansion = ef
    },
    read: {
      get: ([row]) => ({ type: row?.type, content: row?.content }),
      knn: (rows) => rows.map(({ key }) => key)
    },
    close: async () => {
      table.close()
      db.close()
    }
  }
}
