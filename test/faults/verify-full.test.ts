/** Verifying and rebuilding make tables aside: a disk that is full of them is told as what it is. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { run } from '../support/child.ts'
import { temporaryPath } from '../support/temp.ts'
import { ENOSPC, faultEnv, shim } from './shim.ts'

const missing = 'missing' in shim ? shim.missing : undefined

describe.skipIf(missing !== undefined)(
  `tables aside that cannot be written ${missing ?? ''}`,
  () => {
    // The first writes of a new generation are the main thread's, those behind them are the worker's.
    test.each([
      ['verify', 1],
      ['verify', 3],
      ['rebuild', 1],
      ['rebuild', 3]
    ])('%s says so when write %i fails, and succeeds later', async (operation, at) => {
      const directory = await temporaryPath()
      const when = await temporaryPath('failing')
      const path = join(directory, 'tables')
      const end = '.log'
      const fault = { op: 'fwrite', at, count: 1_000_000, errno: ENOSPC, path, end, when }

      const args = [directory, when, operation]
      const { lines, stderr } = await run('faults/verify-full.mjs', args, faultEnv(fault))

      expect(stderr).toBe('')
      expect(lines).toMatchObject([
        { failed: 'StoreError', code: 'IO_FAILED', details: { operation } },
        { ok: true, concepts: 20 }
      ])
    })
  }
)
