/** What verify does to a store in use, beside telling what is wrong with it. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { open, type Store } from 'sutra-storage'
import { expect, test } from 'vitest'
import { PREFIX } from '#sutra/projections/tables/keys.js'
import { openRow, sealRow } from '#sutra/projections/tables/rows.js'
import { changeRow, flipped, rowsOf, tablesOf } from '../support/raw.ts'
import { look, sampleStore } from '../support/sample.ts'

test('a row that is sound by itself but does not follow from the log is found', async () => {
  const { directory } = await sampleStore()
  const [key, value] = await lastRow(directory, PREFIX.id)
  const payload = openRow(key, value)
  await changeRow(await tablesOf(directory), key, sealRow(key, flipped(payload, 0)))
  await using store = await open(directory)

  const { ok, problems } = await store.verify()

  expect(ok).toBe(false)
  const reason = `row i:${key.toString('hex', 1)} differs from the one rebuilt from the log`
  expect(problems).toEqual([{ part: 'tables', reason }])
  await expectNothingAside(directory)
})

test('a damaged row is told as a problem, and what is projected meanwhile ends', async () => {
  const { directory } = await sampleStore()
  const [key, value] = await lastRow(directory, PREFIX.typeMember)
  await changeRow(await tablesOf(directory), key, flipped(value, value.length - 1))
  await using store = await open(directory)

  const { problems } = await store.verify()

  const reason = expect.stringContaining(key.toString('hex'))
  expect(problems).toEqual([{ part: 'tables', reason }])
  await expectNothingAside(directory)
})

test.each(['log files', 'log', 'table files', 'tables'])(
  'aborted while it looks at the %s, it leaves nothing behind and can be done again',
  async (phase) => {
    const { directory, before } = await sampleStore()
    await using store = await open(directory)

    const aborted = verifyUntil(store, phase)

    await expect(aborted).rejects.toMatchObject({ code: 'ABORTED' })
    await expectNothingAside(directory)
    expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
    expect(await look(store)).toEqual(before)
  }
)

test('closing ends it, and waits until nothing of it is left', async () => {
  const { directory, before } = await sampleStore()
  const store = await open(directory)
  let closing: Promise<void> | undefined
  const ended = store.verify({
    onProgress({ phase }) {
      if (phase === 'tables') closing ??= store.close()
    }
  })

  await expect(ended).rejects.toMatchObject({ code: 'ABORTED' })
  await closing

  await expectNothingAside(directory)
  await using again = await open(directory)
  expect(await look(again)).toEqual(before)
})

async function verifyUntil(store: Store, last: string): Promise<void> {
  const controller = new AbortController()
  await store.verify({
    signal: controller.signal,
    onProgress({ phase }) {
      if (phase === last) controller.abort()
    }
  })
}

async function lastRow(directory: string, prefix: number): Promise<[Buffer, Buffer]> {
  const row = (await rowsOf(await tablesOf(directory), prefix)).at(-1)
  if (row === undefined) throw new Error('There is no such row')
  return row
}

/** CURRENT and the live generation are all there is. */
async function expectNothingAside(directory: string): Promise<void> {
  expect(await readdir(join(directory, 'tables'))).toHaveLength(2)
}
