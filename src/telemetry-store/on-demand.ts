/**
 * What every store needs of kept telemetry, though few keep any: the rest of this folder is loaded when
 * it is asked for, since opening a store in a fresh process mostly waits for code to be read.
 */
import { resolve } from 'node:path'
import { optionInvalid, type ResolvedOptions } from '../options.ts'
import type { TelemetryEvent } from '../telemetry/types.ts'
import type { StoredTelemetryOptions } from '../types.ts'
import type { OpenStore } from './segment.ts'

/**
 * A store and what is kept of it have files of the same names.
 *
 * @throws StoreError `OPTION_INVALID`.
 */
export function checkPlace(directory: string, { telemetry }: ResolvedOptions): void {
  const place = telemetry.store?.directory
  if (place === undefined || resolve(place) !== directory) return
  const expected = "another directory than the store's own"
  throw optionInvalid('telemetry.store.directory', place, expected)
}

/** As `readKept`. */
export async function* readLater(
  directory: string,
  options: StoredTelemetryOptions,
  open: OpenStore
): AsyncGenerator<TelemetryEvent, void> {
  const { readKept } = await import('./read-kept.ts')
  yield* readKept(directory, options, open)
}
