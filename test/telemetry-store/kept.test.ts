/** Telemetry that is kept: what was told comes back, by time and kind, and goes when it is old. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { attach, isStoreError, open, readTelemetry, type TelemetryEvent } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { bytesBelow, segmentName } from '#sutra/telemetry-store/layout.js'
import { temporaryPath } from '../support/temp.ts'
import { all, failing, sumOf, toArray, untilStored } from './support.ts'

const KEPT = { telemetry: { store: { summaryMs: 1000 } } } as const
const DAY_MS = 24 * 60 * 60 * 1000
/** Kinds that are summed up, and statistics, of which not all are kept. */
const NOT_WHOLE =
  /^(commit|group-commit|batch-applied|projection-lag|query|path|metrics|slow-operation)$/

function segmentsOf(directory: string): string[] {
  const names = readdirSync(join(directory, 'telemetry'))
  return names.filter((name) => /^\d{8}T\d{9}Z$/.test(name)).sort()
}

describe('what is kept', () => {
  test('is what was told: rare events as they were, frequent ones as sums, in order', async () => {
    const directory = await temporaryPath()
    const told: TelemetryEvent[] = []
    const store = await open(directory, KEPT)
    store.telemetry$.subscribe((event) => told.push(event))
    for (let i = 0; i < 40; i++)
      await store.learn({ id: { key: `c${i}` }, content: `Concept ${i}` })
    await store.get({ key: 'c1' })
    await failing(store)
    await store.rebuild()
    await store.close()

    const kept = await toArray(readTelemetry(directory))
    const whole = (events: readonly TelemetryEvent[]): TelemetryEvent[] =>
      events.filter(({ type }) => !NOT_WHOLE.test(type) && type !== 'summary')
    // Of one millisecond, they may be told in another order.
    const inOrder = (events: TelemetryEvent[]): TelemetryEvent[] =>
      events.sort((a, b) => a.time - b.time || a.type.localeCompare(b.type))
    expect(inOrder(whole(kept))).toEqual(inOrder(whole(told)))
    expect(whole(kept).map(({ type }) => type)).toEqual(
      expect.arrayContaining(['opened', 'recovery', 'commit-failed', 'rebuilt', 'closed'])
    )
    expect(sumOf(kept, 'commit')).toBe(40)
    expect(sumOf(kept, 'query')).toBe(told.filter(({ type }) => type === 'query').length)
    const batches = told.filter(({ type }) => type === 'batch-applied').length
    expect(sumOf(kept, 'batch-applied')).toBe(batches)
    const times = kept.map(({ time }) => time)
    expect(times).toEqual([...times].sort((a, b) => a - b))
  })

  test('stays through openings, with the option or without it', async () => {
    const directory = await temporaryPath()
    for (let i = 0; i < 3; i++) await (await open(directory, KEPT)).close()
    expect(segmentsOf(directory)).toHaveLength(1)
    await using store = await open(directory)
    expect(store.stats().telemetry).toBeUndefined()
    expect(await all(store, { types: ['opened'] })).toHaveLength(3)
    expect(await all(store, { types: ['closed'] })).toHaveLength(3)
  })

  test('is found by time and kind', async () => {
    const directory = await temporaryPath()
    await (await open(directory, KEPT)).close()
    const between = Date.now() + 1
    await new Promise((resolve) => setTimeout(resolve, 5))
    await using store = await open(directory, KEPT)
    await store.learn({ content: 'One' })
    await failing(store)
    // The window closes behind its second.
    await untilStored(store, 4)
    const types = async (options: Parameters<typeof all>[1]): Promise<string[]> =>
      (await all(store, options)).map(({ type }) => type)

    expect(await types({ types: ['opened'] })).toHaveLength(2)
    expect(await types({ types: ['opened'], since: between })).toHaveLength(1)
    expect(await types({ types: ['opened'], until: new Date(between) })).toHaveLength(1)
    expect(await types({ types: ['opened'], since: between, until: between })).toEqual([])
    expect(await types({ types: ['opened', 'closed'], limit: 2 })).toEqual(['opened', 'closed'])
    // A name stands for what begins with it; sums are found by what they sum up.
    expect(new Set(await types({ types: ['commit'] }))).toEqual(
      new Set(['summary', 'commit-failed'])
    )
    expect(await types({ types: ['commit-failed'] })).toEqual(['commit-failed'])
    expect(new Set(await types({ types: ['summary'] }))).toEqual(new Set(['summary']))
    expect(await types({ since: Date.now() + DAY_MS })).toEqual([])
  })

  test('is followed without a gap or a double, until the store closes', async () => {
    const store = await open(await temporaryPath(), KEPT)
    const followed: TelemetryEvent[] = []
    const following = (async () => {
      const events = store.storedTelemetry({ types: ['commit-failed'], live: true })
      for await (const event of events) followed.push(event)
    })()
    for (let i = 1; i <= 5; i++) {
      await failing(store)
      await expect.poll(() => followed.length, { timeout: 10_000 }).toBe(i)
    }
    await store.close()
    await following
    expect(followed).toHaveLength(5)
  })

  test('ends at a signal', async () => {
    await using store = await open(await temporaryPath(), KEPT)
    const controller = new AbortController()
    const reading = toArray(store.storedTelemetry({ live: true, signal: controller.signal }))
    setTimeout(() => controller.abort(), 1500)
    await expect(reading).rejects.toMatchObject({ code: 'ABORTED' })
    await expect(all(store, { signal: controller.signal })).rejects.toMatchObject({
      code: 'ABORTED'
    })
  })

  test('is asked for by names and values that make sense', async () => {
    await using store = await open(await temporaryPath(), KEPT)
    for (const [option, value] of Object.entries({
      since: ['yesterday', Number.NaN, null, new Date('never')],
      until: ['now', Number.POSITIVE_INFINITY],
      types: ['alert', [1], [''], ['nope'], ['opened', 'comm']],
      limit: [0, 1.5, '1'],
      live: [1],
      onUnreadable: [true],
      from: [1]
    })) {
      for (const one of value) {
        const asked = all(store, { [option]: one } as object)
        await expect(asked, `${option}: ${String(one)}`).rejects.toMatchObject({
          code: 'QUERY_INVALID',
          details: { option }
        })
      }
    }
  })
})

