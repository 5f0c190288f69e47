import { asError, isStoreError, StoreError } from '../../errors.ts'
import type { Frame, LogCommit } from '../../log/frame.ts'
import type { EventLog } from '../../log/log.ts'
import { toStoredEvent } from '../../log/stored-event.ts'
import { STRETCH_MS, turn } from '../../turn.ts'
import type { StoredEvent } from '../../types.ts'
import type { Payload } from './changes.ts'
import type { Definition } from './define.ts'
import { LayeredRows, type Layers } from './layered-rows.ts'
import type { Patience } from './patience.ts'
import type { RowId } from './row-keys.ts'

/** Where the changes of events go. */
export interface FoldTarget {
  /** How long `apply` may take. */
  readonly patience: Patience
  readonly layers: Layers
  put(id: RowId, payload: Payload): void
  /** The event at this position has made all its changes. */
  applied(position: number): void
  /** The event failed: nothing of it may stay. */
  failed(): void
  /** Whether what was applied so far is to be all. */
  isEnough(events: number): boolean
}

export interface Folded {
  /** The last position that is applied. */
  reached: number
  /** Of the frame that holds it; `undefined` where nothing was applied. */
  checksum: number | undefined
  /** Why it went no further. */
  failure: Error | undefined
}

/**
 * Applies the events from one position to another, one after the other, in stretches. Reads from
 * the log, undurable events included: whoever writes what comes of it stays below the durable head.
 */
export async function foldEvents(
  log: Pick<EventLog, 'read'>,
  definition: Definition,
  target: FoldTarget,
  { from, to }: { from: number; to: number }
): Promise<Folded> {
  let reached = from - 1
  let checksum: number | undefined
  let began = performance.now()
  for await (const frame of log.read(from)) {
    for (const { commit, index, position } of eventsOf(frame, from)) {
      if (position > to) return { reached, checksum, failure: undefined }
      const event = commit.events[index]
      if (event !== undefined && definition.types?.has(event.type) !== false) {
        const failure = applyEvent(definition, target, toStoredEvent(commit, index, event))
        // Nearly every `apply` is synchronous: then nothing is awaited.
        const failed = failure instanceof Promise ? await failure : failure
        if (failed !== undefined) return { reached, checksum, failure: failed }
      }
      reached = position
      checksum = frame.checksum
      if (target.isEnough(reached - from + 1)) return { reached, checksum, failure: undefined }
      if (performance.now() - began < STRETCH_MS) continue
      await turn()
      began = performance.now()
    }
    // A gap has no events: what was there is lost, and its positions count as applied.
    reached = Math.max(reached, Math.min(frame.last, to))
    checksum = frame.checksum
    if (reached >= to) break
  }
  return { reached, checksum, failure: undefined }
}

function* eventsOf(
  { commits }: Frame,
  from: number
): Generator<{ commit: LogCommit; index: number; position: number }> {
  for (const commit of commits) {
    for (let index = Math.max(0, from - commit.first); index < commit.events.length; index++) {
      yield { commit, index, position: commit.first + index }
    }
  }
}

type Outcome = Error | undefined

function applyEvent(
  { apply }: Definition,
  target: FoldTarget,
  event: StoredEvent
): Outcome | Promise<Outcome> {
  const rows = new LayeredRows(target.layers, (id, payload) => target.put(id, payload))
  const failed = (cause: unknown): Error => {
    rows.end()
    target.failed()
    return asFailure(event, cause)
  }
  const done = (): undefined => {
    rows.end()
    target.applied(event.position)
    return undefined
  }
  try {
    const doing: unknown = apply(event, rows)
    if (!(doing instanceof Promise)) return done()
    // One that is given up finds that its rows are gone: nothing of it is in any batch.
    const { patience, layers } = target
    return patience.outlast(doing, () => gaveUp(layers.projection, event)).then(done, failed)
  } catch (cause) {
    return failed(cause)
  }
}

/** The event is applied after the next open, with its own rows and its own time. */
function gaveUp(projection: string, { position, type }: StoredEvent): ApplyGivenUp {
  const what = `apply of projection '${projection}' at position ${position} (${type})`
  return new ApplyGivenUp('STORE_CLOSED', `The store was closed before ${what} ended`, {
    operation: 'apply'
  })
}

/** Told apart from what `apply` throws, which may be an error of the store as well. */
class ApplyGivenUp extends StoreError<'STORE_CLOSED'> {}

function asFailure({ position, type }: StoredEvent, cause: unknown): Error {
  // Damage heals; what `apply` itself throws does not.
  if (isStoreError(cause, 'PROJECTION_DAMAGED') || cause instanceof ApplyGivenUp) return cause
  const { message } = asError(cause)
  return new Error(`apply failed at position ${position} (${type}): ${message}`, { cause })
}
