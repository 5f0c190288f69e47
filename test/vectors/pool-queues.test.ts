/** Searches and what is done beside them share threads, and neither waits for the other's queue. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { BESIDE, type RunOptions, VectorPool } from '#sutra/projections/vectors/pool.js'
import { temporaryPath } from '../support/temp.ts'

type Run = (kind: string, ask: object, options: RunOptions) => Promise<unknown>

test('rows are read from the log however many searches wait', async () => {
  const { pool, run, file } = await waitingPool()
  const until = await file()
  let searched = 0
  const searches = Array.from({ length: 50 }, async () => {
    await run('search', { until }, { role: 'read' })
    searched += 1
  })

  for (let i = 0; i < 3; i++) await run('ingest', {}, BESIDE)

  expect(searched).toBe(0)
  await writeFile(until, '')
  await Promise.all(searches)
  await pool.release()
})

test('a search waits for nothing that is asked again because a thread died', async () => {
  const { pool, run, file } = await waitingPool()
  const [until, diesWithout] = [await file(), await file()]
  // One thread, which both are given.
  await run('search', {}, { role: 'read' })
  const sealed = run('seal-graph', { until }, BESIDE)
  const flushed = run('flush', { diesWithout }, BESIDE)
  await flushed

  await run('search', {}, { role: 'read' })

  await writeFile(until, '')
  await sealed
  await pool.release()
})

/** Threads that do nothing but wait, so that what is asked of them may be anything. */
async function waitingPool(): Promise<{
  pool: VectorPool
  run: Run
  file: () => Promise<string>
}> {
  const directory = await temporaryPath('pool')
  await mkdir(directory, { recursive: true })
  const pool = new VectorPool(new URL('./waiting-worker.mjs', import.meta.url)).hold()
  const run = pool.run.bind(pool) as Run
  let files = 0
  return { pool, run, file: async () => join(directory, String(++files)) }
}
