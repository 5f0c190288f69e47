import { setImmediate as loop } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { turn } from '#sutra/turn.js'

test('of all stretches that wait, one runs in each turn of the event loop, in order', async () => {
  const ran: string[] = []
  const stretch = async (name: string) => {
    await turn()
    ran.push(name)
    await turn()
    ran.push(name)
  }
  const all = Promise.all([stretch('a'), stretch('b'), stretch('c')])

  const counts: number[] = []
  while (ran.length < 6) {
    const before = ran.length
    await loop()
    counts.push(ran.length - before)
  }
  await all

  expect(Math.max(...counts)).toBe(1)
  expect(ran).toEqual(['a', 'b', 'c', 'a', 'b', 'c'])
})