describe('who may read', () => {
  test('nobody beside its owner, but through it', async () => {
    const directory = await temporaryPath()
    const store = await open(directory, { ...KEPT, attach: true })
    await untilStored(store, 2)
    await expect(toArray(readTelemetry(directory))).rejects.toMatchObject({ code: 'STORE_LOCKED' })
    const attached = await attach(directory)
    const since = new Date(Date.now() - DAY_MS)
    expect(await all(attached, { types: ['opened'], since })).toEqual(
      await all(store, { types: ['opened'] })
    )
    await expect(all(attached, { limit: 0 })).rejects.toMatchObject({ code: 'QUERY_INVALID' })
    const following = toArray(attached.storedTelemetry({ live: true, types: ['commit-failed'] }))
    await failing(store)
    await untilStored(store, 3)
    await store.close()
    // Hanging up may cut off the last words; what was written before is there.
    expect((await following).length).toBeLessThanOrEqual(1)
    await attached.close()
    expect((await toArray(readTelemetry(directory, { types: ['opened'] }))).length).toBe(1)
  })

  test('a store that is opened while somebody reads goes on beside that', async () => {
    const directory = await temporaryPath()
    await (await open(directory, KEPT)).close()
    const reading = readTelemetry(directory)[Symbol.asyncIterator]()
    expect((await reading.next()).value).toMatchObject({ v: 1 })
    const store = await open(directory, KEPT)
    await untilStored(store, 2)
    await reading.return?.()
    expect(segmentsOf(directory)).toHaveLength(2)
    expect(await all(store, { types: ['opened'] })).toHaveLength(2)
    await store.close()
  })

  test('of a store that keeps none, or of no store, nothing is read', async () => {
    const directory = await temporaryPath()
    await expect(toArray(readTelemetry(directory))).rejects.toMatchObject({
      code: 'STORE_NOT_FOUND'
    })
    await using store = await open(directory)
    await expect(all(store)).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' })
    expect(existsSync(join(directory, 'telemetry'))).toBe(false)
    expect(() => readTelemetry('')).toThrow(TypeError)
  })

  test('a store that is open for reading alone reads and keeps nothing', async () => {
    const directory = await temporaryPath()
    await (await open(directory, KEPT)).close()
    for (let i = 0; i < 2; i++) {
      await using store = await open(directory, { ...KEPT, readOnly: true })
      expect(await all(store, { types: ['opened'] })).toHaveLength(1)
      expect(store.stats().telemetry).toBeUndefined()
    }
  })

  test('a closed store tells so', async () => {
    const store = await open(await temporaryPath(), KEPT)
    await untilStored(store, 2)
    const reading = store.storedTelemetry()[Symbol.asyncIterator]()
    await reading.next()
    await store.close()
    expect(() => store.storedTelemetry()).toThrow(expect.objectContaining({ code: 'STORE_CLOSED' }))
    await reading.return?.()
  })
})

