/**
 * As a program by hand would lay it out to read fast: one row a concept under its key, one with
 * what leads out of it, and for paths one with the neighbours both ways as 32-bit numbers.
 */
import { join } from 'node:path'
import { open as openEnvironment } from 'lmdb'
import { bothWays, leadingOut, shortestPath } from './graph-search.mjs'
import { buildIndex, EFS, MappedIndex } from './usearch-file.mjs'

/** Writes under way at once: memory stays bounded, and the queue never runs dry. */
const IN_FLIGHT = 10_000

export async function load(data, directory, mark) {
  const db = databases(directory)
  const save = buildIndex(data, join(directory, 'vectors.usearch'))
  save()
  mark('vectors')
  const { keys, types, contents } = data
  await putAll(keys.length, (row) => {
    db.keys.put(row, keys[row])
    return db.concepts.put(keys[row], { row, type: types[row], content: contents[row] })
  })
  mark('concepts')
  const out = leadingOut(data)
  const both = bothWays(data)
  await putAll(keys.length, (row) => {
    db.graph.put(row, Buffer.from(Uint32Array.from(both[row]).buffer))
    return db.out.put(keys[row], out[row])
  })
  // Resolves once all that was put before is on disk.
  await db.root.flushed
  mark('associations')
  return async () => db.root.close()
}

async function putAll(rows, put) {
  let last
  for (let row = 0; row < rows; row++) {
    last = put(row)
    if (row % IN_FLIGHT === IN_FLIGHT - 1) await last
  }
  await last
}

export async function open(directory) {
  const db = databases(directory)
  const index = new MappedIndex(join(directory, 'vectors.usearch'))
  const eachNeighbor = (row, visit) => {
    // The buffer is used again by the next read, which comes after this loop.
    const numbers = db.graph.getBinaryFast(row)
    for (let at = 0; at < numbers.length; at += 4) visit(numbers.readUInt32LE(at))
  }
  return {
    get: (key) => db.concepts.get(key),
    hop: (key) => db.out.get(key),
    path: (source, target) => {
      const [from, to] = [db.concepts.get(source).row, db.concepts.get(target).row]
      return shortestPath(from, to, eachNeighbor).map((row) => db.keys.get(row))
    },
    knn: (vector, k) => index.search(vector, k).map((row) => db.keys.get(row)),
    efs: EFS,
    useEf: (ef) => index.useEf(ef),
    read: { hop: (found) => found.map(([type, key]) => [type, key]) },
    close: async () => db.root.close()
  }
}

/** Without overlapping syncs a put resolves once it is on disk, rather than once it is visible. */
export async function openForCommits(directory) {
  const db = openEnvironment({ path: join(directory, 'data.lmdb'), overlappingSync: false })
  return {
    commit: (key, content) => db.put(key, { content }),
    close: async () => db.close()
  }
}

function databases(directory) {
  const root = openEnvironment({ path: join(directory, 'data.lmdb') })
  return {
    root,
    concepts: root.openDB('concepts', { sharedStructuresKey: Symbol.for('structures') }),
    out: root.openDB('out', {}),
    keys: root.openDB('keys', { keyEncoding: 'uint32', encoding: 'string' }),
    graph: root.openDB('graph', { keyEncoding: 'uint32', encoding: 'binary' })
  }
}
