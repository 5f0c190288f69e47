/** Channels of `node:diagnostics_channel`, for whoever watches all stores of a process. */
import {
  type Channel,
  channel,
  type TracingChannel,
  tracingChannel
} from 'node:diagnostics_channel'
import type { TelemetryEvent } from './types.ts'

/** What is asked of a store: a change, a read, or work that takes long. */
export type OperationGroup = 'commit' | 'query' | 'task'

/** What the tracing channels tell of an operation: one object from its start to its end. */
export interface OperationMessage {
  /** Name of the method that was called, such as `learn` or `findPath`. */
  readonly operation: string
  /** Absolute path of the store. */
  readonly directory: string
  /** What of the store it is about: of a query of the program's own, the name of the projection. */
  readonly collection?: string
  /** Commands of a commit, ids of a `getMany`. */
  readonly batchSize?: number
  /** What it resolved with, at its end. Of what is iterated: nothing. */
  result?: unknown
  /** What it was rejected with. */
  error?: unknown
}

/** What the channel `sutra:telemetry` tells. */
export interface TelemetryMessage {
  /** Absolute path of the store. */
  readonly directory: string
  readonly event: TelemetryEvent
}

/** Tracing channels have five names each: `tracing:sutra:commit:start`, `:end`, `:asyncStart`, … */
export const OPERATION_CHANNELS: Readonly<
  Record<OperationGroup, TracingChannel<unknown, OperationMessage>>
> = {
  commit: tracingChannel<unknown, OperationMessage>('sutra:commit'),
  query: tracingChannel<unknown, OperationMessage>('sutra:query'),
  task: tracingChannel<unknown, OperationMessage>('sutra:task')
}

/** Every event that `telemetry$` of any store has, as {@link TelemetryMessage}. */
export const TELEMETRY_CHANNEL: Channel = channel('sutra:telemetry')
