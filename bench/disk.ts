/** How much does a store take on disk, and how much is written until it lies there? */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { open } from 'sutra-storage'
import type { BenchContext, Figure } from './harness.ts'
import {
  bareRows,
  count,
  diskBytes,
  graphRecords,
  keyOf,
  openBare,
  scratch,
  writeBare,
  writtenBytes
} from './support.ts'

const BATCH_ROWS = 1000
const EACH = 3

/** Concepts alone, then with associations; each closed, so that nothing is left in memory. */
export async function diskUse(bench: BenchContext): Promise<void> {
  const concepts = bench.size(2_000, 500_000)
  bench.title(`Disk and write amplification, ${count(concepts)} concepts of 100 bytes, fsync: no`)
  for (const each of [0, EACH]) {
    const name = each === 0 ? 'concepts' : `concepts + ${each} associations each`
    const given = givenBytes(concepts, each)
    const bare = await measure(async (directory) => {
      await using db = await openBare(directory)
      await writeBare(db, bareRows({ from: 0, to: concepts, each, seed: bench.seed }), BATCH_ROWS)
    })
    const store = await measure(async (directory) => {
      await using opened = await open(directory, { durability: 'os' })
      await opened.import(graphRecords(concepts, each, bench.seed))
      await opened.caughtUp()
    })
    const per = (bytes: number): number => bytes / concepts
    bench.figure(`${name}: given by the caller`, per(given), 'bytes a concept')
    const bareDisk = bench.figure(`${name}: classic-level`, per(bare.disk), 'bytes a concept')
    bench.figure(`${name}: store`, per(store.disk), 'bytes a concept', bareDisk)
    bench.figure(`${name}: store, log`, per(store.log), 'bytes a concept')
    bench.figure(`${name}: store, tables`, per(store.tables), 'bytes a concept')
    if (bare.written === undefined || store.written === undefined) {
      bench.note('write amplification: left out, this system does not count what is written')
      continue
    }
    const amplification = (side: string, written: number, baseline?: Figure): Figure =>
      bench.figure(`${name}: written / given, ${side}`, written / given, 'times', baseline)
    const bareWritten = amplification('classic-level', bare.written)
    amplification('store', store.written, bareWritten)
  }
  bench.fingerprint(concepts)
}

interface Measured {
  disk: number
  log: number
  tables: number
  written: number | undefined
}

async function measure(fill: (directory: string) => Promise<void>): Promise<Measured> {
  await using folder = await scratch()
  const directory = folder.path('measured')
  const before = await writtenBytes()
  await fill(directory)
  const after = await writtenBytes()
  return {
    disk: await diskBytes(directory),
    log: await partBytes(directory, 'log'),
    tables: await partBytes(directory, 'tables'),
    written: before === undefined || after === undefined ? undefined : after - before
  }
}

/** What is told to the store: keys, types, contents, and of each association a strength. */
function givenBytes(concepts: number, each: number): number {
  let keys = 0
  for (let i = 0; i < concepts; i++) keys += keyOf(i).length
  const contents = concepts * ('thing'.length + 100)
  const ends = 2 * keys * each
  return keys + contents + ends + concepts * each * ('type-0'.length + 8)
}

/** The bare engine has no such parts. */
async function partBytes(directory: string, part: string): Promise<number> {
  const path = join(directory, part)
  return existsSync(path) ? diskBytes(path) : 0
}
