/**
 * Derived things that are not of the kind that they should be: a directory where a file should be, or
 * a file where a directory should be. Nothing of ours puts them there, so they are put aside, not read.
 */
import { mkdir, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { PROJECTIONS_DIRECTORY } from '../projections/custom/generation-files.ts'
import { INDEXES_FILE, TABLES_DIRECTORY } from '../projections/tables/generation.ts'
import { isDirectory, namesIn, syncDirectory } from '../storage/files.ts'
import { VECTORS_DIRECTORY } from './format.ts'

export interface Misplaced {
  /** Below the directory of the store, with `/` between names. */
  file: string
  reason: string
}

/** What is to be put aside, so that what is derived can be made anew. Changes nothing. */
export async function findMisplaced(directory: string): Promise<Misplaced[]> {
  const found: Misplaced[] = []
  const at = (path: string): string => join(directory, path)
  /** Whether it is a directory whose names are to be looked at. */
  const enters = async (path: string): Promise<boolean> => {
    const isOne = await isDirectory(at(path))
    if (isOne === false) found.push({ file: path, reason: 'it is no directory' })
    return isOne === true
  }
  const checkFile = async (path: string): Promise<void> => {
    const isOne = await isDirectory(at(path))
    if (isOne === true) found.push({ file: path, reason: 'it is a directory' })
  }
  const checkDatabases = async (parent: string, files: readonly string[]): Promise<void> => {
    if (!(await enters(parent))) return
    for (const name of await namesIn(at(parent))) {
      const path = `${parent}/${name}`
      if (files.includes(name)) await checkFile(path)
      if (!/^\d+$/.test(name) || !(await enters(path))) continue
      for (const inner of await namesIn(at(path))) await checkFile(`${path}/${inner}`)
    }
  }
  await checkDatabases(TABLES_DIRECTORY, ['CURRENT', INDEXES_FILE])
  if (await enters(VECTORS_DIRECTORY)) {
    for (const name of await namesIn(at(VECTORS_DIRECTORY))) {
      await checkFile(`${VECTORS_DIRECTORY}/${name}`)
    }
  }
  if (await enters(PROJECTIONS_DIRECTORY)) {
    for (const name of await namesIn(at(PROJECTIONS_DIRECTORY))) {
      await checkDatabases(`${PROJECTIONS_DIRECTORY}/${name}`, ['CURRENT'])
    }
  }
  return found
}

/** If the process dies on the way, the next repair finds what is left to do. */
export async function putAside(
  directory: string,
  misplaced: readonly Misplaced[],
  aside: string
): Promise<void> {
  for (const { file } of misplaced) {
    const from = join(directory, file)
    const to = join(aside, file)
    await mkdir(dirname(to), { recursive: true })
    await rename(from, to)
    await syncDirectory(dirname(to))
    await syncDirectory(dirname(from))
  }
}
