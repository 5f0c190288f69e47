import { Gate } from './gate.ts'

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
  load: Load
}

const NOTHING: Load = { events: 0, bytes: 0 }

/** Entries dropped from the front before the array behind them is cut. */
const CUT_AT = 1024

/**
 * The bound on acknowledged events that the tables do not hold yet. Never drops one: when it is
 * full, writers wait. They are let in in the order they came, for as many events as there is
 * room, so that those that join one frame still do.
 */
export class BoundedQueue {
  readonly #setup: QueueSetup
  readonly #gates: Gate[] = []
  readonly #writers: Gate
  #entries: Entry[] = []
  #first = 0
  /** Of the entries: what the tables have taken of one that they do not hold whole still counts. */
  #events = 0
  #bytes = 0

  constructor(setup: QueueSetup) {
    this.#setup = setup
    this.#writers = this.gate('wait for room in the queue', 1)
  }

  /** Where those wait who are to leave a part of the queue to others. */
  gate(operation: string, level: number, load: () => Load = () => this.load): Gate {
    const { eventsMax, bytesMax, now } = this.#setup
    const gate = new Gate({ operation, level, eventsMax, bytesMax, load, now })
    this.#gates.push(gate)
    return gate
  }

  /** What is in it. */
  get load(): Load {
    return { events: this.#setup.depth(), bytes: this.#bytes }
  }

  /** Writers that wait because it is full. */
  get waiting(): number {
    return this.#writers.waiting
  }

  /** Milliseconds that writers have waited, all together, at whatever gate. */
  get waitedMs(): number {
    return this.#gates.reduce((sum, gate) => sum + gate.waitedMs, 0)
  }

  /** Whether anybody waits, at whatever gate. */
  get isAwaited(): boolean {
    return this.#gates.some((gate) => gate.waiting > 0)
  }

  /** Share in use, by events or by bytes: the higher one. */
  get utilization(): number {
    const { depth, eventsMax, bytesMax } = this.#setup
    return Math.max(depth() / eventsMax, this.#bytes / bytesMax)
  }

  /** The depth at which it is full, if what comes is as large as what is there. */
  get capacity(): number {
    const { eventsMax, bytesMax } = this.#setup
    return this.#bytes === 0
      ? eventsMax
      : Math.min(eventsMax, Math.max((this.#events / this.#bytes) * bytesMax, 1))
  }

  added(last: number, load: Load): void {
    this.#entries.push({ last, load })
    this.#events += load.events
    this.#bytes += load.bytes
  }

  /** The tables hold everything up to `position`. */
  removed(position: number): void {
    for (let entry = this.#entries[this.#first]; entry !== undefined && entry.last <= position; ) {
      this.#events -= entry.load.events
      this.#bytes -= entry.load.bytes
      this.#first += 1
      entry = this.#entries[this.#first]
    }
    if (this.#first >= CUT_AT && this.#first * 2 >= this.#entries.length) {
      this.#entries.splice(0, this.#first)
      this.#first = 0
    }
    this.letIn()
  }

  /** Whether there is room for so much beside what is in it, and beside what is about to be. */
  hasRoomFor(wants: Load, beside: Load = NOTHING): boolean {
    const { events, bytes } = this.load
    const load = { events: events + beside.events, bytes: bytes + beside.bytes }
    return this.#writers.hasRoomFor(wants, load)
  }

  /** Resolves when there is room and all who asked before have been let in. */
  wait(load: Load, signal?: AbortSignal): Promise<void> {
    return this.#writers.wait(load, signal)
  }

  letIn(): void {
    for (const gate of this.#gates) gate.letIn()
  }

  rejectAll(error: Error): void {
    for (const gate of this.#gates) gate.rejectAll(error)
  }

  /** Nothing will leave it any more: who waits for that waits in vain. */
  rejectShutOut(error: Error): void {
    for (const gate of this.#gates) gate.rejectShutOut(error)
  }
}
