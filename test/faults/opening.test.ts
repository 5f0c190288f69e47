/** A store that cannot be opened for now says why: a full disk is no damage. */
import { readdir } from 'node:fs/promises'
import { open, repair } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { run } from '../support/child.ts'
import { copyStore } from '../support/raw.ts'
import { temporaryPath } from '../support/temp.ts'
import { EIO, ENOSPC, faultEnv, shim } from './shim.ts'

const missing = 'missing' in shim ? shim.missing : undefined

describe.skipIf(missing !== undefined)(`opening ${missing ?? ''}`, () => {
  test.each([ENOSPC, EIO])('tells of errno %i, and works once it is gone', async (errno) => {
    const directory = await temporaryPath()
    const store = await open(directory)
    for (let n = 0; n < 20; n++) await store.learn({ content: `Concept ${n}` })
    // As after a kill: LevelDB makes a table file of its write-ahead file when it opens.
    const copy = await copyStore(directory, `killed-${errno}`)
    await store.close()
    const fault = { path: `${copy}/log`, end: '.ldb', op: 'any', at: 1, count: 1000, errno }

    const { lines } = await run('faults/opener.mjs', [copy], faultEnv(fault))

    expect(lines).toMatchObject([{ code: 'IO_FAILED', details: { operation: 'open' } }])
    await using again = await open(copy)
    expect(again.head).toBe(20)
  })

  test.each(['opener', 'repairer'])(
    'is no damage where HEAD cannot be read for now (%s)',
    async (name) => {
      const directory = await temporaryPath()
      {
        await using store = await open(directory)
        for (let n = 0; n < 20; n++) await store.learn({ content: `Concept ${n}` })
      }
      for (let at = 1; at < 4; at++) {
        const fault = { path: `${directory}/HEAD`, op: 'pread', at, count: 1, errno: EIO }
        const child = name === 'opener' ? 'faults/opener.mjs' : 'damage/repairer.mjs'

        const { lines } = await run(child, [directory], faultEnv(fault))

        const operation = name === 'opener' ? 'open' : 'repair'
        const refused = { code: 'IO_FAILED', details: { operation } }
        // It may not be read so often.
        const [line] = lines as { code?: string; changed?: boolean }[]
        if (line?.code === undefined) expect(line?.changed ?? false).toBe(false)
        else expect(line).toMatchObject(refused)
        if (at === 1) expect(line).toMatchObject(refused)
      }
      await using again = await open(directory)
      expect(again.head).toBe(20)
    }
  )

  test.each([
    ['once, and goes on', 1],
    ['for good, and says why', 1000]
  ])('takes a write of HEAD that is cut short (%s)', async (_, count) => {
    const directory = await temporaryPath()
    const short = { op: 'pwrite', at: 1, count, errno: ENOSPC, partial: true }

    const { lines } = await run(
      'faults/opener.mjs',
      [directory],
      faultEnv({ path: directory, ...short })
    )

    if (count === 1) expect(lines).toMatchObject([{ head: 0 }])
    else expect(lines).toMatchObject([{ code: 'IO_FAILED', details: { operation: 'open' } }])
    await using again = await open(directory)
    expect(again.head).toBe(0)
  })

  test.each([ENOSPC, EIO])(
    'is told by repair too, which leaves a whole log: errno %i',
    async (errno) => {
      const directory = await temporaryPath()
      const store = await open(directory)
      for (let n = 0; n < 20; n++) await store.learn({ content: `Concept ${n}` })
      const copy = await copyStore(directory, `killed-${errno}`)
      await store.close()
      const fault = { path: `${copy}/log`, end: '.ldb', op: 'any', at: 1, count: 1000, errno }

      const { lines } = await run('damage/repairer.mjs', [copy], faultEnv(fault))

      expect(lines).toMatchObject([{ code: 'IO_FAILED', details: { operation: 'repair' } }])
      expect((await readdir(copy)).filter((name) => /damaged|repaired/.test(name))).toEqual([])
      expect(await repair(copy)).toMatchObject({ changed: false })
      await using again = await open(copy)
      expect(again.head).toBe(20)
    }
  )
})
