import { setImmediate } from 'node:timers/promises'

const SLICE_MS = 8

/**
 * Cuts long work of a worker into slices, so that messages are answered in between, and stops
 * it once nobody wants it any more.
 */
export class Pace {
  readonly #check: () => void
  #sliceEnds: number = performance.now() + SLICE_MS

  /** @param check Throws once the work is to be stopped. Called between slices. */
  constructor(check: () => void = () => {}) {
    this.#check = check
  }

  /** Whether the slice is used up: then `await breathe()`. Costs a tenth of a microsecond. */
  get due(): boolean {
    return performance.now() >= this.#sliceEnds
  }

  async breathe(): Promise<void> {
    await setImmediate()
    this.#check()
    this.#sliceEnds = performance.now() + SLICE_MS
  }
}

/** A flag that threads share: work in slices ends early, whole, once it is raised. */
export class CancelFlag {
  readonly buffer: SharedArrayBuffer
  readonly #flag: Int32Array

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(4)) {
    this.buffer = buffer
    this.#flag = new Int32Array(buffer)
  }

  get raised(): boolean {
    return Atomics.load(this.#flag, 0) === 1
  }

  raise(): void {
    Atomics.store(this.#flag, 0, 1)
  }
}
