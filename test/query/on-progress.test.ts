/** Callbacks for progress that fail, or are none. */
import { type LongOptions, migrate, type Progress, restore, verifyBackup } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { whileTelling } from '#sutra/store/progress.js'
import { openTemporaryStore } from '../support/open-store.ts'
import { temporaryPath } from '../support/temp.ts'

describe('work that tells how far it is now and then', () => {
  test('ends once with what telling threw', async () => {
    const failure = new Error('not told')
    let calls = 0
    const report = (): never => {
      calls += 1
      throw failure
    }
    const work = async (signal: AbortSignal): Promise<void> =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(new Error('given up')), { once: true })
      })

    await expect(whileTelling(report, undefined, work)).rejects.toBe(failure)
    expect(calls).toBe(1)
  })

  test('fails also if the work ends in spite of it', async () => {
    const failure = new Error('not told')
    const report = (): never => {
      throw failure
    }
    const work = async (signal: AbortSignal): Promise<void> =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve(), { once: true })
      })

    await expect(whileTelling(report, undefined, work)).rejects.toBe(failure)
  })

  test.each(['tables', 'vectors'])(
    'rejects with it when the %s are rebuilt',
    async (projection) => {
      await using temporary = await openTemporaryStore({ vectors: { dimensions: 2 } })
      const { store } = temporary
      await store.learn({ content: 'a', embedding: [1, 2] })
      const failure = new Error('not told')
      const onProgress = (): never => {
        throw failure
      }

      await expect(store.rebuild({ projections: [projection], onProgress })).rejects.toBe(failure)
      await store.rebuild({ projections: [projection] })
      expect((await store.verify()).ok).toBe(true)
    }
  )
})

test('what is no function is refused before anything is begun', async () => {
  await using temporary = await openTemporaryStore({ vectors: { dimensions: 2 } })
  const { store, directory } = temporary
  await store.learn({ content: 'a', embedding: [1, 2] })
  const target = await temporaryPath('backup')
  // What a program without types may pass.
  const options = { onProgress: 'no function' as unknown as (progress: Progress) => void }
  const calls: ((options: LongOptions) => Promise<unknown>)[] = [
    async (given) => store.rebuild(given),
    async (given) => store.verify(given),
    async (given) => store.checkVectors(given),
    async (given) => store.backup(target, given),
    async (given) => restore(directory, target, given),
    async (given) => verifyBackup(directory, given),
    async (given) => migrate(directory, { ...given, backup: false })
  ]
  const kinds: string[] = []
  store.telemetry$.subscribe(({ type }) => kinds.push(type))

  for (const call of calls) {
    await expect(call(options)).rejects.toMatchObject({
      code: 'QUERY_INVALID',
      details: { option: 'onProgress', received: 'no function' }
    })
  }

  expect(kinds).not.toContain('rebuild-started')
})
