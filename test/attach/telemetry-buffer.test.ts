import type { TelemetryEvent } from 'sutra-storage'
import { expect, test } from 'vitest'
import { TelemetryBuffer } from '#sutra/attach/telemetry-buffer.js'

test('what a slow reader has no room for is counted, the oldest first', async () => {
  const buffer = new TelemetryBuffer(undefined)
  for (let i = 0; i < 1500; i++) buffer.next(closedAt(i))
  buffer.complete()

  const told = await all(buffer)

  expect(told).toHaveLength(1024)
  expect(told[0]).toEqual({ dropped: 476, event: closedAt(476) })
  expect(told[1]).toEqual({ dropped: 0, event: closedAt(477) })
  expect(told.at(-1)?.event).toEqual(closedAt(1499))
})

test('only the types that are asked for take room', async () => {
  const buffer = new TelemetryBuffer(new Set(['opened']))
  buffer.next(closedAt(1))
  buffer.complete()

  expect(await all(buffer)).toEqual([])
})

test('a reader that is faster waits for what comes', async () => {
  const buffer = new TelemetryBuffer(undefined)
  const reading = all(buffer)
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setImmediate(resolve))
    buffer.next(closedAt(i))
  }
  buffer.complete()

  expect((await reading).map(({ event }) => event)).toEqual([0, 1, 2].map(closedAt))
})

test('an error of the stream is one of the reader, after what came before it', async () => {
  const buffer = new TelemetryBuffer(undefined)
  buffer.next(closedAt(1))
  buffer.error(new Error('broken'))

  const reader = buffer[Symbol.asyncIterator]()

  expect((await reader.next()).value).toEqual({ dropped: 0, event: closedAt(1) })
  await expect(reader.next()).rejects.toThrow('broken')
})

function closedAt(position: number): TelemetryEvent {
  return { type: 'closed', v: 1, time: 0, position }
}

async function all<T>(from: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const one of from) found.push(one)
  return found
}
