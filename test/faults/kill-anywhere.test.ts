/** The process dies at the k-th call that changes something on the disk, of a store's whole life. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { open } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { type Ended, run } from '../support/child.ts'
import { temporaryPath } from '../support/temp.ts'
import { faultEnv, shim } from './shim.ts'

const missing = 'missing' in shim ? shim.missing : undefined

/** Creation takes about 70 calls, the commits 50, closing 90. */
const CALLS = [1, 9, 23, 36, 52, 70, 90, 108, 127, 146, 165, 185]

describe.skipIf(missing !== undefined)(`a process killed at any call ${missing ?? ''}`, () => {
  test('leaves a store that holds what it was promised, or none yet', async () => {
    const died = { beforeFormat: 0, later: 0 }
    for (let i = 0; i < CALLS.length; i += 2) {
      const runs = [CALLS[i], CALLS[i + 1]].map(async (at) => killAt(at ?? 0))
      for (const { directory, ended } of await Promise.all(runs)) {
        if (ended.signal !== 'SIGKILL') continue
        died[existsSync(join(directory, 'FORMAT')) ? 'later' : 'beforeFormat'] += 1
        await expectKept(directory, ended)
      }
    }

    expect(died.beforeFormat).toBeGreaterThan(2)
    expect(died.later).toBeGreaterThan(4)
  })
})

async function killAt(at: number): Promise<{ directory: string; ended: Ended }> {
  const directory = await temporaryPath()
  const plan = { commits: 8, durabilities: ['os', 'fsync', 'interval'] }
  const env = faultEnv({ op: 'any', at, kill: true, path: directory })
  return {
    directory,
    ended: await run('support/writer.mjs', [directory, JSON.stringify(plan)], env)
  }
}

async function expectKept(directory: string, { lines }: Ended): Promise<void> {
  const acknowledged = lines.filter((line) => 'ack' in line).length
  await using store = await open(directory)
  expect(store.head).toBeGreaterThanOrEqual(acknowledged)
  expect(store.head).toBeLessThanOrEqual(acknowledged + 1)
  for (let n = 1; n <= store.head; n++) expect(await store.has({ key: `k${n}` })).toBe(true)
  await store.learn({ id: { key: 'later' }, content: 'Later' })
  await store.caughtUp()
  expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
}
