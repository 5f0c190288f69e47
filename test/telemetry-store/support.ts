import type { Store, StoredTelemetryOptions, TelemetryEvent } from 'sutra-storage'
import { vi } from 'vitest'

export type Summary = Extract<TelemetryEvent, { type: 'summary' }>

export async function all(
  source: Pick<Store, 'storedTelemetry'>,
  options?: StoredTelemetryOptions
): Promise<TelemetryEvent[]> {
  return toArray(source.storedTelemetry(options))
}

export async function toArray(events: AsyncIterable<TelemetryEvent>): Promise<TelemetryEvent[]> {
  const array: TelemetryEvent[] = []
  for await (const event of events) array.push(event)
  return array
}

export function sumOf(events: readonly TelemetryEvent[], of: TelemetryEvent['type']): number {
  const sums = events.filter((one): one is Summary => one.type === 'summary' && one.of === of)
  return sums.reduce((sum, { count }) => sum + count, 0)
}

/** What is told is written within a second or two. */
export async function untilStored(store: Store, count: number): Promise<void> {
  await vi.waitFor(() => {
    const stored = store.stats().telemetry?.stored ?? 0
    if (stored < count) throw new Error(`${stored} of ${count} events are stored`)
  }, 20_000)
}

export async function failing(store: Store): Promise<void> {
  await store.forget({ key: 'nowhere' }).then(
    () => {
      throw new Error('There was something to forget')
    },
    () => undefined
  )
}
