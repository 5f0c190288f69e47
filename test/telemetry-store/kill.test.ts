/** A process that is killed takes the last moments of its telemetry with it, and no more. */
import { setTimeout as sleep } from 'node:timers/promises'
import { open, readTelemetry } from 'sutra-storage'
import { expect, test } from 'vitest'
import { Child } from '../support/child.ts'
import { Random } from '../support/random.ts'
import { temporaryPath } from '../support/temp.ts'
import { sumOf, toArray } from './support.ts'

/** It writes once a second, on a machine that may be busy. */
const LOST_MS = 4000
const ROUNDS = Number(process.env['SUTRA_TELEMETRY_KILLS'] ?? 1)
const timeout = ROUNDS * 60_000

async function reopened(directory: string): Promise<{ head: number; sum: number; opened: number }> {
  // The next owner writes what it finds in WINDOW.
  const store = await open(directory, { telemetry: { store: true } })
  const { head } = store
  await store.close()
  const kept = await toArray(readTelemetry(directory))
  const opened = kept.filter(({ type }) => type === 'opened').length
  return { head, sum: sumOf(kept, 'commit'), opened }
}

test('kill -9 in the middle loses at most the last moments, and counts nothing twice', {
  timeout
}, async () => {
  const random = new Random()
  const directory = await temporaryPath()
  let safe = 0
  for (let round = 1; round <= ROUNDS; round++) {
    const child = new Child('telemetry-store/keeper.mjs', [directory, '60000'])
    await child.line('acknowledged')
    await sleep(LOST_MS + 1000 + 2500 * random.next())
    const { lines } = await child.kill()
    const counts = lines.filter((line) => 'acknowledged' in line)
    const end = Number(counts.at(-1)?.['at']) - LOST_MS
    safe += Number(counts.filter(({ at }) => Number(at) <= end).at(-1)?.['acknowledged'] ?? 0)
    // Each commit is one event.
    const { head, sum, opened } = await reopened(directory)
    expect(sum, `seed ${random.seed}, round ${round}`).toBeGreaterThanOrEqual(safe)
    expect(sum, `seed ${random.seed}, round ${round}`).toBeLessThanOrEqual(head)
    expect(opened).toBe(2 * round)
  }
  expect(safe).toBeGreaterThan(0)
})

test('kill -9 behind a few quiet seconds loses nothing, though the window is open', {
  timeout
}, async () => {
  const directory = await temporaryPath()
  let acknowledged = 0
  for (let round = 1; round <= ROUNDS; round++) {
    const child = new Child('telemetry-store/keeper.mjs', [directory, '1000'])
    await child.line('quiet')
    await sleep(LOST_MS)
    const { lines } = await child.kill()
    const counts = lines.filter((line) => 'acknowledged' in line)
    acknowledged += Number(counts.at(-1)?.['acknowledged'])
    expect(await reopened(directory)).toEqual({
      head: acknowledged,
      sum: acknowledged,
      opened: 2 * round
    })
  }
})
