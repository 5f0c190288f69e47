import { WaitList } from './wait-list.ts'

/** What a writer is about to append. */
export interface Load {
  events: number
  bytes: number
}

interface QueueSetup {
  eventsMax: number
  bytesMax: number
  /** Events in the queue now. */
  depth: () => number
  now: () => number
}

interface Entry {
  last: number
  bytes: number
}

/** Entries dropped from the front before the array behind them is cut. */
const CUT_AT = 1024
/** A writer that was let in need not write after all, so the rest is looked at again. */
const LOOK_AGAIN_MS = 1

/**
 * The bound on acknowledged events that the tables do not hold yet. Never drops one: when it is
 * full, writers wait. They are let in in the order they came, for as many events as there is
 * room, so that those that join one frame still do.
 */
export class BoundedQueue {
  readonly #setup: QueueSetup
  readonly #writers: WaitList<Load>
  #entries: Entry[] = []
  #first = 0
  #bytes = 0
  #lookAgain: NodeJS.Timeout | undefined

  constructor(setup: QueueSetup) {
    this.#setup = setup
    this.#writers = new WaitList('wait for room in the queue', setup.now)
  }

  /** Writers that wait. */
  get waiting(): number {
    return this.#writers.size
  }

  get waitedMs(): number {
    return this.#writers.waitedMs
  }

  get full(): boolean {
    return this.utilization >= 1
  }

  /** Share in use, by events or by bytes: the higher one. */
  get utilization(): number {
    const { depth, eventsMax, bytesMax } = this.#setup
    return Math.max(depth() / eventsMax, this.#bytes / bytesMax)
  }

  /** The depth at which it is full, if what comes is as large as what is there. */
  get capacity(): number {
    const { depth, eventsMax, bytesMax } = this.#setup
    const bySize = (depth() / this.#bytes) * bytesMax
    return this.#bytes === 0 || bySize < 1 ? eventsMax : Math.min(eventsMax, bySize)
  }

  added(last: number, bytes: number): void {
    this.#entries.push({ last, bytes })
    this.#bytes += bytes
  }

  /** The tables hold everything up to `position`. */
  removed(position: number): void {
    for (let entry = this.#entries[this.#first]; entry !== undefined && entry.last <= position; ) {
      this.#bytes -= entry.bytes
      this.#first += 1
      entry = this.#entries[this.#first]
    }
    if (this.#first >= CUT_AT && this.#first * 2 >= this.#entries.length) {
      this.#entries.splice(0, this.#first)
      this.#first = 0
    }
    this.letIn()
  }

  /** Resolves when there is room and all who asked before have been let in. */
  wait(load: Load, signal?: AbortSignal): Promise<void> {
    return this.#writers.wait(load, signal)
  }

  letIn(): void {
    const { depth, eventsMax, bytesMax } = this.#setup
    let events = depth()
    let bytes = this.#bytes
    for (const writer of this.#writers) {
      if (events >= eventsMax || bytes >= bytesMax) break
      events += writer.wants.events
      bytes += writer.wants.bytes
      writer.resolve()
    }
    if (this.#writers.size > 0 && !this.full) {
      this.#lookAgain ??= setTimeout(() => {
        this.#lookAgain = undefined
        this.letIn()
      }, LOOK_AGAIN_MS)
    }
  }

  rejectAll(error: Error): void {
    clearTimeout(this.#lookAgain)
    this.#lookAgain = undefined
    this.#writers.rejectAll(error)
  }
}
