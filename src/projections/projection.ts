/** Derived state that follows the log: the tables, the vectors. */
export interface Projection {
  readonly name: string
  /** The position up to which it is complete and readable. Only moves forward. */
  readonly position: number
  /** Built beside another one that answers: only who names it waits for it. */
  readonly isAside?: boolean
  /**
   * Applies the next batch, up to `to` at most. `to` is never beyond the durable head.
   * Resolves after one batch; the caller asks again while `position < to`.
   * A rejection stops the projection for good: it never skips an event.
   */
  project(to: number): Promise<BatchApplied>
}

export interface BatchApplied {
  /** First and last position of the batch. */
  from: number
  to: number
  events: number
  ms: number
}
