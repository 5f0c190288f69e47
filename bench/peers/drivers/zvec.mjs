/** Documents with a field for each column and one HNSW index. It knows no associations. */
import { join } from 'node:path'
import {
  ZVecCollectionSchema,
  ZVecCreateAndOpen,
  ZVecDataType,
  ZVecIndexType,
  ZVecMetricType,
  ZVecOpen
} from '@zvec/zvec'
import { CONNECTIVITY, EFS, EXPANSION_ADD } from './usearch-file.mjs'

/** It takes no more documents at once. */
const BATCH = 1000
const FIELDS = ['type', 'content']

export async function load(data, directory, mark) {
  const { keys, types, contents, vectors, dimensions } = data
  const collection = ZVecCreateAndOpen(join(directory, 'zvec'), schemaOf(dimensions))
  for (let start = 0; start < keys.length; start += BATCH) {
    const documents = keys.slice(start, start + BATCH).map((key, at) => {
      const row = start + at
      const embedding = vectors.subarray(row * dimensions, (row + 1) * dimensions)
      return {
        id: idOf(key),
        fields: { key, type: types[row], content: contents[row] },
        vectors: { embedding }
      }
    })
    for (const { ok, message } of collection.insertSync(documents)) {
      if (!ok) throw new Error(message)
    }
  }
  mark('documents')
  collection.optimizeSync()
  mark('vectors')
  return async () => collection.closeSync()
}

export async function open(directory) {
  const collection = ZVecOpen(join(directory, 'zvec'))
  let expansion = EFS[0]
  return {
    get: (key) => collection.fetchSync({ ids: idOf(key), outputFields: FIELDS })[idOf(key)],
    knn: (vector, k) =>
      collection.querySync({
        fieldName: 'embedding',
        vector,
        topk: k,
        outputFields: ['key'],
        params: { indexType: ZVecIndexType.HNSW, ef: expansion }
      }),
    efs: EFS,
    useEf: (ef) => {
      expansion = ef
    },
    read: {
      get: ({ fields }) => fields,
      knn: (found) => found.map(({ fields }) => fields.key)
    },
    close: async () => collection.closeSync()
  }
}

function schemaOf(dimension) {
  return new ZVecCollectionSchema({
    name: 'concepts',
    vectors: {
      name: 'embedding',
      dataType: ZVecDataType.VECTOR_FP32,
      dimension,
      indexParams: {
        indexType: ZVecIndexType.HNSW,
        metricType: ZVecMetricType.COSINE,
        m: CONNECTIVITY,
        efConstruction: EXPANSION_ADD
      }
    },
    fields: ['key', ...FIELDS].map((name) => ({ name, dataType: ZVecDataType.STRING }))
  })
}

/** Its ids may hold no colon. */
function idOf(key) {
  return key.replace(':', '_')
}
