/** Work of one part of the store: some of it takes turns, some ends by itself. */
export class OwnWork {
  #turn: Promise<unknown> = Promise.resolve()
  readonly #retired = new Set<Promise<void>>()

  async inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work)
    // A failure belongs to whoever asked; the next in turn starts all the same.
    this.#turn = mine.catch(() => undefined)
    return mine
  }

  /** Keeps track of work that ends by itself, for `settled`. */
  retire(work: Promise<void>): void {
    const tracked = work.finally(() => this.#retired.delete(tracked))
    this.#retired.add(tracked)
    // Who closes the store hears of a failure; until then it must not count as unhandled.
    tracked.catch(() => undefined)
  }

  /** Ends when nothing is under way. Rejects with the first failure of what was retired. */
  async settled(): Promise<void> {
    await this.#turn
    while (this.#retired.size > 0) await Promise.all(this.#retired)
  }
}
