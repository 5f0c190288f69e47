/** Lets many wait for the next time that something has moved on. */
export class ProgressSignal {
  #resolve: () => void = () => {}
  #next: Promise<void>

  constructor() {
    this.#next = this.#renew()
  }

  /** Resolves when something moves on after this was asked. */
  get next(): Promise<void> {
    return this.#next
  }

  notify(): void {
    const resolve = this.#resolve
    this.#next = this.#renew()
    resolve()
  }

  #renew(): Promise<void> {
    return new Promise((resolve) => {
      this.#resolve = resolve
    })
  }
}
