import { throwIfAborted } from '../errors.ts'
import { STRETCH_MS, turn } from '../turn.ts'

/** Asking the clock costs about as much as a small step of work. */
const STEPS_PER_LOOK = 16

/** Gives the event loop back every few milliseconds of a long read, and stops it on its signal. */
export class ReadPace {
  readonly #signal: AbortSignal | undefined
  readonly #operation: string
  #began: number = performance.now()
  #steps = 0

  constructor(signal: AbortSignal | undefined, operation: string) {
    throwIfAborted(signal, operation)
    this.#signal = signal
    this.#operation = operation
  }

  /** Counts a step; whether it is time to `rest`. */
  step(): boolean {
    this.#steps += 1
    if (this.#steps % STEPS_PER_LOOK !== 0) return false
    return performance.now() - this.#began >= STRETCH_MS
  }

  async rest(): Promise<void> {
    await turn()
    throwIfAborted(this.#signal, this.#operation)
    this.#began = performance.now()
  }
}
