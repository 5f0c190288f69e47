/** Damage that comes while a store is open is found in the background, and what is derived heals. */
import { readFile } from 'node:fs/promises'
import { open, type TelemetryEvent } from 'sutra-storage'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { filesOf, flipFile, logOf, tablesOf } from '../support/raw.ts'
import { look, sampleStore } from '../support/sample.ts'
import { temporaryPath } from '../support/temp.ts'

// The scrub begins ten seconds after the open: its timers are the only ones that are not real.
beforeEach(() => {
  const real = globalThis.setTimeout
  vi.spyOn(globalThis, 'setTimeout').mockImplementation(((work: () => void, ms?: number) =>
    real(work, ms === 10_000 ? 400 : ms)) as typeof setTimeout)
})
afterEach(() => vi.restoreAllMocks())

test('a flipped bit in the log is told, with its positions', async () => {
  const { directory } = await sampleStore()
  await using store = await open(directory)
  const [file = ''] = await filesOf(logOf(directory), '.ldb')
  await flipFile(file, 40)
  const told: TelemetryEvent[] = []
  store.telemetry$.subscribe((event) => told.push(event))

  await vi.waitFor(() => expect(store.stats().scrub.rounds).toBe(1), 5000)

  const problem = { part: 'log', reason: expect.stringContaining('.ldb'), from: 1 }
  expect(store.stats().scrub.problems).toMatchObject([problem])
  expect(told).toContainEqual(expect.objectContaining({ type: 'damage-found', ...problem }))
  expect((await store.verify()).problems).toMatchObject([problem])
})

test('a flipped bit in the tables heals by a rebuild', async () => {
  const { directory, before } = await sampleStore()
  const store = await open(directory)
  const [file = ''] = await filesOf(await tablesOf(directory), '.ldb')
  const told: TelemetryEvent[] = []
  store.telemetry$.subscribe((event) => told.push(event))
  await flipFile(file, (await readFile(file)).length >> 1)

  await vi.waitFor(
    () => expect(told).toContainEqual(expect.objectContaining({ type: 'rebuilt' })),
    5000
  )

  expect(store.stats().scrub.problems).toMatchObject([{ part: 'tables' }])
  const found = told.filter(({ type }) => type === 'damage-found')
  expect(found, 'the same damage is told once').toMatchObject([{ part: 'tables' }])
  expect(await look(store)).toEqual(before)
  expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
  await store.close()
})

test('a whole store is read from one end to the other', async () => {
  const { directory } = await sampleStore()
  const store = await open(directory, { scrubBytesPerSec: 1024 ** 3 })

  await vi.waitFor(() => expect(store.stats().scrub.rounds).toBe(1), 5000)

  const { files, bytes, problems, finishedAt } = store.stats().scrub
  expect(files).toBeGreaterThan(1)
  expect(bytes).toBeGreaterThan(1000)
  expect(problems).toEqual([])
  expect(finishedAt).toBeGreaterThan(Date.now() - 10_000)
  await store.close()
})

test('a round of a store without vectors is counted as well', async () => {
  await using store = await open(await temporaryPath())
  await store.learn({ content: 'no vector' })

  await vi.waitFor(() => expect(store.stats().scrub.rounds).toBe(1), 5000)

  expect(store.stats().scrub.finishedAt).toBeGreaterThan(0)
})
