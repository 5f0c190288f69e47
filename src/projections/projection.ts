/** Derived state that follows the log: the tables, the vectors. */
export interface Projection {
  readonly name: string
  /** The position up to which it is complete and readable. Only moves forward once it is checked. */
  readonly position: number
  /** Until then its files are being looked at, and may turn out not to hold what they promise. */
  readonly checked?: Promise<void>
  /** Built beside another one that answers: only who names it waits for it. */
  readonly isAside?: boolean
  /**
   * Applies the next batch, up to `to` at most. `to` is never beyond the durable head.
   * Resolves after one batch; the caller asks again while `position < to`.
   * A rejection stops the projection: it never skips an event.
   */
  project(to: number): Promise<BatchApplied>
  /**
   * Asked when it has stopped. Resolves when it may go on where it was, with `false` if it never will;
   * `undefined` where only a rebuild helps.
   */
  recovered?(error: Error): Promise<boolean> | undefined
}

export interface BatchApplied {
  /** First and last position of the batch. */
  from: number
  to: number
  events: number
  ms: number
}
