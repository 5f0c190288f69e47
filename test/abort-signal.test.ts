/** A program gives one signal to as many calls as it likes: nothing warns, and nothing stays behind. */
import { getEventListeners } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { defineProjection, isStoreError, open, type Rows } from 'sutra-storage'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { onAbort } from '#sutra/on-abort.js'
import { temporaryPath } from './support/temp.ts'

/** Node warns from the eleventh listener on. */
const MANY = 12

const counter = defineProjection({
  name: 'counter',
  version: 1,
  apply(_, rows: Rows<string, number>) {
    rows.put('events', (rows.get('events') ?? 0) + 1)
  },
  queries: { total: (rows) => rows.get('events') }
})

const warnings: Error[] = []
const note = (warning: Error): void => {
  warnings.push(warning)
}

beforeEach(() => {
  warnings.length = 0
  process.on('warning', note)
})

afterEach(() => {
  process.off('warning', note)
})

async function* endless() {
  for (let i = 0; i < 2; i++) yield { kind: 'concept' as const, key: `k${i}`, content: `${i}` }
  await new Promise(() => undefined)
}

test('one signal for everything that waits, many times over', async () => {
  const vectors = { dimensions: 3 }
  let isHanging = false
  await using store = await open(await temporaryPath(), {
    vectors,
    embed: async (texts) => {
      if (isHanging) await new Promise(() => undefined)
      return texts.map(() => Float32Array.of(1, 2, 3))
    },
    durability: 'os',
    projections: [counter],
    telemetry: { store: true }
  })
  for (let i = 0; i < 20; i++) await store.learn({ id: { key: `a${i}` }, content: `${i}` })
  await store.caughtUp()
  isHanging = true
  const leaving = new AbortController()
  const { signal } = leaving
  const ended: Promise<unknown>[] = []
  const run = async (call: () => Promise<unknown>): Promise<void> => {
    for (let i = 0; i < MANY; i++) ended.push(call().catch((error: unknown) => error))
  }
  const readAll = async (source: AsyncIterable<unknown>): Promise<void> => {
    for await (const _ of source);
  }
  let names = 0
  await run(async () => store.commit([{ do: 'learn', content: 'c', embedding: null }], { signal }))
  await run(async () => store.learn({ content: 'text' }, { signal }))
  await run(async () => store.ready({ signal }))
  await run(async () => store.caughtUp(undefined, { signal }))
  await run(async () => store.search([1, 2, 3], { signal }))
  await run(async () => store.search('text', { signal }))
  await run(async () => store.findPath({ key: 'a1' }, { key: 'a2' }, { signal }))
  await run(async () => readAll(store.events({ live: true, signal })))
  await run(async () => readAll(store.storedTelemetry({ live: true, signal })))
  await run(async () => store.import(endless(), { signal }))
  await run(async () => store.projection(counter, { signal }).total())
  await run(async () => (await store.subscribe(`s${names++}`, { signal }, () => undefined)).done)
  for (let i = 0; i < 20; i++) {
    await turn()
    expect(getEventListeners(signal, 'abort').length).toBeLessThanOrEqual(1)
  }
  await new Promise((resolve) => setTimeout(resolve, 100))
  leaving.abort()
  const errors = (await Promise.all(ended)).filter((one) => one instanceof Error)
  expect(errors.length).toBeGreaterThan(3 * MANY)
  for (const error of errors) expect(isStoreError(error, 'ABORTED'), String(error)).toBe(true)
  expect(getEventListeners(signal, 'abort')).toEqual([])
  await turn()
  expect(warnings).toEqual([])
})

test('who left hears nothing, who stays hears once, and a signal that lives on gathers nothing', () => {
  const leaving = new AbortController()
  const { signal } = leaving
  const told: string[] = []
  const same = (): void => {
    told.push('same')
  }
  const leave = onAbort(signal, same)
  onAbort(signal, same)
  const later = onAbort(signal, () => told.push('later'))
  onAbort(signal, () => later())
  leave()
  leave()
  leaving.abort()
  leaving.abort()
  expect(told).toEqual(['same', 'later'])
  for (let i = 0; i < 100; i++) onAbort(AbortSignal.timeout(1000), same)()
  const long = new AbortController().signal
  for (let i = 0; i < 100; i++) onAbort(long, same)()
  expect(getEventListeners(long, 'abort')).toEqual([])
  onAbort(undefined, same)()
  onAbort(signal, same)
  expect(getEventListeners(signal, 'abort')).toEqual([])
})
