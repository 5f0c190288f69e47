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
 * Lets writers through while less than a share of the queue is in use, in the order they came. They
 * say how much they bring, so that many who wait do not all come at once.
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

  /** Whether a writer that comes now need not wait. */
  get isOpen(): boolean {
    return this.#writers.size === 0 && this.hasRoom
  }

  /** Whether less is in use than it lets in for, whoever waits. */
  get hasRoom(): boolean {
    return this.#isBelow(this.#setup.load())
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
      if (!this.#isBelow(load)) break
      load.events += writer.wants.events
      load.bytes += writer.wants.bytes
      writer.resolve()
    }
    if (this.#writers.size > 0 && this.hasRoom) {
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

  #isBelow({ events, bytes }: Load): boolean {
    const { level, eventsMax, bytesMax } = this.#setup
    return events < eventsMax * level && bytes < bytesMax * level
  }
}
