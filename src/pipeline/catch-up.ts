import { StoreError } from '../errors.ts'
import type { Projection } from '../projections/projection.ts'
import { WaitList } from './wait-list.ts'

/** Which projections a caller waits for. */
export type WaitsFor = (projection: Projection) => boolean

interface Wanted {
  position: number
  waitsFor: WaitsFor
}

/** Callers that wait until projections hold the events up to a position. */
export class CatchUp {
  readonly #callers: WaitList<Wanted>
  /** The highest position that anybody waits for. */
  #furthest = 0

  constructor(now: () => number) {
    this.#callers = new WaitList('wait for the projections', now)
  }

  /** Whether a projection at `position` keeps somebody waiting. */
  awaitedBeyond(position: number): boolean {
    return position < this.#furthest
  }

  wait(position: number, waitsFor: WaitsFor, signal?: AbortSignal): Promise<void> {
    const wanted = { position, waitsFor }
    const answered = this.#callers.wait(wanted, signal).finally(() => this.#measure())
    this.#measure()
    return answered
  }

  /** Answers whoever waits for no more than what all of its projections hold. */
  reached(slowest: (waitsFor: WaitsFor) => number): void {
    for (const { wants, resolve } of this.#callers) {
      if (wants.position <= slowest(wants.waitsFor)) resolve()
    }
    this.#measure()
  }

  /** A projection has stopped: whoever waits for it to go further waits in vain. */
  stoppedAt(projection: Projection, cause: Error): void {
    const { name, position } = projection
    for (const { wants, reject } of this.#callers) {
      if (wants.position <= position || !wants.waitsFor(projection)) continue
      reject(projectionStopped(name, position, cause))
    }
    this.#measure()
  }

  rejectAll(error: Error): void {
    this.#callers.rejectAll(error)
    this.#measure()
  }

  #measure(): void {
    this.#furthest = 0
    for (const { wants } of this.#callers) {
      this.#furthest = Math.max(this.#furthest, wants.position)
    }
  }
}

export function projectionStopped(
  projection: string,
  position: number,
  cause: Error
): StoreError<'PROJECTION_STOPPED'> {
  const message = `Projection '${projection}' stopped at position ${position}: ${cause.message}`
  return new StoreError('PROJECTION_STOPPED', message, { projection, position }, { cause })
}
