/** A store that the first release wrote still opens, and says what it said then. */
import { readFileSync } from 'node:fs'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open, type Store } from 'sutra-storage'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { NOTED, NOTED_NOTHING, observe } from '../fixtures/observe.ts'

const FIXTURE = 'test/fixtures/format-1'
const expected = JSON.parse(readFileSync(join(FIXTURE, 'expected.json'), 'utf8')) as Expected

interface Expected {
  position: number
  events: { type: string; commit: { first: number; last: number }; subject?: string }[]
}

let directory: string
let store: Store | undefined

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sutra-format-1-'))
  await cp(join(FIXTURE, 'store'), directory, { recursive: true })
})

afterEach(async () => {
  await store?.close()
  store = undefined
  await rm(directory, { recursive: true, force: true })
})

describe('a store of format 1', () => {
  test('reads as it read when it was written', async () => {
    store = await open(directory)

    expect(await observe(store)).toEqual(expected)
  })

  test('reads the same from its log alone', async () => {
    await rm(join(directory, 'tables'), { recursive: true })
    await rm(join(directory, 'vectors'), { recursive: true })

    store = await open(directory)

    expect(await observe(store)).toEqual(expected)
    expect(await store.verify()).toMatchObject({ ok: true, position: expected.position })
  })

  test('reads the same when it is opened read-only, once its tables are made anew', async () => {
    await expect(open(directory, { readOnly: true })).rejects.toMatchObject({
      code: 'TABLES_DAMAGED',
      details: { reason: expect.stringContaining('layout 1') }
    })
    await (await open(directory)).close()
    store = await open(directory, { readOnly: true })

    expect(await observe(store)).toEqual(expected)
  })

  test('takes more, and is whole then', async () => {
    store = await open(directory)

    const receipt = await store.learn({ id: { key: 'later' }, content: 'by a later release' })
    await store.close()
    store = await open(directory)

    expect(receipt.first).toBe(expected.position + 1)
    expect(await store.get({ key: 'later' })).toMatchObject({ content: 'by a later release' })
    expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
  })

  // The digest of the commands is in the log: code that computes it otherwise breaks retries.
  test('knows commits again by their idempotency keys', async () => {
    store = await open(directory)

    const noted = await store.commit(NOTED.commands, NOTED.options)
    const nothing = await store.commit(NOTED_NOTHING.commands, NOTED_NOTHING.options)

    const commits = expected.events.filter(({ subject }) => subject === NOTED.options.subject)
    const { first, last } = commits[0]?.commit ?? {}
    expect(noted).toMatchObject({ outcome: 'duplicate', first, last })
    expect(noted.results).toHaveLength(NOTED.commands.length)
    expect(nothing.outcome).toBe('duplicate')
    expect(store.head).toBe(expected.position)
  })

  test('refuses an idempotency key that comes with other commands', async () => {
    store = await open(directory)

    const other = store.commit(NOTED.commands.slice(1), NOTED.options)

    await expect(other).rejects.toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' })
    expect(store.head).toBe(expected.position)
  })

  test('holds an event of every type', () => {
    const types = new Set(expected.events.map(({ type }) => type))

    expect([...types].sort()).toEqual([
      'association-created',
      'association-reinforced',
      'association-removed',
      'association-revised',
      'commit-noted',
      'concept-forgotten',
      'concept-learned',
      'concept-reinforced',
      'concept-revised',
      'vectors-declared'
    ])
  })
})
