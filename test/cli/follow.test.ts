import { EventEmitter, once } from 'node:events'
import { type Command, open, type StoredEvent } from 'sutra-storage'
import { expect, onTestFinished, test } from 'vitest'
import { follow } from '#sutra/cli/follow.js'
import { Session } from '#sutra/cli/session.js'
import { temporaryPath } from '../support/temp.ts'

/** More than is read at once, twice. */
const EVENTS = 9000
const PAUSES = [1, 5000]

test('a reader that pauses keeps nobody from opening the store', async () => {
  const dir = await temporaryPath()
  const written = await open(dir, { durability: 'os' })
  for (let n = 0; n < EVENTS; n += 1000) await written.commit(learn(1000))
  await written.close()
  const session = new Session()
  onTestFinished(() => session.end())
  const taken: number[] = []
  const reader = new EventEmitter()
  const take = async ({ position }: StoredEvent): Promise<void> => {
    taken.push(position)
    if (!PAUSES.includes(position)) return
    const goesOn = once(reader, 'goes on')
    reader.emit('paused')
    await goesOn
  }

  let paused = once(reader, 'paused')
  // To an event that is committed while it reads.
  const to = EVENTS + PAUSES.length
  const following = follow(session, { dir }, async () => ({ to }), take)
  for (const at of PAUSES) {
    await paused
    paused = once(reader, 'paused')
    await using opened = await open(dir)
    await opened.learn({ content: `while it was at ${at}` })
    reader.emit('goes on')
    // It hands on what it had read, and no more while another process has the store.
    await expect.poll(() => taken.length).toBeGreaterThan(at)
  }
  await following

  expect(taken).toEqual(Array.from({ length: to }, (_, n) => n + 1))
})

function learn(count: number): Command[] {
  return Array.from({ length: count }, (_, n) => ({ do: 'learn', content: `${n}` }))
}
