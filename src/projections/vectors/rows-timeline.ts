/** Which rows the vectors up to a position are: rows are counted from the opening of the index. */
const FORGET_AT_ONCE = 1024

export class RowsTimeline {
  /** In turns: a position at which rows were added, and how many there are from there on. */
  #positions: number[]
  #rows: number[]
  #position: number

  /** @param position All that there is in the index then. */
  constructor(position: number, rows: number) {
    this.#positions = [position]
    this.#rows = [rows]
    this.#position = position
  }

  /** The last position told. */
  get position(): number {
    return this.#position
  }

  /** @param position Where a frame ends, or at least an event that brought a row. */
  add(position: number, rows: number): void {
    this.#position = position
    if (rows === this.#rows.at(-1)) return
    this.#positions.push(position)
    this.#rows.push(rows)
  }

  /** Rows of the vectors up to a position at which a frame ends. */
  rowsAt(position: number): number {
    return this.#rows[indexOf(this.#positions, position)] ?? 0
  }

  /**
   * A position whose vectors are all among the first rows, the last one if there are no more; 0 for
   * fewer than there were at the beginning, of which it is not known where they came from.
   */
  positionAt(rows: number): number {
    if (rows < (this.#rows[0] ?? 0)) return 0
    const at = indexOf(this.#rows, rows)
    if (at === this.#rows.length - 1) return this.#position
    return this.#positions[at] ?? 0
  }

  /** The same after so many rows at the front were dropped. */
  without(rows: number): RowsTimeline {
    const next = new RowsTimeline(this.#position, 0)
    next.#positions = this.#positions
    next.#rows = this.#rows.map((count) => Math.max(0, count - rows))
    return next
  }

  /** Forgets what was before: nobody asks for it any more. */
  forget(position: number): void {
    const keep = indexOf(this.#positions, position)
    if (keep < FORGET_AT_ONCE) return
    this.#positions = this.#positions.slice(keep)
    this.#rows = this.#rows.slice(keep)
  }
}

/** The last one that is at most so much; the first one if none is. */
function indexOf(list: readonly number[], value: number): number {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((list[middle] ?? 0) <= value) low = middle + 1
    else high = middle
  }
  return Math.max(0, low - 1)
}