describe('where it is kept', () => {
  test('may be chosen, and is not the directory of a store', async () => {
    const directory = await temporaryPath()
    const other = await temporaryPath('elsewhere')
    const store = await open(directory, { telemetry: { store: { directory: other } } })
    await untilStored(store, 2)
    expect(existsSync(join(directory, 'telemetry'))).toBe(false)
    await store.close()
    expect(await toArray(readTelemetry(other, { types: ['opened'] }))).toHaveLength(1)
    const same = open(directory, { telemetry: { store: { directory } } })
    await expect(same).rejects.toMatchObject({ code: 'OPTION_INVALID' })
    for (const wrong of [
      7,
      'yes',
      { keepMs: 1 },
      { maxBytes: 1 },
      { directory: '' },
      { days: 7 }
    ]) {
      const opened = open(directory, { telemetry: { store: wrong } } as object)
      await expect(opened, JSON.stringify(wrong)).rejects.toMatchObject({ code: 'OPTION_INVALID' })
    }
  })

  test('is no part of the store: it is neither verified nor backed up, and outlives repair', async () => {
    const directory = await temporaryPath()
    const backup = await temporaryPath('backup')
    const store = await open(directory, KEPT)
    await store.learn({ content: 'Kept' })
    expect((await store.verify()).ok).toBe(true)
    await store.backup(backup)
    await store.close()
    expect(readdirSync(backup)).not.toContain('telemetry')
    expect(await toArray(readTelemetry(directory, { types: ['opened'] }))).toHaveLength(1)
  })

  test('two stores that share a place: the second goes on without', async () => {
    const place = await temporaryPath('shared')
    const options = { telemetry: { store: { directory: place } } }
    await using first = await open(await temporaryPath(), options)
    await untilStored(first, 2)
    await using second = await open(await temporaryPath(), options)
    const told: TelemetryEvent[] = []
    second.telemetry$.subscribe((event) => told.push(event))
    await expect
      .poll(() => second.stats().telemetry?.error, { timeout: 10_000 })
      .toContain('owned by process')
    await second.learn({ content: 'Goes on' })
    expect(second.head).toBe(1)
    expect(told.filter(({ type }) => type === 'telemetry-store-failed').length).toBeLessThanOrEqual(
      1
    )
  })
})

test('what is kept stays when all else of a store is lost', async () => {
  const directory = await temporaryPath()
  await (await open(directory, KEPT)).close()
  for (const name of readdirSync(directory)) {
    if (name !== 'telemetry') rmSync(join(directory, name), { recursive: true })
  }
  await using store = await open(directory)
  expect(await all(store, { types: ['opened'] })).toHaveLength(1)
})

describe('what is old', () => {
  test('is removed by whole segments, but not what somebody reads', async () => {
    const directory = await temporaryPath()
    const kept = join(directory, 'telemetry')
    await (await open(directory, KEPT)).close()
    const [first = ''] = segmentsOf(directory)
    const old = segmentName(Date.now() - 9 * DAY_MS)
    const older = segmentName(Date.now() - 10 * DAY_MS)
    renameSync(join(kept, first), join(kept, older))
    await using store = await open(directory, KEPT)
    await untilStored(store, 2)
    // Its successor begins now: what it holds may be as young.
    expect(segmentsOf(directory)).toHaveLength(2)
    expect(await all(store, { types: ['opened'] })).toHaveLength(2)
    await store.close()

    const [, second = ''] = segmentsOf(directory)
    renameSync(join(kept, second), join(kept, old))
    // Half removed by a process that died, and something that is none of ours.
    mkdirSync(join(kept, `${segmentName(0)}.removed`, 'log'), { recursive: true })
    writeFileSync(join(kept, 'notes.removed'), 'Mine')
    const again = await open(directory, KEPT)
    await untilStored(again, 2)
    expect(segmentsOf(directory)).not.toContain(older)
    expect(readdirSync(kept).filter((name) => name.endsWith('.removed'))).toEqual(['notes.removed'])
    const { bytes, oldest, segments, error } = again.stats().telemetry ?? {}
    expect({ segments, error }).toEqual({ segments: 2, error: undefined })
    expect(oldest).toBeLessThan(Date.now() - 8 * DAY_MS)
    expect(bytes).toBeGreaterThan(0)
    await again.close()
  })

  test('is removed when it is too much, the oldest first', async () => {
    const directory = await temporaryPath()
    const kept = join(directory, 'telemetry')
    const options = { telemetry: { store: { summaryMs: 1000, maxBytes: 8 * 1024 * 1024 } } }
    await (await open(directory, options)).close()
    // A segment counts with all that lies in it.
    const [first = ''] = segmentsOf(directory)
    writeFileSync(join(kept, first, 'log', 'ballast'), Buffer.alloc(9 * 1024 * 1024))
    await using store = await open(directory, options)
    await untilStored(store, 2)
    expect(segmentsOf(directory)).not.toContain(first)
    expect(await bytesBelow(kept)).toBeLessThan(8 * 1024 * 1024)
    expect(await all(store, { types: ['opened'] })).toHaveLength(1)
  })
})

