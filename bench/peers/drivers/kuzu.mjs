/** Tables filled by COPY from files, as its docs recommend; prepared statements; a vector index. */
import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import kuzu from 'kuzu'
import { CONNECTIVITY, EFS, EXPANSION_ADD } from './usearch-file.mjs'

// Its parallel reader never ends on texts with quotes in them, from some 60 000 lines on.
const OPTIONS = `(HEADER=false, DELIM=',', QUOTE='"', ESCAPE='"', PARALLEL=false)`
/** As many as tell any two numbers of 32 bits apart. */
const DIGITS = 9
const GET = 'MATCH (c:Concept {key: $key}) RETURN c.type AS type, c.content AS content'
const HOP = 'MATCH (c:Concept {key: $key})-[e:Pointer]->(o:Concept) RETURN e.type, o.key'
const PATH = `MATCH p =
  (a:Concept {key: $source})-[:Pointer* SHORTEST 1..6]-(b:Concept {key: $target})
  RETURN properties(nodes(p), 'key') AS keys LIMIT 1`

export async function load(data, directory, mark) {
  const { db, connection } = await connect(directory)
  await run(
    connection,
    `CREATE NODE TABLE Concept (
      key STRING PRIMARY KEY, type STRING, content STRING, embedding FLOAT[${data.dimensions}])`
  )
  await run(
    connection,
    'CREATE REL TABLE Pointer (FROM Concept TO Concept, type STRING, word STRING)'
  )
  const files = { concepts: join(directory, 'concepts.csv'), edges: join(directory, 'edges.csv') }
  await pipeline(Readable.from(conceptLines(data)), createWriteStream(files.concepts))
  await pipeline(Readable.from(edgeLines(data)), createWriteStream(files.edges))
  mark('files')
  await run(connection, `COPY Concept FROM '${files.concepts}' ${OPTIONS}`)
  mark('concepts')
  await run(connection, `COPY Pointer FROM '${files.edges}' ${OPTIONS}`)
  mark('associations')
  await run(connection, 'LOAD EXTENSION vector')
  await run(
    connection,
    `CALL CREATE_VECTOR_INDEX('Concept', 'concept_vectors', 'embedding', metric := 'cosine',
      mu := ${CONNECTIVITY}, ml := ${2 * CONNECTIVITY}, efc := ${EXPANSION_ADD})`
  )
  mark('vectors')
  return async () => {
    await connection.close()
    await db.close()
    await Promise.all(Object.values(files).map(async (file) => rm(file)))
  }
}

export async function open(directory) {
  const { db, connection } = await connect(directory)
  await run(connection, 'LOAD EXTENSION vector')
  const [get, hop, path] = await Promise.all(
    [GET, HOP, PATH].map((text) => prepare(connection, text))
  )
  let knn = await prepare(connection, knnQuery(64))
  const rows = (statement, values) => {
    const result = connection.executeSync(statement, values)
    const all = result.getAllSync()
    result.close()
    return all
  }
  return {
    get: (key) => rows(get, { key })[0],
    hop: (key) => rows(hop, { key }),
    path: (source, target) => rows(path, { source, target })[0]?.keys,
    knn: (vector, k) => rows(knn, { query: Array.from(vector), k }),
    efs: EFS,
    useEf: async (ef) => {
      knn = await prepare(connection, knnQuery(ef))
    },
    read: {
      hop: (found) => found.map((row) => [row['e.type'], row['o.key']]),
      knn: (found) => found.map(({ key }) => key)
    },
    close: async () => {
      await connection.close()
      await db.close()
    }
  }
}

function knnQuery(ef) {
  return `CALL QUERY_VECTOR_INDEX('Concept', 'concept_vectors', $query, $k, efs := ${ef})
    RETURN node.key AS key, distance ORDER BY distance`
}

async function connect(directory) {
  const db = new kuzu.Database(join(directory, 'data.kuzu'))
  await db.init()
  const connection = new kuzu.Connection(db)
  await connection.init()
  return { db, connection }
}

async function run(connection, text) {
  const result = await connection.query(text)
  for (const each of Array.isArray(result) ? result : [result]) each.close()
}

async function prepare(connection, text) {
  const statement = await connection.prepare(text)
  if (!statement.isSuccess()) throw new Error(statement.getErrorMessage())
  return statement
}

function* conceptLines({ keys, types, contents, vectors, dimensions }) {
  for (const [row, key] of keys.entries()) {
    const vector = vectors.subarray(row * dimensions, (row + 1) * dimensions)
    const numbers = Array.from(vector, (number) => number.toPrecision(DIGITS)).join(',')
    yield `${key},${types[row]},${quoted(contents[row])},"[${numbers}]"\n`
  }
}

function* edgeLines({ keys, sources, targets, edgeTypes, typeNames, edgeKeys }) {
  for (const [edge, source] of sources.entries()) {
    const type = typeNames[edgeTypes[edge]]
    yield `${keys[source]},${keys[targets[edge]]},${type},${quoted(edgeKeys[edge])}\n`
  }
}

function quoted(text) {
  return `"${text.replaceAll('"', '""')}"`
}
