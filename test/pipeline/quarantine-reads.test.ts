/** What `quarantined()` reads of the log: the frames that it tells of, and no others. */
import { open } from 'sutra-storage'
import { expect, test, vi } from 'vitest'
import { LevelLog } from '#sutra/log/level-log.js'
import { temporaryPath } from '../support/temp.ts'

const EVENTS = 60

test('an event in quarantine costs its own frame, and many of one frame cost it once', async () => {
  await using store = await open(await temporaryPath(), { durability: 'os' })
  const contents = Array.from({ length: EVENTS }, (_, i) => `poison ${i}`)
  await store.commit(contents.map((content) => ({ do: 'learn', content })))
  for (let i = 0; i < EVENTS; i++) await store.learn({ content: `${i}` })
  const handler = (event: { data: { content?: unknown } }): void => {
    if (String(event.data.content).startsWith('poison')) throw new Error('cannot')
  }
  const subscription = await store.subscribe('one', { retry: { times: 0 } }, handler)
  await subscription.caughtUp()

  const read = vi.spyOn(LevelLog.prototype, 'read')
  const found: unknown[] = []
  for await (const { position, event, error } of subscription.quarantined()) {
    expect(event?.position).toBe(position)
    expect(error).toBe('Error: cannot')
    found.push(event?.data['content'])
  }
  const asked = read.mock.calls.filter(([, to]) => to !== undefined)
  // The subscription itself looks for what comes next.
  expect(read.mock.calls.length - asked.length).toBeLessThanOrEqual(1)
  read.mockRestore()

  expect(found).toEqual(contents)
  // Each note has a frame of its own.
  expect(asked.length).toBeLessThanOrEqual(EVENTS + 1)
  for (const [from, to] of asked) expect(to).toBe(from)
})
