/** Nodes and edges through batch calls, questions in GQL, vectors through the index's own call. */
import { join } from 'node:path'
import grafeo from '@grafeo-db/js'
import { CONNECTIVITY, EFS, EXPANSION_ADD } from './usearch-file.mjs'

const { GrafeoDB } = grafeo
const BATCH = 1000
const LABEL = 'Concept'
const SET = `UNWIND $rows AS row MATCH (c) WHERE id(c) = row.id
  SET c.key = row.key, c.type = row.type, c.content = row.content`
const GET = `MATCH (c:${LABEL} {key: $key}) RETURN c.type AS type, c.content AS content`
const HOP = `MATCH (c:${LABEL} {key: $key})-[e]->(o:${LABEL}) RETURN type(e) AS type, o.key AS key`
const PATH = `MATCH path = ANY SHORTEST
  (a:${LABEL} {key: $source})-[]-{1,6}(b:${LABEL} {key: $target})
  RETURN [n IN nodes(path) | n.key] AS keys`

export async function load(data, directory, mark) {
  const { keys, types, contents, dimensions } = data
  const db = GrafeoDB.create(fileIn(directory))
  const ids = []
  for (let start = 0; start < keys.length; start += BATCH) {
    const rows = keys.slice(start, start + BATCH).map((key, at) => {
      const row = start + at
      return { key, type: types[row], content: contents[row] }
    })
    // Only this call makes vectors of numbers: as properties they would be lists, and never found.
    const batch = await db.batchCreateNodes(LABEL, 'embedding', vectorsOf(data, start, rows.length))
    for (const [at, id] of batch.entries()) rows[at].id = id
    await db.execute(SET, { rows })
    ids.push(...batch)
  }
  await db.execute(`CREATE INDEX concept_key FOR (c:${LABEL}) ON (c.key)`)
  mark('concepts')
  const { sources, targets, edgeTypes, typeNames, edgeKeys } = data
  for (let start = 0; start < sources.length; start += BATCH) {
    const edges = Array.from(sources.subarray(start, start + BATCH), (source, at) => {
      const edge = start + at
      const type = typeNames[edgeTypes[edge]]
      return {
        src: ids[source],
        dst: ids[targets[edge]],
        type,
        properties: { word: edgeKeys[edge] }
      }
    })
    await db.batchCreateEdges(edges)
  }
  mark('associations')
  const parameters = [dimensions, 'cosine', CONNECTIVITY, EXPANSION_ADD]
  await db.createVectorIndex(LABEL, 'embedding', ...parameters)
  mark('vectors')
  return async () => db.close()
}

export async function open(directory) {
  const db = GrafeoDB.open(fileIn(directory))
  let expansion
  return {
    get: async (key) => (await db.execute(GET, { key })).get(0),
    hop: async (key) => (await db.execute(HOP, { key })).rows(),
    path: async (source, target) => (await db.execute(PATH, { source, target })).scalar(),
    knn: async (vector, k) => {
      const found = await db.vectorSearch(LABEL, 'embedding', Array.from(vector), k, expansion)
      return found.map(([id]) => db.getNode(id).get('key'))
    },
    efs: EFS,
    useEf: (ef) => {
      expansion = ef
    },
    close: async () => db.close()
  }
}

function vectorsOf({ vectors, dimensions }, start, rows) {
  return Array.from({ length: rows }, (_, at) => {
    const from = (start + at) * dimensions
    return Array.from(vectors.subarray(from, from + dimensions))
  })
}

function fileIn(directory) {
  return join(directory, 'data.grafeo')
}
