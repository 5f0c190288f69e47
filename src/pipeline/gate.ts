import type { Load } from './queue.ts'
import { WaitList } from './wait-list.ts'

interface GateSetup {
  /** Says in errors what somebody waited for. */
  operation: string
  /** Share of the bounds from which on it is closed, above 0 and at most 1. */
  level: number
  eventsMax: number
  bytesMax: number
  /** What is held against the bounds now. */
  load: () => Load
  now: () => number
}

/** Whoever was let in need not write after all, so the rest is looked at again. */
const LOOK_AGAIN_MS = 1

/**
 * Lets writers through while what they bring fits into a share of the queue, in the order they came.
 * How much that is may change while they wait: it is looked at each time.
 */
export class Gate {
  readonly #setup: GateSetup
  readonly #writers: WaitList<Load>
  #lookAgain: NodeJS.Timeout | undefined

  constructor(setup: GateSetup) {
    this.#setup = setup
    this.#writers = new WaitList(setup.operation, setup.now)
  }

  /** Writers that wait. */
  get waiting(): number {
    return this.#writers.size
  }

  /** Milliseconds that writers have waited here, all together. */
  get waitedMs(): number {
    return this.#writers.waitedMs
  }

  /** Whether a writer that comes now with so much need not wait. */
  isOpenTo(wants: Load): boolean {
    return this.#writers.size === 0 && this.hasRoomFor(wants)
  }

  /**
   * Whether there is room for so much, whoever waits. What is larger than all the room there is comes
   * in alone, when nothing is in use.
   */
  hasRoomFor(wants: Load, load: Load = this.#setup.load()): boolean {
    const { level, eventsMax, bytesMax } = this.#setup
    const [eventsEnd, bytesEnd] = [eventsMax * level, bytesMax * level]
    if (load.events >= eventsEnd || load.bytes >= bytesEnd) return false
    if (load.events === 0) return true
    return load.events + wants.events <= eventsEnd && load.bytes + wants.bytes <= bytesEnd
  }

  /** Resolves when there is room and all who asked before have been let in. */
  wait(wants: Load, signal?: AbortSignal): Promise<void> {
    const wait = this.#writers.wait(wants, signal)
    this.letIn()
    return wait
  }

  /** To be called whenever less is in use than before. */
  letIn(): void {
    if (this.#writers.size === 0) return
    const { events, bytes } = this.#setup.load()
    const load = { events, bytes }
    for (const writer of this.#writers) {
      const { wants } = writer
      if (!this.hasRoomFor(wants, load)) {
        if (this.hasRoomFor(wants)) this.#lookAgainSoon()
        break
      }
      load.events += wants.events
      load.bytes += wants.bytes
      writer.resolve()
    }
  }

  /** Nothing will be taken out any more: rejects those who wait for that. */
  rejectShutOut(error: Error): void {
    for (const writer of this.#writers) if (!this.hasRoomFor(writer.wants)) writer.reject(error)
    this.letIn()
  }

  rejectAll(error: Error): void {
    clearTimeout(this.#lookAgain)
    this.#lookAgain = undefined
    this.#writers.rejectAll(error)
  }

  #lookAgainSoon(): void {
    this.#lookAgain ??= setTimeout(() => {
      this.#lookAgain = undefined
      this.letIn()
    }, LOOK_AGAIN_MS)
  }
}
