/** Every error code of the store is met here, and leaves behind what was there before. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { open, type Store } from 'sutra-storage'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ATTACHING } from './errors/attach.ts'
import { BACKUPS } from './errors/backups.ts'
import type { ErrorCase } from './errors/case.ts'
import { COMMANDS } from './errors/commands.ts'
import { OPENINGS } from './errors/openings.ts'
import { PROJECTIONS } from './errors/projections.ts'
import { QUERIES } from './errors/queries.ts'
import { STATES } from './errors/states.ts'
import { expectError, STORIES } from './errors/stories.ts'
import { SUBSCRIPTIONS } from './errors/subscriptions.ts'
import { VALUES } from './errors/values.ts'
import { look, type Seen, sampleStore } from './support/sample.ts'
import { lastingPath } from './support/temp.ts'

const CALLS = [...COMMANDS, ...VALUES, ...STATES, ...QUERIES]
const TOLD = [...STORIES, ...BACKUPS, ...SUBSCRIPTIONS, ...PROJECTIONS, ...ATTACHING]
const ALL: ErrorCase[] = [...CALLS, ...OPENINGS, ...TOLD]

test('every code of the source is met by a test', () => {
  const source = readFileSync(fileURLToPath(new URL('../src/errors.ts', import.meta.url)), 'utf8')
  const [, interfaceText = ''] = source.split('export interface StoreErrorDetails {')
  const codes = [...(interfaceText.split('\n}')[0] ?? '').matchAll(/^ {2}([A-Z_]+):/gm)]

  expect(codes.length).toBeGreaterThan(30)
  expect([...new Set(ALL.map(({ code }) => code))].sort()).toEqual(
    codes.map(([, code]) => code).sort()
  )
})

describe('a call that is refused changes nothing', () => {
  let store: Store
  let before: Seen

  beforeAll(async () => {
    const sample = await sampleStore(await lastingPath())
    before = sample.before
    store = await open(sample.directory)
  })
  afterAll(async () => {
    await store.close()
  })

  test.each(CALLS.filter(({ options }) => options === undefined))(
    '$code when $when',
    async (expected) => {
      const state = await stateOf(store)

      await expectError((async () => expected.act(store))(), expected)

      expect(await stateOf(store)).toEqual(state)
    }
  )

  test('and the store goes on as if nothing had been asked', async () => {
    expect(await look(store)).toEqual(before)
    await store.learn({ content: 'Welcome' })
    await store.caughtUp()
    expect(await store.verify()).toMatchObject({ ok: true, position: before.position + 1 })
  })
})

describe('a call that is refused under other options changes nothing', () => {
  test.each(CALLS.filter(({ options }) => options !== undefined))(
    '$code when $when',
    async (expected) => {
      const { directory, before } = await sampleStore()
      await using store = await open(directory, expected.options)

      await expectError((async () => expected.act(store))(), expected)

      expect(await look(store)).toEqual(before)
    }
  )
})

describe('an opening that is refused changes nothing', () => {
  test.each(OPENINGS)('$code when $when', async (expected) => {
    const { directory } = await sampleStore()
    const options = await expected.arrange(directory)

    await expectError(open(directory, options), expected)

    // The refusal stands: nothing was repaired, removed or taken in the first attempt.
    await expectError(open(directory, options), expected)
  })

  test('an option that is refused leaves the store as it was', async () => {
    const { directory, before } = await sampleStore()
    for (const { arrange } of OPENINGS.filter(({ code }) => /^(OPTION|MODEL)/.test(code))) {
      await expect(open(directory, await arrange(directory))).rejects.toThrow()
    }

    await using store = await open(directory)

    expect(await look(store)).toEqual(before)
  })
})

describe('a code that needs a story', () => {
  test.each(TOLD)('$code when $when', async (expected) => {
    await expected.tell(expected)
  })
})

async function stateOf(store: Store): Promise<object> {
  return { head: store.head, hash: await store.stateHash(), counts: await store.counts() }
}
