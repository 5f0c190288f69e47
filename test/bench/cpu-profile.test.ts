import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readProfiles } from '../../bench/cpu-profile.ts'
import { temporaryPath } from '../support/temp.ts'

test('time is added up by part of the source, built-in functions under who called them', async () => {
  const directory = await temporaryPath('profiles')
  await mkdir(directory)
  const main = profile([
    { id: 1, name: '(root)', url: '', children: [2, 3, 6, 7] },
    { id: 2, name: '(idle)', url: '', ms: 50 },
    { id: 3, name: 'append', url: 'file:///p/build/append/writer.js', ms: 4, children: [4, 5] },
    { id: 4, name: 'get', url: '', ms: 2 },
    { id: 5, name: 'pack', url: 'file:///p/node_modules/msgpackr/dist/pack.js', ms: 1 },
    { id: 6, name: '(garbage collector)', url: '', ms: 3 },
    { id: 7, name: 'tick', url: 'node:internal/process', ms: 5 }
  ])
  const worker = profile([
    { id: 1, name: '(root)', url: '', children: [2] },
    { id: 2, name: 'fold', url: 'file:///p/build/projections/tables/worker.js', ms: 7 }
  ])
  // As the profiler names them: day, time, process, thread, number.
  await writeFile(join(directory, 'CPU.20260102.030405.99.1.001.cpuprofile'), worker)
  await writeFile(join(directory, 'CPU.20260102.030405.99.0.002.cpuprofile'), main)

  const threads = await readProfiles(directory)

  expect(threads).toEqual([
    {
      name: 'main thread',
      busyMs: 15,
      parts: [
        ['append', 6],
        ['Node itself', 5],
        ['garbage collection', 3],
        ['package msgpackr', 1]
      ]
    },
    { name: 'thread of projections/tables/worker', busyMs: 7, parts: [['projections/tables', 7]] }
  ])
})

interface Call {
  id: number
  name: string
  url: string
  /** In this function itself. */
  ms?: number
  children?: number[]
}

function profile(calls: readonly Call[]): string {
  const sampled = calls.filter(({ ms }) => ms !== undefined)
  return JSON.stringify({
    nodes: calls.map(({ id, name, url, children }) => ({
      id,
      callFrame: { functionName: name, url },
      ...(children === undefined ? {} : { children })
    })),
    samples: sampled.map(({ id }) => id),
    timeDeltas: sampled.map(({ ms = 0 }) => ms * 1000)
  })
}
