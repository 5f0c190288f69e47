/** Records and relations inserted in batches, questions in SurrealQL about records by their ids. */
import { join } from 'node:path'
import { createNodeEngines } from '@surrealdb/node'
import { RecordId, Surreal } from 'surrealdb'
import { CONNECTIVITY, EFS, EXPANSION_ADD } from './usearch-file.mjs'

const BATCH = 1000

export async function load(data, directory, mark) {
  const { keys, types, contents, vectors, dimensions } = data
  const db = await connect(directory)
  for (let start = 0; start < keys.length; start += BATCH) {
    const rows = keys.slice(start, start + BATCH).map((key, at) => {
      const row = start + at
      const embedding = Array.from(vectors.subarray(row * dimensions, (row + 1) * dimensions))
      return { id: idOf(key), type: types[row], content: contents[row], embedding }
    })
    await db.query('INSERT INTO concept $rows RETURN NONE', { rows })
  }
  mark('concepts')
  const { sources, targets, edgeTypes, typeNames, edgeKeys } = data
  for (let start = 0; start < sources.length; start += BATCH) {
    const rows = Array.from(sources.subarray(start, start + BATCH), (source, at) => {
      const edge = start + at
      const ends = { in: idOf(keys[source]), out: idOf(keys[targets[edge]]) }
      return { ...ends, type: typeNames[edgeTypes[edge]], word: edgeKeys[edge] }
    })
    await db.query('INSERT RELATION INTO pointer $rows RETURN NONE', { rows })
  }
  mark('associations')
  await db.query(
    `DEFINE INDEX concept_vectors ON concept FIELDS embedding
     HNSW DIMENSION ${dimensions} DIST COSINE TYPE F32 EFC ${EXPANSION_ADD} M ${CONNECTIVITY}`
  )
  mark('vectors')
  return async () => db.close()
}

export async function open(directory) {
  const db = await connect(directory)
  let expansion = EFS[0]
  return {
    get: (key) => db.query('SELECT type, content FROM ONLY $id', { id: idOf(key) }),
    hop: (key) => db.query('SELECT VALUE ->pointer.{ type, out } FROM ONLY $id', { id: idOf(key) }),
    path: (source, target) =>
      db.query('$source.{..6+shortest=$target+inclusive}<->pointer<->concept', {
        source: idOf(source),
        target: idOf(target)
      }),
    knn: (vector, k) =>
      db.query(
        `SELECT id, vector::distance::knn() AS distance FROM concept
         WHERE embedding <|${k},${expansion}|> $query ORDER BY distance`,
        { query: Array.from(vector) }
      ),
    efs: EFS,
    useEf: (ef) => {
      expansion = ef
    },
    read: {
      get: ([row]) => row,
      hop: ([rows]) => rows.map(({ type, out }) => [type, out.id]),
      path: ([ids]) => ids?.map(({ id }) => id),
      knn: ([rows]) => rows.map(({ id }) => id.id)
    },
    close: async () => db.close()
  }
}

async function connect(directory) {
  const db = new Surreal({ engines: createNodeEngines() })
  await db.connect(`surrealkv://${join(directory, 'data.surreal')}`)
  await db.use({ namespace: 'bench', database: 'wordnet' })
  return db
}

function idOf(key) {
  return new RecordId('concept', key)
}
