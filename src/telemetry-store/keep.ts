import { basename, join, resolve } from 'node:path'
import { NUMBER_RULES, type ResolvedOptions } from '../options.ts'
import type { TelemetryHub } from '../telemetry/hub.ts'
import type { TelemetryEvent } from '../telemetry/types.ts'
import { TELEMETRY_DIRECTORY } from './layout.ts'
import { TelemetryRecorder } from './recorder.ts'
import type { OpenStore } from './segment.ts'

const MiB = 1024 * 1024
/** What the store needs of the last of the disk comes before what is told of it. */
const RESERVE_BYTES = 32 * MiB

interface Stream {
  subscribe(observer: { next(event: TelemetryEvent): void }): unknown
}

interface Kept {
  readonly directory: string
  readonly options: ResolvedOptions
  readonly hub: TelemetryHub
}

/** Begins to keep what a store tells, if its options say so. */
export function keepTelemetry(
  { directory, options, hub }: Kept,
  events$: Stream,
  open: OpenStore
): TelemetryRecorder | undefined {
  const { store } = options.telemetry
  if (store === undefined || options.readOnly) return undefined
  const recorder = new TelemetryRecorder({
    directory: resolve(store.directory ?? join(directory, TELEMETRY_DIRECTORY)),
    name: basename(directory) || directory,
    options: store,
    reserveBytes: reserveFor(options.diskReserveBytes),
    open,
    tell: (event) => {
      if (hub.active) hub.emit(event)
    }
  })
  events$.subscribe(recorder)
  recorder.start()
  return recorder
}

/** Who wants none for the store wants none for this. */
function reserveFor(diskReserveBytes: number): number {
  if (diskReserveBytes === 0) return 0
  return Math.min(diskReserveBytes + RESERVE_BYTES, NUMBER_RULES.diskReserveBytes.max)
}
