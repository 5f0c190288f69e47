/** A store that the first release with format 2 wrote still opens, and says what it said then. */
import { cp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { open } from 'sutra-storage'
import { beforeEach, describe, expect, test } from 'vitest'
import { observe } from '../fixtures/observe.ts'
import { framesOf } from '../support/gap.ts'
import { temporaryPath } from '../support/temp.ts'

const FIXTURE = 'test/fixtures/format-2'

interface Expected {
  position: number
  events: { type: string; version: number; data: { key?: string } }[]
}

let directory: string
let expected: Expected

beforeEach(async () => {
  directory = await temporaryPath()
  await cp(join(FIXTURE, 'store'), directory, { recursive: true })
  expected = JSON.parse(await readFile(join(FIXTURE, 'expected.json'), 'utf8')) as Expected
})

describe('a store of format 2', () => {
  test('reads as it read when it was written', async () => {
    await using store = await open(directory)

    expect(await observe(store)).toEqual(expected)
  })

  test('reads the same from its log alone', async () => {
    await rm(join(directory, 'tables'), { recursive: true })
    await rm(join(directory, 'vectors'), { recursive: true })

    await using store = await open(directory)

    expect(await observe(store)).toEqual(expected)
    expect(await store.verify()).toMatchObject({ ok: true, position: expected.position })
  })

  test('takes more, and is whole then', async () => {
    await using store = await open(directory)

    const receipt = await store.learn({ id: { key: 'later' }, content: 'by a later release' })

    expect(receipt.first).toBe(expected.position + 1)
    expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
  })

  test('tells the time of each frame in its header, and never goes back', async () => {
    let last = 0
    for (const { format, time, commits } of await framesOf(directory)) {
      expect(format).toBe(2)
      expect(time).toBe(commits.at(-1)?.time)
      expect(time).toBeGreaterThanOrEqual(last)
      last = time ?? 0
    }
    expect(last).toBeGreaterThan(0)
  })

  test('names the key of what was forgotten', () => {
    const forgotten = expected.events.filter(({ type }) => type === 'concept-forgotten')

    expect(forgotten.map(({ version, data }) => [version, data.key])).toEqual([
      [2, 'lost'],
      [2, 'again']
    ])
  })
})
