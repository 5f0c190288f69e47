/** What `events` is asked for: where it begins and ends, and what it refuses. */
import type { EventsOptions, Store } from 'sutra-storage'
import { expect, test } from 'vitest'
import { openTemporaryStore } from '../support/open-store.ts'

async function positions(store: Store, options: EventsOptions): Promise<number[]> {
  const found: number[] = []
  for await (const { position } of store.events(options)) found.push(position)
  return found
}

test('begins at 0 as at 1, and ends behind what was asked for, live or not', async () => {
  await using temporary = await openTemporaryStore()
  const { store } = temporary
  // The head of an empty store is 0: nothing is up to there, and all is from there.
  expect(await positions(store, { to: store.head })).toEqual([])
  expect(await positions(store, { to: store.head, live: true })).toEqual([])
  for (let i = 0; i < 3; i++) await store.learn({ content: `${i}` })
  expect(await positions(store, { from: 0 })).toEqual([1, 2, 3])
  expect(await positions(store, { from: 0, to: 2, live: true })).toEqual([1, 2])
  expect(await positions(store, { to: 0 })).toEqual([])
  expect(await positions(store, { from: 3, to: 2, live: true })).toEqual([])
})

test.each([
  [{ types: [] }],
  [{ types: [], live: true }],
  [{ types: [''] }],
  [{ types: [7] }],
  [{ types: 'concept-learned' }]
])('refuses %j, of which nothing would ever come', async (options) => {
  await using temporary = await openTemporaryStore({ check: false })
  // What a JavaScript program may pass.
  const asked = options as unknown as EventsOptions
  const refused = { code: 'QUERY_INVALID', details: { option: 'types' } }
  await expect(positions(temporary.store, asked)).rejects.toMatchObject(refused)
  expect(() => temporary.store.events$(asked)).toThrow(
    expect.objectContaining({ code: refused.code })
  )
})
