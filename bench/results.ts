/** Results as files of JSON, one for each benchmark: what plots are drawn from, and what stays. */
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BenchMode, BenchReport } from './harness.ts'
import type { Machine } from './machine.ts'

export interface Result {
  readonly name: string
  readonly mode: BenchMode
  /** ISO 8601. */
  readonly date: string
  readonly machine: Machine
  readonly report: BenchReport
}

export const RESULTS: string = fileURLToPath(new URL('results/', import.meta.url))

/** Writes `<name>.json`, in place of the one of an earlier run. */
export async function writeResult<T extends { readonly name: string }>(
  directory: string,
  result: T
): Promise<void> {
  await mkdir(directory, { recursive: true })
  const path = join(directory, `${result.name}.json`)
  // Half a file would end the drawing of every later run.
  await writeFile(`${path}.tmp`, `${JSON.stringify(result, undefined, 2)}\n`)
  await rename(`${path}.tmp`, path)
}

/** @returns What is in the file, or `undefined` where the benchmark has not run yet. */
export async function readResult<T = Result>(
  directory: string,
  name: string
): Promise<T | undefined> {
  const path = join(directory, `${name}.json`)
  if (!existsSync(path)) return undefined
  // What wrote the file knows its shape: `writeResult`, or the benchmark of peers.
  return JSON.parse(await readFile(path, 'utf8')) as T
}

/** The names of all that there are, without `.json`. */
export async function resultNames(directory: string): Promise<string[]> {
  const files = existsSync(directory) ? await readdir(directory) : []
  return files.flatMap((file) => (file.endsWith('.json') ? [file.slice(0, -'.json'.length)] : []))
}
