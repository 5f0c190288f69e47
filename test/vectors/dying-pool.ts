/** Pools whose workers die over one kind of task, and the real workers of a pool to be ended. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import { onTestFinished } from 'vitest'
import { VectorPool } from '#sutra/projections/vectors/pool.js'
import type { TaskKind } from '#sutra/projections/vectors/protocol.js'

const NAME = 'SUTRA_TEST_DYING'
export const ALWAYS = 1_000_000

/** @param directory Of the test: how many deaths are left lies in a file there. */
export function dyingPool(
  directory: string,
  kind: TaskKind,
  deaths: number
): { pool: VectorPool; die(deaths: number): void } {
  const path = join(directory, 'deaths')
  const die = (count: number): void => writeFileSync(path, String(count))
  die(deaths)
  // Threads get a copy of the environment when they are started.
  process.env[NAME] = JSON.stringify({ kind, deaths: path })
  onTestFinished(() => {
    delete process.env[NAME]
  })
  return { pool: new VectorPool(new URL('./dying-worker.mjs', import.meta.url)), die }
}

/** Threads that are started from now on, in their order. */
export function watchWorkers(): Worker[] {
  const workers: Worker[] = []
  const onWorker = (worker: Worker): void => {
    workers.push(worker)
  }
  process.on('worker', onWorker)
  onTestFinished(() => {
    process.off('worker', onWorker)
  })
  return workers
}
