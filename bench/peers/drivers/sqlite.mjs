/** Tables, indexes and prepared statements; a `vec0` table, which compares with every vector. */
import { join } from 'node:path'
import Database from 'better-sqlite3'
import * as sqliteVec from 'sqlite-vec'
import { shortestPath } from './graph-search.mjs'

const SCHEMA = `
  CREATE TABLE concepts (id INTEGER PRIMARY KEY, key TEXT UNIQUE, type TEXT, content TEXT);
  CREATE TABLE edges (
    source INTEGER, type TEXT, target INTEGER, word TEXT,
    PRIMARY KEY (source, type, target, word)
  ) WITHOUT ROWID;
  CREATE VIRTUAL TABLE vectors USING vec0(embedding float[100] distance_metric=cosine);
`

export async function load(data, directory, mark) {
  const db = openDatabase(directory)
  db.exec(SCHEMA)
  const { keys, types, contents, vectors, dimensions } = data
  const addConcept = db.prepare('INSERT INTO concepts VALUES (?, ?, ?, ?)')
  db.transaction(() => {
    for (const [row, key] of keys.entries()) addConcept.run(row, key, types[row], contents[row])
  })()
  mark('concepts')
  const { sources, targets, edgeTypes, typeNames, edgeKeys } = data
  const addEdge = db.prepare('INSERT INTO edges VALUES (?, ?, ?, ?)')
  db.transaction(() => {
    for (const [edge, source] of sources.entries()) {
      addEdge.run(source, typeNames[edgeTypes[edge]], targets[edge], edgeKeys[edge])
    }
  })()
  // Made behind the rows: that sorts once instead of finding a place for each.
  db.exec('CREATE INDEX edges_by_target ON edges (target)')
  mark('associations')
  const addVector = db.prepare('INSERT INTO vectors (rowid, embedding) VALUES (?, ?)')
  db.transaction(() => {
    for (let row = 0; row < keys.length; row++) {
      const vector = vectors.subarray(row * dimensions, (row + 1) * dimensions)
      addVector.run(BigInt(row), vector)
    }
  })()
  db.exec('ANALYZE')
  mark('vectors')
  return async () => db.close()
}

export async function open(directory) {
  const db = openDatabase(directory)
  const get = db.prepare('SELECT type, content FROM concepts WHERE key = ?')
  const hop = db
    .prepare(
      `SELECT e.type, c.key FROM edges e JOIN concepts c ON c.id = e.target
       WHERE e.source = (SELECT id FROM concepts WHERE key = ?)`
    )
    .raw()
  const idOf = db.prepare('SELECT id FROM concepts WHERE key = ?').pluck()
  const keyOf = db.prepare('SELECT key FROM concepts WHERE id = ?').pluck()
  const around = db
    .prepare(
      'SELECT target FROM edges WHERE source = ? UNION SELECT source FROM edges WHERE target = ?'
    )
    .pluck()
  const eachNeighbor = (row, visit) => {
    for (const neighbor of around.all(row, row)) visit(neighbor)
  }
  const knn = db
    .prepare(
      `SELECT c.key FROM (SELECT rowid, distance FROM vectors WHERE embedding MATCH ? AND k = ?) v
       JOIN concepts c ON c.id = v.rowid ORDER BY v.distance`
    )
    .pluck()
  return {
    get: (key) => get.get(key),
    hop: (key) => hop.all(key),
    path: (source, target) =>
      shortestPath(idOf.get(source), idOf.get(target), eachNeighbor).map((row) => keyOf.get(row)),
    knn: (vector, k) => knn.all(vector, k),
    close: async () => db.close()
  }
}

function openDatabase(directory) {
  const db = new Database(join(directory, 'data.sqlite'))
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = NORMAL')
  db.pragma('cache_size = -65536')
  sqliteVec.load(db)
  return db
}
