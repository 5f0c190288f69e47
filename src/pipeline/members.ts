/**
 * Gives the members of blocks one by one. An async generator costs each member several turns of the
 * queue of promises; this costs one, as long as the block at hand has more.
 */
export class Members<T> implements AsyncIterableIterator<T> {
  readonly #blocks: AsyncGenerator<Iterator<T>>
  #block: Iterator<T> | undefined
  #isDone = false
  /** Calls that wait for those before them: a caller need not await one before the next. */
  #waiting = 0
  #last: Promise<void> = Promise.resolve()

  /** Each block is taken whole before the next is asked for. */
  constructor(blocks: AsyncGenerator<Iterator<T>>) {
    this.#blocks = blocks
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#waiting > 0 || this.#block === undefined) return this.#inTurn(() => this.#advance())
    try {
      const found = this.#block.next()
      if (found.done !== true) return Promise.resolve(found)
    } catch (error) {
      return this.#inTurn(() => this.#fail(error))
    }
    this.#block = undefined
    return this.#inTurn(() => this.#advance())
  }

  /** Ends it before its end: what the blocks are read from is closed. */
  return(): Promise<IteratorResult<T>> {
    return this.#inTurn(async () => {
      await this.#close()
      return END
    })
  }

  async #advance(): Promise<IteratorResult<T>> {
    while (!this.#isDone) {
      try {
        const found = this.#block?.next()
        if (found !== undefined && found.done !== true) return found
      } catch (error) {
        return this.#fail(error)
      }
      this.#block = undefined
      const next = await this.#blocks.next().catch((error: unknown) => this.#fail(error))
      if (next.done === true) this.#isDone = true
      else this.#block = next.value
    }
    return END
  }

  /** A block that fails is the last one. */
  async #fail(error: unknown): Promise<never> {
    await this.#close()
    throw error
  }

  async #close(): Promise<void> {
    this.#isDone = true
    this.#block = undefined
    await this.#blocks.return(undefined)
  }

  #inTurn<R>(work: () => Promise<R>): Promise<R> {
    this.#waiting += 1
    const mine = this.#last.then(work)
    const done = (): void => {
      this.#waiting -= 1
    }
    this.#last = mine.then(done, done)
    return mine
  }
}

const END: IteratorReturnResult<undefined> = { done: true, value: undefined }
