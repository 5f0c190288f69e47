/** Events that arrive within this time share a mark. */
const GRAIN_MS = 1
/** Then every second mark goes: a long backlog is dated more coarsely, never in more memory. */
const MARKS_MAX = 4096

interface Mark {
  /** Last position that arrived within this mark. */
  last: number
  /** When the first of its events arrived. */
  at: number
}

/** Remembers when positions were acknowledged, as far back as the slowest projection needs. */
export class Arrivals {
  #marks: Mark[] = []
  /** What came up to here has no mark of its own. */
  #unknown = 0

  /** Events up to here were there before: they have been waiting since now at least. */
  begin(last: number, at: number): void {
    this.add(last, at)
    this.#unknown = last
  }

  /** Whether `after` tells when the event arrived, and not only when one behind it did. */
  knows(position: number): boolean {
    return position >= this.#unknown
  }

  add(last: number, at: number): void {
    const newest = this.#marks.at(-1)
    if (newest !== undefined && at - newest.at < GRAIN_MS) {
      newest.last = last
      return
    }
    this.#marks.push({ last, at })
    if (this.#marks.length > MARKS_MAX) this.#thin()
  }

  /** When the first event after `position` arrived; `undefined` if none has. */
  after(position: number): number | undefined {
    const marks = this.#marks
    let low = 0
    let high = marks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const mark = marks[middle]
      if (mark !== undefined && mark.last <= position) low = middle + 1
      else high = middle
    }
    return marks[low]?.at
  }

  /** Every projection holds the events up to here. */
  forget(position: number): void {
    let done = 0
    for (const mark of this.#marks) {
      if (mark.last > position) break
      this.#unknown = Math.max(this.#unknown, mark.last)
      done += 1
    }
    if (done > 0) this.#marks.splice(0, done)
  }

  /** Joins neighbours. The joined mark keeps the older time, so that a lag is never understated. */
  #thin(): void {
    const joined: Mark[] = []
    for (let i = 0; i < this.#marks.length; i += 2) {
      const [older, newer] = this.#marks.slice(i, i + 2)
      if (older !== undefined) joined.push({ at: older.at, last: (newer ?? older).last })
    }
    this.#marks = joined
  }
}
