import { assert } from '../assert.ts'

/** The log, as the pipeline sees it. */
export interface PipelineSource {
  head(): number
  durableHead(): number
  /** Makes the log durable up to the head. */
  sync(): Promise<void>
}

/**
 * How far projections may go. Invariant 3: a checkpoint never passes the durable head, so the log
 * is synced before a batch. Projections share one sync instead of asking for one each.
 */
export class DurableLimit {
  readonly #source: PipelineSource
  readonly #batchEventsMax: number
  #syncing: Promise<void> | undefined

  constructor(source: PipelineSource, batchEventsMax: number) {
    this.#source = source
    this.#batchEventsMax = batchEventsMax
  }

  /** A durable position beyond `position`, which must be below the head. */
  async beyond(position: number): Promise<number> {
    const source = this.#source
    if (!this.#enoughFor(position)) {
      try {
        await this.#sync()
        // A sync that was under way already may have begun before the events after `position` came.
        if (this.#durable() <= position) await this.#sync()
      } catch (error) {
        // What is durable can still be projected; the error comes back when all of that is.
        if (this.#durable() <= position) throw error
      }
    }
    const limit = this.#durable()
    assert(limit > position, `a sync moves the durable head (at ${source.durableHead()})`)
    return limit
  }

  /** Where a whole batch is durable, no sync is needed for the next one. */
  #enoughFor(position: number): boolean {
    const durable = this.#durable()
    return durable === this.#source.head() || durable - position >= this.#batchEventsMax
  }

  #durable(): number {
    return Math.min(this.#source.head(), this.#source.durableHead())
  }

  async #sync(): Promise<void> {
    this.#syncing ??= this.#source.sync().finally(() => {
      this.#syncing = undefined
    })
    await this.#syncing
  }
}
