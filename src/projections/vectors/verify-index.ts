/** Compares an index with what it was made of: its files with their seals, its rows with the log. */
import { join } from 'node:path'
import { IndexDamage } from './index-files.ts'
import { filesOf, type Manifest } from './manifest.ts'
import type { CancelFlag } from './pace.ts'
import type { VectorPool } from './pool.ts'
import type { FilesChecked } from './protocol.ts'
import type { SharedSet } from './shared-set.ts'

/** Enough to see what kind of damage it is. */
const DIFFERENCES_MAX = 20

/** @param manifest The one on the disk now: another one may take its place meanwhile. */
export async function checkFiles(
  pool: VectorPool,
  directory: string,
  manifest: () => Manifest
): Promise<FilesChecked> {
  const checked: FilesChecked = { bytes: 0, problems: [] }
  const named = (): ReturnType<typeof filesOf> => manifest().segments.flatMap(filesOf)
  for (const { name, seal } of named()) {
    const ask = { path: join(directory, name), seal }
    try {
      await pool.run('check', ask, { role: 'build' })
      checked.bytes += seal.bytes
    } catch (error) {
      if (!(error instanceof IndexDamage)) throw error
      // A save that ended meanwhile has put another file in its place.
      if (named().some((file) => file.name === name)) checked.problems.push(error.message)
    }
  }
  return checked
}

/** The log, and what only the tables know. */
export interface VectorTruth {
  /** Vectors up to here are compared. */
  position: number
  /** Of these pairs of ordinal and revision, the revisions that their concepts have. */
  live(pairs: Uint32Array): Promise<readonly number[]>
  /** Called now and then; throws to stop. */
  pace(position: number): void
}

export interface ComparedIndex {
  pool: VectorPool
  /** Held by the caller, with the rows that hold every vector up to the position. */
  set: SharedSet
  rows: readonly number[]
  log: string
  storeId: Buffer
  space: string
  cancel: CancelFlag
}

/**
 * Every row is what the log says, and none is missing that a concept has. Rows of revisions that no
 * event gave are found by nobody.
 *
 * @returns What differs, in words: the first of them.
 */
export async function compareWithLog(
  { pool, set, rows, cancel, storeId, ...source }: ComparedIndex,
  { position, live, pace }: VectorTruth
): Promise<string[]> {
  const { description } = set
  const common = {
    ...source,
    storeId: Uint8Array.from(storeId),
    set: description.set,
    rows,
    to: position,
    cancel: cancel.buffer
  }
  const problems: string[] = []
  // Once it is cancelled, nobody asks this index any more: the next is made from the log.
  for (let from = 1; from <= position && problems.length < DIFFERENCES_MAX && !cancel.raised; ) {
    try {
      const options = { role: 'build', set: description } as const
      const compared = await pool.run('compare', { ...common, from }, options)
      for (const revision of compared.wrong) {
        problems.push(`the vector of revision ${revision} is not the one in the log`)
      }
      for (const revision of await live(compared.missing)) {
        problems.push(`the vector of revision ${revision}, which a concept has, is missing`)
      }
      from = compared.position + 1
    } catch (error) {
      if (!(error instanceof IndexDamage)) throw error
      return [...problems, error.message]
    }
    pace(from - 1)
  }
  return problems.slice(0, DIFFERENCES_MAX)
}
