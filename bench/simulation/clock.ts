/** A clock that moves only when it is told to, for code that asks it for the time and for timers. */

interface Timer {
  readonly at: number
  readonly number: number
  readonly run: () => void
}

// As they were before any clock took their place.
const { setTimeout, clearTimeout, setImmediate, clearImmediate } = globalThis

export class VirtualClock {
  /** In milliseconds. */
  now = 0
  #timers: Timer[] = []
  #given = 0

  /** Runs something whose timers are those of this clock, and nobody else's meanwhile. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    const take = (ms: number, run: () => void): unknown => this.#add(ms, run)
    Object.assign(globalThis, {
      setTimeout: (run: () => void, ms = 0) => take(Math.max(ms, 0), run),
      setImmediate: (run: () => void) => take(0, run),
      clearTimeout: (timer: unknown) => this.#remove(timer),
      clearImmediate: (timer: unknown) => this.#remove(timer)
    })
    try {
      return await work()
    } finally {
      Object.assign(globalThis, { setTimeout, clearTimeout, setImmediate, clearImmediate })
    }
  }

  /** Moves the time, timer by timer, and lets promises settle behind each. */
  async advanceTo(time: number): Promise<void> {
    for (;;) {
      const next = this.#timers[0]
      if (next === undefined || next.at > time) break
      this.#timers.shift()
      this.now = Math.max(this.now, next.at)
      next.run()
      await settle()
    }
    this.now = time
  }

  /** Lets promises settle that do not wait for the clock. */
  async settle(): Promise<void> {
    await settle()
  }

  delay(ms: number): Promise<void> {
    return new Promise((resolve) => this.#add(ms, resolve))
  }

  #add(ms: number, run: () => void): unknown {
    const number = this.#given
    this.#given += 1
    const timer: Timer & { unref(): unknown } = {
      at: this.now + ms,
      number,
      run,
      unref: () => timer
    }
    const place = this.#timers.findIndex(({ at }) => at > timer.at)
    if (place < 0) this.#timers.push(timer)
    else this.#timers.splice(place, 0, timer)
    return timer
  }

  #remove(timer: unknown): void {
    this.#timers = this.#timers.filter((one) => one !== timer)
  }
}

function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
