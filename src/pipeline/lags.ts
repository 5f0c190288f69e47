import type { Projection } from '../projections/projection.ts'
import { PROJECTION_LAG_FOR_MS } from '../telemetry/alert-rules.ts'
import type { Arrivals } from './arrivals.ts'

interface LagsSetup {
  arrivals: Arrivals
  /** Milliseconds, monotonic. */
  now(): number
  /** Time of an event, in milliseconds since 1970; 0 where nobody knows it. May reject. */
  timeOf?: ((position: number) => Promise<number>) | undefined
}

/** The first event that a projection lacked when it was looked up. */
interface Oldest {
  position: number
  /** `undefined` while it is looked up, and where it cannot be. */
  time: number | undefined
  lookedAt: number
  /** Since when it lacks events of which no arrival is known. */
  since: number
}

type Behind = Pick<Projection, 'name' | 'position'>

/** A projection that catches up is looked at no more often: its frames need not be read twice. */
const LOOK_EVERY_MS = 100

/**
 * How late projections are: the age of the oldest event that each of them lacks. Of events that
 * came while the store was open it is known when. Those before are dated by their own time, which is
 * looked up, so that a lag goes on through a restart.
 */
export class Lags {
  readonly #setup: LagsSetup
  readonly #oldest = new Map<string, Oldest>()
  readonly #lookups = new Set<Promise<void>>()
  #isOver = false

  constructor(setup: LagsSetup) {
    this.#setup = setup
  }

  /** Sync and never negative, whatever clocks did. What is older than can be told is as old as it is held. */
  lagMs(projection: Behind): number {
    const heldMs = this.#heldMs(projection)
    this.look(projection)
    const time = this.#oldest.get(projection.name)?.time
    return time === undefined ? heldMs : Math.max(heldMs, Date.now() - time)
  }

  /** The same, 0 in the first moments: what an open finds may be caught up with soon. */
  lastingMs(projection: Behind): number {
    return this.#heldMs(projection) < PROJECTION_LAG_FOR_MS ? 0 : this.lagMs(projection)
  }

  /** Begins to look up what `lagMs` will tell. */
  look({ name, position }: Behind): void {
    const { arrivals, timeOf, now } = this.#setup
    if (arrivals.knows(position)) {
      this.#oldest.delete(name)
      return
    }
    const before = this.#oldest.get(name)
    if (before?.position === position || timeOf === undefined || this.#isOver) return
    if (before !== undefined && now() - before.lookedAt < LOOK_EVERY_MS) return
    // Until it is known, the one before tells: what comes later is not older.
    const lookedAt = now()
    const since = before?.since ?? lookedAt
    const oldest: Oldest = { position, time: before?.time, lookedAt, since }
    this.#oldest.set(name, oldest)
    const lookup = this.#lookUp(oldest, timeOf).finally(() => this.#lookups.delete(lookup))
    this.#lookups.add(lookup)
  }

  forget(name: string): void {
    this.#oldest.delete(name)
  }

  /** Resolves when nothing is looked up any more. */
  async stop(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#lookups)
  }

  /** Since it is known here that there is something to do; a restart begins anew. */
  #heldMs({ name, position }: Behind): number {
    const { arrivals } = this.#setup
    const now = this.#setup.now()
    const since = arrivals.knows(position) ? now : (this.#oldest.get(name)?.since ?? now)
    return now - Math.min(arrivals.after(position) ?? now, since)
  }

  async #lookUp(oldest: Oldest, timeOf: (position: number) => Promise<number>): Promise<void> {
    try {
      const time = await timeOf(oldest.position + 1)
      oldest.time = time === 0 ? undefined : time
    } catch {
      // Where the log is damaged, whoever needs the events says so.
      oldest.time = undefined
    }
  }
}
