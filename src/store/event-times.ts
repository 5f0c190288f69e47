import type { EventLog } from '../log/log.ts'

/** Times of events by position, for scores that count how recent a concept is. */
export class EventTimes {
  readonly #log: EventLog
  /** Many searches ask for one state. */
  #last = { position: 0, time: 0 }

  constructor(log: EventLog) {
    this.#log = log
  }

  /**
   * Time of the newest event up to a position, in milliseconds since 1970; 0 where there is none.
   *
   * @throws StoreError `LOG_DAMAGED`
   */
  async at(position: number): Promise<number> {
    if (position === this.#last.position) return this.#last.time
    const time = await this.#read(position)
    this.#last = { position, time }
    return time
  }

  async #read(position: number): Promise<number> {
    for await (const frame of this.#log.read(position, Math.max(position, 1))) {
      const commit = frame.commits.findLast(({ first }) => first <= position)
      // A position that is lost in a gap: the gap knows the time before it, if anything was left.
      return commit?.time ?? frame.time ?? 0
    }
    return 0
  }
}
