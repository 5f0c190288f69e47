import { isStoreError, StoreError } from '../errors.ts'
import type { Generation } from '../projections/custom/generation.ts'
import { CLOSE_WAIT_MS } from '../projections/custom/patience.ts'
import type { LongOptions, ProjectionBuild, ProjectionStatus } from '../types.ts'
import type { Engine } from './engine.ts'
import { whileTelling } from './progress.ts'

/** Rows that are made beside those that answer. */
export interface Build {
  readonly generation: Generation
  readonly mode: 'auto' | 'manual'
  /** Fires when nobody wants it any more. */
  readonly cancelled: AbortController
  isReady: boolean
  error: Error | undefined
  /** Ends when it answers, when it waits to be promoted, or when it never will do either. */
  done: Promise<void>
}

/** Resolves when it holds what was durable at the call. */
export async function caughtUp(
  { pipeline, parts, closing }: Engine,
  { generation, cancelled }: Build,
  signal?: AbortSignal
): Promise<void> {
  const ends = [closing.signal, cancelled.signal, ...(signal === undefined ? [] : [signal])]
  await pipeline.caughtUp(parts.log.durableHead, AbortSignal.any(ends), [generation.name])
}

/** Waits for a build and tells how far it is. Whoever gives up on it has to discard it. */
export async function attend(
  engine: Engine,
  build: Build,
  { onProgress, signal }: LongOptions
): Promise<void> {
  const phase = build.generation.definition.name
  const report = (): void => {
    const total = engine.parts.log.durableHead
    onProgress?.({ phase, done: build.generation.position, total })
  }
  await whileTelling(report, signal, async (either) => {
    if (!build.isReady) await caughtUp(engine, build, either)
    await build.done
  })
}

export interface Watched {
  name: string
  head: number
  answering: Generation | undefined
  build: Build | undefined
  error: Error | undefined
  isBuilding: boolean
}

export function statusOf(watched: Watched): ProjectionStatus {
  const { name, head, answering, build, error } = watched
  const position = answering?.position ?? 0
  return {
    name,
    ...(answering === undefined ? {} : { version: answering.version }),
    state: stateOf(watched),
    position,
    head,
    progress: progressOf(position, head),
    ...(error === undefined ? {} : { error: error.message }),
    ...(build === undefined ? {} : { build: buildStatus(build, head) })
  }
}

function stateOf({ answering, error, isBuilding }: Watched): ProjectionStatus['state'] {
  if (answering === undefined) return 'missing'
  if (isBuilding) return 'building'
  return error === undefined ? 'running' : 'stopped'
}

function buildStatus({ generation, isReady, error }: Build, head: number): ProjectionBuild {
  const { version, position } = generation
  const failed = error?.message
  const state = failed !== undefined ? 'stopped' : isReady ? 'ready' : 'building'
  const progress = progressOf(position, head)
  return { version, state, position, progress, ...(failed === undefined ? {} : { error: failed }) }
}

function progressOf(position: number, head: number): number {
  return head === 0 ? 1 : Math.min(1, position / head)
}

/** Work in the background whose end is told elsewhere: by statistics, or to who closed the store. */
export async function quietly(work: Promise<void>): Promise<void> {
  try {
    await work
  } catch (error) {
    const isTold =
      isStoreError(error, 'PROJECTION_STOPPED') ||
      isStoreError(error, 'STORE_CLOSED') ||
      isStoreError(error, 'ABORTED')
    if (!isTold) throw error
  }
}

export function tellStarted({ parts }: Engine, projection: string, reason: string): void {
  const { hub } = parts
  if (!hub.active) return
  hub.emit({ type: 'rebuild-started', time: Date.now(), projection, reason })
}

/** The rows are built, and answer. */
export function tellDone({ parts }: Engine, { definition, position, openedAt }: Generation): void {
  const { hub } = parts
  if (!hub.active) return
  const ms = performance.now() - openedAt
  hub.emit({ type: 'rebuilt', time: Date.now(), projection: definition.name, position, ms })
}

/** It met an error outside of the pipeline, which tells of its own. */
export function tellStopped(
  { parts }: Engine,
  { name, position }: Generation,
  cause: unknown
): void {
  const { hub } = parts
  if (!hub.active) return
  const error = cause instanceof Error ? cause.message : String(cause)
  hub.emit({ type: 'projection-stopped', time: Date.now(), projection: name, position, error })
}

/** The store closed without waiting any longer for code of the definition. */
export function tellGivenUp(
  { parts }: Engine,
  name: string,
  answering: Generation | undefined
): void {
  const { hub } = parts
  if (!hub.active) return
  const where = { part: `projection ${name}`, position: answering?.position ?? 0 }
  hub.emit({ type: 'close-gave-up', time: Date.now(), ...where, ms: CLOSE_WAIT_MS })
}

export function notBuilt(
  projection: string,
  answering: Generation | undefined,
  head: number
): StoreError<'PROJECTION_BUILDING'> {
  const position = answering?.position ?? 0
  const message = `Projection '${projection}' is at position ${position} of ${head}`
  return new StoreError('PROJECTION_BUILDING', message, { projection, position, head })
}

export function notBuilding(projection: string, operation: string): StoreError<'UNSUPPORTED'> {
  const reason = `nothing is built beside the rows of '${projection}' that answer`
  return new StoreError('UNSUPPORTED', `Cannot ${operation}: ${reason}`, { operation, reason })
}
