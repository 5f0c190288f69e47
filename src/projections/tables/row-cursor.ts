/** Every row of a database, in order. */

export type Row = readonly [key: Buffer, value: Buffer]

/** Rows one at a time, without a promise for each: they are read in blocks. Or their values alone. */
export class RowCursor<T = Row> {
  readonly #blocks: AsyncGenerator<T[]>
  /** The block behind the present one is read while this one is looked at. */
  #next: Promise<IteratorResult<T[]>> | undefined
  #rows: readonly T[] = []
  #at = 0

  constructor(blocks: AsyncGenerator<T[]>) {
    this.#blocks = blocks
  }

  ready(): T | undefined {
    return this.#rows[this.#at++]
  }

  async fill(): Promise<boolean> {
    const { done, value } = await (this.#next ?? this.#blocks.next())
    this.#rows = done === true ? [] : value
    this.#at = 0
    if (done !== true) {
      this.#next = this.#blocks.next()
      // Whoever asks for that block is told; nobody may ask.
      this.#next.catch(() => undefined)
    }
    return done !== true
  }

  async close(): Promise<void> {
    await this.#blocks.return(undefined)
  }
}

export async function nextRow<T>(cursor: RowCursor<T>): Promise<T | undefined> {
  for (;;) {
    const row = cursor.ready()
    if (row !== undefined) return row
    if (!(await cursor.fill())) return undefined
  }
}
