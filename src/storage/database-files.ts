/** Checks the table files of a LevelDB database against LevelDB's own checksums, without LevelDB. */
import { join } from 'node:path'
import { STRETCH_MS, turn } from '../turn.ts'
import { isMissing, namesIn } from './files.ts'
import { liveTableFiles } from './level-manifest.ts'
import { type FileProblem, TableFile } from './table-file.ts'

export interface DamagedFile extends FileProblem {
  file: string
}

export interface CheckedFile {
  bytes: number
  problem: DamagedFile | undefined
}

/**
 * The files that make up the database, smallest first: a small one is checked whole, whatever the
 * budget. None if LevelDB's own list of them cannot be read, which it finds itself when it opens.
 */
export async function tableFiles(directory: string): Promise<{ path: string; bytes: number }[]> {
  const live = (await liveTableFiles(directory)) ?? new Map<number, number>()
  const found: { path: string; bytes: number }[] = []
  for (const name of await namesIn(directory)) {
    const bytes = name.endsWith('.ldb') ? live.get(Number.parseInt(name, 10)) : undefined
    if (bytes !== undefined) found.push({ path: join(directory, name), bytes })
  }
  return found.sort((a, b) => a.bytes - b.bytes)
}

/** Checks one file in stretches; `undefined` if it is gone. */
export async function checkTableFile(path: string): Promise<CheckedFile | undefined> {
  let file: TableFile
  try {
    file = await TableFile.read(path)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
  const blocks = file.check()
  let began = performance.now()
  for (;;) {
    const { done, value } = blocks.next()
    if (done === true) {
      return { bytes: file.length, problem: value && { ...value, file: path } }
    }
    if (performance.now() - began < STRETCH_MS) continue
    await turn()
    began = performance.now()
  }
}

/**
 * Checks files before LevelDB maps them, which a damaged one may make end the process.
 *
 * @param bytesMax Once so much is checked, the rest is left: to `verify` and to the scrub.
 */
export async function findDamagedFile(
  directory: string,
  bytesMax: number
): Promise<DamagedFile | undefined> {
  let checked = 0
  for (const { path, bytes } of await tableFiles(directory)) {
    if (checked + bytes > bytesMax) return undefined
    checked += bytes
    const problem = (await checkTableFile(path))?.problem
    if (problem !== undefined) return problem
  }
  return undefined
}
