/** The rows of `lmdb.mjs` in LevelDB, with buffers and a tuning like those of the store itself. */
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { Packr } from 'msgpackr'
import { bothWays, leadingOut, shortestPath } from './graph-search.mjs'
import { buildIndex, EFS, MappedIndex } from './usearch-file.mjs'

const MiB = 1024 * 1024
const BYTES = { keyEncoding: 'buffer', valueEncoding: 'buffer' }
const TUNING = { writeBufferSize: 32 * MiB, maxFileSize: 32 * MiB, cacheSize: 32 * MiB }
const BATCH = 1000
const packr = new Packr({ useRecords: false })

export async function load(data, directory, mark) {
  const save = buildIndex(data, join(directory, 'vectors.usearch'))
  save()
  mark('vectors')
  const db = await openDatabase(directory)
  const { keys, types, contents } = data
  await putAll(db, keys.length, (batch, row) => {
    const concept = { row, type: types[row], content: contents[row] }
    batch.put(textKey('c', keys[row]), packr.pack(concept))
    batch.put(rowKey('k', row), Buffer.from(keys[row]))
  })
  mark('concepts')
  const out = leadingOut(data)
  const both = bothWays(data)
  await putAll(db, keys.length, (batch, row) => {
    batch.put(textKey('o', keys[row]), packr.pack(out[row]))
    batch.put(rowKey('g', row), Buffer.from(Uint32Array.from(both[row]).buffer))
  })
  mark('associations')
  return async () => db.close()
}

/** Synced once at the end, which covers what was written before to the same log. */
async function putAll(db, rows, put) {
  for (let start = 0; start < rows; start += BATCH) {
    const batch = db.batch()
    const end = Math.min(rows, start + BATCH)
    for (let row = start; row < end; row++) put(batch, row)
    await batch.write({ sync: end === rows })
  }
}

export async function open(directory) {
  const db = await openDatabase(directory)
  const index = new MappedIndex(join(directory, 'vectors.usearch'))
  const conceptOf = (key) => packr.unpack(db.getSync(textKey('c', key)))
  const keyOf = (row) => db.getSync(rowKey('k', row)).toString()
  const eachNeighbor = (row, visit) => {
    const numbers = db.getSync(rowKey('g', row))
    for (let at = 0; at < numbers.length; at += 4) visit(numbers.readUInt32LE(at))
  }
  return {
    get: conceptOf,
    hop: (key) => packr.unpack(db.getSync(textKey('o', key))),
    path: (source, target) => {
      const [from, to] = [conceptOf(source).row, conceptOf(target).row]
      return shortestPath(from, to, eachNeighbor).map(keyOf)
    },
    knn: (vector, k) => index.search(vector, k).map(keyOf),
    efs: EFS,
    useEf: (ef) => index.useEf(ef),
    read: { hop: (found) => found.map(([type, key]) => [type, key]) },
    close: async () => db.close()
  }
}

async function openDatabase(directory) {
  const db = new ClassicLevel(join(directory, 'level'), { ...BYTES, ...TUNING })
  await db.open()
  return db
}

function textKey(prefix, key) {
  return Buffer.from(prefix + key)
}

function rowKey(prefix, row) {
  const key = Buffer.allocUnsafe(5)
  key[0] = prefix.charCodeAt(0)
  key.writeUInt32BE(row, 1)
  return key
}
