/**
 * Lets so many pieces of work through at once; the others wait in the order in which they came. So
 * many stores may have a batch to project: a thread holds the memory of a few, and none is passed over.
 */
export class Gate {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(places: number) {
    this.#free = places
  }

  /** Whether somebody waits for a place. */
  get isCrowded(): boolean {
    return this.#waiting.length > 0
  }

  async through<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      // The place goes straight to the next, so that nobody who comes now slips in between.
      const next = this.#waiting.shift()
      if (next === undefined) this.#free += 1
      else next()
    }
  }
}
