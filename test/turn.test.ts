import { setImmediate as loop } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { turn, urgentTurn } from '#sutra/turn.js'

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

test('an urgent stretch goes ahead of others, and lets one of them in between two', async () => {
  const ran: string[] = []
  const stretch = async (wait: () => Promise<void>, name: string) => {
    await wait()
    ran.push(name)
  }
  await Promise.all([
    ...['a', 'b'].map(async (name) => stretch(turn, name)),
    ...['1', '2', '3'].map(async (name) => stretch(urgentTurn, name))
  ])

  expect(ran.join('')).toMatch(/^(1a2b3|a1b23)$/)
})
