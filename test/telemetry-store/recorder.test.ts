/** The recorder when what it writes to fails, comes back, or was left by a process that died. */
import { copyFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { open, readTelemetry, type Store, StoreError, type TelemetryEvent } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { resolveOptions } from '#sutra/options.js'
import { segmentsIn } from '#sutra/telemetry-store/layout.js'
import { TelemetryRecorder } from '#sutra/telemetry-store/recorder.js'
import type { OpenStore } from '#sutra/telemetry-store/segment.js'
import { temporaryPath } from '../support/temp.ts'
import { sumOf, toArray } from './support.ts'

const DISK_LOW = new StoreError('DISK_LOW', 'Full', { freeBytes: 1, reserveBytes: 2 })
const WRITE_FAILED = new StoreError('WRITE_FAILED', 'It broke', { first: 1, last: 1 })

interface Trial {
  recorder: TelemetryRecorder
  told: TelemetryEvent['type'][]
  /** What writing fails with from now on. */
  fail(error: Error | undefined): void
  directory: string
}

async function trial(): Promise<Trial> {
  const directory = await temporaryPath('kept')
  const { store: options } = resolveOptions({ telemetry: { store: { summaryMs: 1000 } } }).telemetry
  if (options === undefined) throw new Error('It was asked for')
  let failure: Error | undefined
  const openFailing: OpenStore = async (path, given) => {
    const store = await open(path, given)
    const commit: Store['commit'] = async (...args) => {
      if (failure !== undefined) throw failure
      return store.commit(...args)
    }
    return new Proxy(store, {
      get(target, name) {
        if (name === 'commit') return commit
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      }
    })
  }
  const told: Trial['told'] = []
  const parts = { directory, name: 'trial', options, reserveBytes: 0, open: openFailing }
  const recorder = new TelemetryRecorder({
    ...parts,
    tell: (event) => {
      told.push(event.type)
      recorder.next({ ...event, v: 1 } as TelemetryEvent)
    }
  })
  const fail = (error: Error | undefined): void => {
    failure = error
  }
  return { recorder, told, fail, directory }
}

function stopped(position: number): TelemetryEvent {
  return {
    type: 'subscription-stopped',
    time: Date.now(),
    v: 1,
    subscription: 's',
    position,
    error: 'E'
  }
}

describe('a disk that is full', () => {
  test('is told once, loses nothing that there is room for, and is written to later', async () => {
    const { recorder, told, fail, directory } = await trial()
    fail(DISK_LOW)
    recorder.start()
    for (let i = 0; i < 50; i++) recorder.next(stopped(i))
    await expect.poll(() => recorder.stats.error, { timeout: 10_000 }).toBe('Full')
    await new Promise((resolve) => setTimeout(resolve, 2500))
    expect(told).toEqual(['telemetry-store-failed'])
    expect(recorder.stats).toMatchObject({ stored: 0, dropped: 0 })
    fail(undefined)
    await expect.poll(() => recorder.stats.stored, { timeout: 10_000 }).toBe(51)
    expect(recorder.stats.error).toBeUndefined()
    await recorder.close()
    expect(await segmentsIn(directory)).toHaveLength(1)
    const kept = await toArray(readTelemetry(directory, { types: ['subscription'] }))
    expect(kept).toHaveLength(50)
  })
})

describe('a store that fails', () => {
  test('costs what was given to it, which is counted, and closes', async () => {
    const { recorder, told, fail } = await trial()
    fail(WRITE_FAILED)
    recorder.start()
    for (let i = 0; i < 50; i++) recorder.next(stopped(i))
    await expect.poll(() => recorder.stats.error, { timeout: 10_000 }).toBe('It broke')
    expect(recorder.stats).toMatchObject({ stored: 0, dropped: 50 })
    // The next tick tells it; the next try comes a minute later.
    await expect
      .poll(() => told, { timeout: 10_000 })
      .toEqual(['telemetry-store-failed', 'telemetry-dropped'])
    await recorder.close()
  })

  test('does not hurt who told it, however much it is told', async () => {
    const { recorder, fail } = await trial()
    fail(WRITE_FAILED)
    recorder.start()
    for (let i = 0; i < 100_000; i++) recorder.next(stopped(i))
    await expect.poll(() => recorder.stats.error, { timeout: 10_000 }).toBe('It broke')
    await recorder.close()
    expect(recorder.stats.stored).toBe(0)
  })
})

test('a window that was written, but not yet taken out of WINDOW, counts once', async () => {
  const directory = await temporaryPath()
  const options = { telemetry: { store: { summaryMs: 3_600_000 } } }
  const store = await open(directory, options)
  for (let i = 0; i < 30; i++) await store.learn({ content: `Concept ${i}` })
  const path = join(directory, 'telemetry', 'WINDOW')
  await expect.poll(() => existsSync(path), { timeout: 10_000 }).toBe(true)
  // It is written once a second.
  await new Promise((resolve) => setTimeout(resolve, 3000))
  copyFileSync(path, `${path}.copy`)
  await store.close()
  copyFileSync(`${path}.copy`, path)

  await (await open(directory, options)).close()

  expect(sumOf(await toArray(readTelemetry(directory)), 'commit')).toBe(30)
})

test('a recorder that is closed before it has opened anything leaves nothing open', async () => {
  const { recorder, directory } = await trial()
  recorder.start()
  recorder.next(stopped(1))
  await recorder.close()
  expect(await toArray(readTelemetry(directory))).toHaveLength(1)
})
