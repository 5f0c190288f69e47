/** A segment of kept telemetry: a store of its own that is opened with little of everything. */
import type { StoreOptions } from '../options.ts'
import type { Store } from '../types.ts'
import { MINUTE } from './record.ts'

/** Opens a store that tells nobody of itself: given by who knows how. */
export type OpenStore = (directory: string, options: StoreOptions) => Promise<Store>

const MiB = 1024 * 1024
const CACHE_BYTES = 4 * MiB
const QUEUE_EVENTS = 10_000
const QUEUE_BYTES = 8 * MiB
const INTERVAL_MS = 100

/** @param reserveBytes Free bytes of the disk below which it stops writing. */
export function segmentOptions(reserveBytes: number): StoreOptions {
  return {
    // Losing the last second in a power cut is what telemetry can afford.
    durability: 'os',
    indexes: { [MINUTE]: 'number' },
    cache: { bytes: CACHE_BYTES },
    scrubBytesPerSec: 0,
    diskReserveBytes: reserveBytes,
    pipeline: {
      // Nobody waits for it, so one batch a write is enough.
      intervalMs: { min: INTERVAL_MS, base: INTERVAL_MS, max: INTERVAL_MS },
      queueEventsMax: QUEUE_EVENTS,
      queueBytesMax: QUEUE_BYTES
    },
    // It tells nothing of itself: that would be told, and told of, without end.
    telemetry: { metricsMs: 0, slowMs: 0 },
    alerts: { defaults: false }
  }
}

/** Its indexes are as they were declared. */
export function readingOptions(): StoreOptions {
  const { indexes: _, ...options } = segmentOptions(0)
  return { ...options, readOnly: true, createIfMissing: false }
}
