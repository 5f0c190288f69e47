/** A program that waits for the store lives on, though it has nothing else to do. */
import { expect, test } from 'vitest'
import { run } from '../support/child.ts'
import { temporaryPath } from '../support/temp.ts'

// On a machine that stalls, the batch may be on its way before the writer comes: then it proves nothing.
test('a writer who waits while vectors gather for a batch is answered', { retry: 3 }, async () => {
  const { code, lines, stderr } = await run('vectors/lone-waiter.mjs', [
    await temporaryPath(),
    'gathering'
  ])

  expect(lines, stderr).toEqual([{ waited: true, outcome: 'appended' }])
  expect(code).toBe(0)
})

test('a writer who waits for the next attempt of a build is told how it went', async () => {
  const { code, lines, stderr } = await run('vectors/lone-waiter.mjs', [
    await temporaryPath(),
    'resting'
  ])

  expect(lines, stderr).toEqual([
    { stopped: 'PROJECTION_STOPPED' },
    { waited: true, outcome: 'PROJECTION_STOPPED' }
  ])
  expect(code).toBe(0)
})
