/** The store and lmdb by turns in one process: ratios that a table of separate runs cannot give. */
import { fork } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CATALOGUE } from './catalogue.ts'
import type { Made } from './dataset.ts'
import type { PeerResult } from './race.ts'

/** Microseconds, or commits a second, of the middle round; `ratio` is ours against lmdb's. */
export interface Compared {
  what: string
  unit: 'µs' | 'commits/s'
  ours: number
  lmdb: number
  ratio: number
}

export type Beside = { compared: Compared[] } | { error: string } | { skipped: string }

const CHILD = fileURLToPath(new URL('beside-lmdb-child.mjs', import.meta.url))
const SILENCE_MS = 300_000

/** @param folder Where both were loaded. */
export async function besideLmdb(
  results: readonly PeerResult[],
  folder: string,
  made: Made,
  isSmoke: boolean,
  signal?: AbortSignal
): Promise<Beside> {
  const loaded = ['ours', 'lmdb'].filter((name) => {
    const load = results.find((result) => result.name === name)?.load
    return load !== undefined && !('error' in load)
  })
  if (loaded.length < 2) return { skipped: 'not both of sutra-storage and lmdb were loaded' }
  const commits = join(folder, 'commits')
  await mkdir(commits, { recursive: true })
  const drivers = Object.fromEntries(CATALOGUE.map(({ name, driver }) => [name, driver]))
  const asked = { drivers, folder, commits, questions: made.files.questions, isSmoke }
  const child = fork(CHILD, [JSON.stringify(asked)], { execArgv: [] })
  const stop = (): unknown => child.kill('SIGKILL')
  const timer = setTimeout(stop, SILENCE_MS)
  signal?.addEventListener('abort', stop, { once: true })
  let told: Beside = { error: 'it ended without a word' }
  // The child sends nothing else.
  child.on('message', (message: unknown) => {
    told = message as Beside
  })
  await new Promise<void>((resolve) => {
    child.once('close', () => resolve())
    child.once('error', () => resolve())
  })
  clearTimeout(timer)
  signal?.removeEventListener('abort', stop)
  signal?.throwIfAborted()
  return told
}

export function describeBeside(beside: Beside): string {
  if ('skipped' in beside) return `Beside lmdb: skipped, ${beside.skipped}`
  if ('error' in beside) return `Beside lmdb: failed, ${beside.error}`
  const show = (value: number): string => value.toFixed(value >= 1000 ? 0 : 2)
  const rows = beside.compared.map(
    ({ what, unit, ours, lmdb, ratio }) =>
      `| ${what} | ${show(ours)} ${unit} | ${show(lmdb)} ${unit} | ${ratio.toFixed(2)} |`
  )
  return [
    '| by turns in one process | sutra-storage | lmdb | ratio |',
    '| --- | ---: | ---: | ---: |',
    ...rows
  ].join('\n')
}
