/** The k-th call that writes into a backup, or into a store that is being restored, fails. */
import { cp, readFile, rm } from 'node:fs/promises'
import { isStoreError, open, restore } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { EIO, ENOSPC, type Fault, faultEnv, shim } from '../faults/shim.ts'
import { type Ended, run } from '../support/child.ts'
import { sampleStore } from '../support/sample.ts'
import { temporaryPath } from '../support/temp.ts'
import { lookInto } from './support.ts'

const SCRIPT = 'backup/copier.mjs'
const missing = 'missing' in shim ? shim.missing : undefined
/** Calls of each kind that fail, evenly spread; all of them with SUTRA_TEST_FAULTS=1000. */
const FAULTS = Number(process.env['SUTRA_TEST_FAULTS'] ?? 2)
const LONG = { timeout: 600_000 }
const FOR_GOOD = 1_000_000

const KINDS: Omit<Fault, 'path' | 'op'>[] = [
  { errno: ENOSPC, count: FOR_GOOD, partial: true },
  { errno: EIO, count: 1 }
]

describe.skipIf(missing !== undefined)(`when the disk fails ${missing ?? ''}`, () => {
  test.each(KINDS)(
    'a backup says so, the older one stays, the store goes on: %o',
    LONG,
    async (kind) => {
      const { directory, before } = await sampleStore()
      const older = await temporaryPath('older')
      const target = await temporaryPath('backup')
      await using store = await open(directory)
      await store.backup(older)
      for (let n = 0; n < 5; n++) await store.learn({ content: `Later ${n}` })
      await store.close()
      const after = await lookInto(directory)

      const outcomes = await failEach(kind, older, async (env, copy) => {
        await cp(directory, target, { recursive: true })
        const ended = await run(SCRIPT, ['backup', target, copy], env)
        const { failed } = outcomeOf(ended)
        expect(ended.lines).toContainEqual({ head: after.position + 1 })
        await rm(target, { recursive: true })
        const restored = await temporaryPath()
        await restore(copy, restored)
        const seen = await lookInto(restored)
        expect(seen).toEqual(seen.position === after.position ? after : before)
        if (!failed) expect(seen).toEqual(after)
        return failed ? 'failed' : 'made'
      })

      expect(outcomes).toContain('failed')
    }
  )

  test.each(KINDS)(
    'a restore says so and leaves no store, or all of it: %o',
    LONG,
    async (kind) => {
      const { directory, before } = await sampleStore()
      const backup = await temporaryPath('backup')
      await using store = await open(directory)
      await store.backup(backup)
      await store.close()

      const outcomes = await failEach(kind, undefined, async (env, target) => {
        const { failed } = outcomeOf(await run(SCRIPT, ['restore', backup, target], env))
        if (failed) {
          // Where not even a file can be removed, what was made stays, and opens if it is whole.
          const seen = await lookInto(target).catch((error: unknown) => {
            const none = ['STORE_NOT_FOUND', 'NOT_A_STORE', 'STORE_DAMAGED'] as const
            if (none.some((code) => isStoreError(error, code))) return
            throw error
          })
          if (seen !== undefined) expect(seen).toEqual(before)
          else await restore(backup, target)
        }
        expect(await lookInto(target)).toEqual(before)
        return failed ? 'failed' : 'made'
      })

      expect(outcomes).toContain('failed')
    }
  )
})

/** Counts the calls of one whole run, then lets some of them fail, each on a fresh copy. */
async function failEach(
  kind: Omit<Fault, 'path' | 'op'>,
  start: string | undefined,
  act: (env: NodeJS.ProcessEnv, target: string) => Promise<string>
): Promise<Set<string>> {
  const target = await temporaryPath('target')
  const trace = `${target}.trace`
  const fresh = async (): Promise<void> => {
    await rm(target, { recursive: true, force: true })
    if (start !== undefined) await cp(start, target, { recursive: true })
  }
  const fault = { op: 'any', path: target }
  await fresh()
  expect(await act(faultEnv({ ...fault, trace }), target)).toBe('made')
  const calls = (await readFile(trace, 'utf8')).split('\n').length - 1
  expect(calls).toBeGreaterThan(10)

  const faults = Math.min(FAULTS, calls)
  const outcomes = new Set<string>()
  for (let n = 0; n < faults; n++) {
    const at = 1 + Math.round((n * (calls - 1)) / Math.max(1, faults - 1))
    await fresh()
    outcomes.add(await act(faultEnv({ ...fault, ...kind, at }), target))
  }
  return outcomes
}

/** It was made, or failed with a code, an honest outcome and what the system said. */
function outcomeOf({ lines, stderr, code }: Ended): { failed: boolean } {
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const failed = lines.find((line) => 'failed' in line)?.['failed']
  if (failed === undefined) return { failed: false }
  expect(failed).toMatchObject({ name: 'StoreError', code: 'BACKUP_FAILED', outcome: 'unknown' })
  expect(failed).toMatchObject({ cause: expect.stringMatching(/EIO|ENOSPC|LEVEL_/) })
  return { failed: true }
}
