import { StoreError } from '../errors.ts'
import { WaitList } from './wait-list.ts'

/** Callers that wait until every projection holds the events up to a position. */
export class CatchUp {
  readonly #callers: WaitList<number>
  /** The highest position that anybody waits for. */
  #furthest = 0

  constructor(now: () => number) {
    this.#callers = new WaitList('wait for the projections', now)
  }

  /** Whether a projection at `position` keeps somebody waiting. */
  awaitedBeyond(position: number): boolean {
    return position < this.#furthest
  }

  wait(position: number, signal?: AbortSignal): Promise<void> {
    const answered = this.#callers.wait(position, signal).finally(() => this.#measure())
    this.#measure()
    return answered
  }

  /** Answers whoever waits for no more than what every projection holds. */
  reached(position: number): void {
    for (const caller of this.#callers) {
      if (caller.wants <= position) caller.resolve()
    }
    this.#measure()
  }

  /** A projection has stopped: whoever waits for it to go further waits in vain. */
  stoppedAt(name: string, position: number, cause: Error): void {
    for (const caller of this.#callers) {
      if (caller.wants > position) caller.reject(projectionStopped(name, position, cause))
    }
    this.#measure()
  }

  rejectAll(error: Error): void {
    this.#callers.rejectAll(error)
    this.#measure()
  }

  #measure(): void {
    this.#furthest = 0
    for (const { wants } of this.#callers) this.#furthest = Math.max(this.#furthest, wants)
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
