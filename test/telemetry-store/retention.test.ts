/** How long telemetry is kept: on disk up to an eighth more than `keepMs`, and read no longer than that. */
import { open, readTelemetry, type TelemetryEvent } from 'sutra-storage'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { resolveOptions } from '#sutra/options.js'
import { SegmentPool } from '#sutra/telemetry-store/pool.js'
import { TelemetryRecorder } from '#sutra/telemetry-store/recorder.js'
import { SegmentWriter } from '#sutra/telemetry-store/segment-writer.js'
import { temporaryPath } from '../support/temp.ts'
import { toArray } from './support.ts'

/** The least that may be asked for. */
const KEEP_MS = 60_000
const STEP_MS = 2000

function optionsOf(): ConstructorParameters<typeof SegmentWriter>[1] {
  const { store } = resolveOptions({ telemetry: { store: { keepMs: KEEP_MS } } }).telemetry
  if (store === undefined) throw new Error('It was asked for')
  return store
}

function writerIn(directory: string): SegmentWriter {
  return new SegmentWriter(new SegmentPool(directory, open), optionsOf(), 0, () => undefined)
}

function event(position: number): TelemetryEvent {
  const time = Date.now()
  return { type: 'subscription-caught-up', time, v: 1, subscription: 's', position }
}

/** The writer looks by the clock that never goes back, which is moved along with the other one. */
let passedMs = 0

function pass(ms: number): void {
  passedMs += ms
  vi.setSystemTime(Date.now() + ms)
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] })
  const now = performance.now.bind(performance)
  vi.spyOn(performance, 'now').mockImplementation(() => now() + passedMs)
})

afterEach(() => {
  vi.restoreAllMocks()
  vi.useRealTimers()
})

test('what is on disk is an eighth older than asked for at most, and nothing young is lost', async () => {
  const directory = await temporaryPath('kept')
  const writer = writerIn(directory)
  await writer.start()
  const began = Date.now()
  for (let i = 1; Date.now() < began + 2 * KEEP_MS; i++) {
    await writer.append([event(i)], 'trial')
    await writer.maintain()
    pass(STEP_MS)
  }
  await writer.maintain()
  const ended = Date.now()
  await writer.close()
  const times = (await toArray(readTelemetry(directory))).map(({ time }) => time)
  expect(Math.min(...times)).toBeGreaterThanOrEqual(ended - KEEP_MS * 1.125)
  expect(times.filter((time) => time >= ended - KEEP_MS)).toHaveLength(KEEP_MS / STEP_MS)
})

test('while nothing happens, no segment follows the other, and the last one goes in time', async () => {
  const directory = await temporaryPath('kept')
  const writer = writerIn(directory)
  await writer.start()
  await writer.append([event(1)], 'trial')
  for (let passed = 0; passed <= KEEP_MS * 1.125; passed += STEP_MS) {
    pass(STEP_MS)
    await writer.maintain()
    expect(writer.size.segments).toBeLessThanOrEqual(2)
  }
  await writer.close()
  expect(await toArray(readTelemetry(directory))).toEqual([])
})

test('what was there before the store was closed for long goes when it is opened', async () => {
  const directory = await temporaryPath('kept')
  const before = writerIn(directory)
  await before.start()
  await before.append([event(1)], 'trial')
  await before.close()
  pass(KEEP_MS / 2)
  const between = writerIn(directory)
  await between.start()
  expect(between.size.segments).toBe(2)
  await between.append([event(2)], 'trial')
  await between.close()
  pass(KEEP_MS + 1)
  const after = writerIn(directory)
  await after.start()
  expect(after.size.segments).toBe(1)
  await after.close()
  expect(await toArray(readTelemetry(directory))).toEqual([])
})

test('who reads from the open store is told nothing that is too old', async () => {
  const directory = await temporaryPath('kept')
  const parts = { directory, name: 'trial', options: optionsOf(), reserveBytes: 0, open }
  const recorder = new TelemetryRecorder({ ...parts, tell: () => undefined })
  recorder.start()
  recorder.next(event(1))
  await vi.waitFor(() => expect(recorder.stats.stored).toBe(1), 20_000)
  vi.setSystemTime(Date.now() + KEEP_MS - 3000)
  expect(await toArray(recorder.read({}))).toHaveLength(1)
  recorder.next(event(2))
  await vi.waitFor(() => expect(recorder.stats.stored).toBe(2), 20_000)
  vi.setSystemTime(Date.now() + 3001)
  const kept = await toArray(recorder.read({ since: 0 }))
  expect(kept).toMatchObject([{ position: 2 }])
  await recorder.close()
})