test('a segment that is large enough is followed by another, and both are read', async () => {
  const directory = await temporaryPath()
  const kept = join(directory, 'telemetry')
  const options = { telemetry: { store: { summaryMs: 1000, maxBytes: 8 * 1024 * 1024 } } }
  await using store = await open(directory, options)
  await untilStored(store, 2)
  const [first = ''] = segmentsOf(directory)
  writeFileSync(join(kept, first, 'log', 'ballast'), Buffer.alloc(2 * 1024 * 1024))
  // It looks every ten seconds.
  await expect.poll(() => segmentsOf(directory).length, { timeout: 40_000 }).toBe(2)
  await failing(store)
  await expect
    .poll(async () => (await all(store, { types: ['commit-failed'] })).length, { timeout: 10_000 })
    .toBe(1)
  expect(await all(store, { types: ['opened'] })).toHaveLength(1)
  expect(store.stats().telemetry).toMatchObject({ segments: 2, dropped: 0 })
})

test('a segment whose maker died before it was a store is made again, or passed over', async () => {
  const directory = await temporaryPath()
  const kept = join(directory, 'telemetry')
  await (await open(directory, KEPT)).close()
  const [older, newer] = [segmentName(Date.now() - DAY_MS), segmentName(Date.now() + 1)]
  for (const name of [older, newer]) mkdirSync(join(kept, name, 'tables'), { recursive: true })
  await (await open(directory, KEPT)).close()
  expect(segmentsOf(directory)).toHaveLength(3)
  expect(await toArray(readTelemetry(directory, { types: ['opened'] }))).toHaveLength(2)
})

describe('what is damaged', () => {
  test('is set aside and told, and does not keep the store from opening', async () => {
    const directory = await temporaryPath()
    await (await open(directory, KEPT)).close()
    const [first = ''] = segmentsOf(directory)
    truncateSync(join(directory, 'telemetry', first, 'FORMAT'), 0)
    await using store = await open(directory, KEPT)
    await untilStored(store, 3)
    expect(readdirSync(join(directory, 'telemetry'))).toContain(`${first}.damaged`)
    expect(await all(store, { types: ['damage-found'] })).toMatchObject([
      { part: 'telemetry', reason: expect.stringContaining(first) }
    ])
    expect(store.stats().telemetry).toMatchObject({ segments: 2 })
  })

  test('is passed over by a reader that wants to be told, and ends the reading of others', async () => {
    const directory = await temporaryPath()
    const kept = join(directory, 'telemetry')
    await (await open(directory, KEPT)).close()
    const [first = ''] = segmentsOf(directory)
    const old = segmentName(Date.now() - 5 * DAY_MS)
    renameSync(join(kept, first), join(kept, old))
    const store = await open(directory, { ...KEPT, attach: true })
    await untilStored(store, 2)
    truncateSync(join(kept, old, 'FORMAT'), 0)
    await using attached = await attach(directory)
    for (const source of [store, attached]) {
      await expect(all(source)).rejects.toMatchObject({ code: 'STORE_DAMAGED' })
      const passed: string[] = []
      const onUnreadable = (segment: string, error: Error): void => {
        if (isStoreError(error, 'STORE_DAMAGED')) passed.push(segment)
      }
      expect(await all(source, { types: ['opened'], onUnreadable })).toHaveLength(1)
      expect(passed).toEqual([old])
    }
    await store.close()
  })

  test('what cannot be kept is told and counted, and the store goes on', async () => {
    const directory = await temporaryPath()
    await (await open(directory)).close()
    writeFileSync(join(directory, 'telemetry'), 'in the way')
    await using store = await open(directory, KEPT)
    const told: TelemetryEvent[] = []
    store.telemetry$.subscribe((event) => told.push(event))
    await store.learn({ content: 'Goes on' })
    await expect.poll(() => store.stats().telemetry?.error, { timeout: 10_000 }).toMatch(/EEXIST/)
    await store.learn({ content: 'And on' })
    expect(store.head).toBe(2)
    expect(store.stats().telemetry).toMatchObject({ stored: 0, segments: 0 })
  })
})
