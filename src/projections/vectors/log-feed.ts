import type { LogCommit } from '../../log/frame.ts'
import type { IndexSaver } from './index-saver.ts'
import type { IndexState } from './index-state.ts'
import { vectorOf } from './ingest-task.ts'
import type { CancelFlag } from './pace.ts'
import { BESIDE, type VectorPool } from './pool.ts'
import type { Ingested } from './protocol.ts'

export interface FeedSetup {
  pool: VectorPool
  state: IndexState
  saver: IndexSaver
  /** The log's database, spelled as it was when it was opened in this process. */
  log: string
  storeId: Buffer
  space: string
  dimensions: number
  readOnly: boolean
  cancel: CancelFlag
  /** The last position in the log now. */
  head(): number
  /** Told when there are more rows than before. */
  onFilled(): void
  /** Told when the log could not be read. */
  onFailed(): void
}

/**
 * Brings the vectors of the log into rows: of commits as they are written, which costs a copy, and of
 * those from before, which a thread reads from the log.
 */
export class LogFeed {
  readonly #setup: FeedSetup
  /** Whether every commit is told as it is acknowledged: nothing is to be read from the log. */
  #isLive = false
  #reading: Promise<void> | undefined
  #unread = 0
  /** Where the log begins that they are in. */
  #unreadFrom = 0
  #readError: Error | undefined

  constructor(setup: FeedSetup) {
    this.#setup = setup
    this.#goLive()
  }

  /** Vectors that this process acknowledged and that are in no row yet. */
  get unread(): number {
    return this.#unread
  }

  /** Why the log could not be read the last time. */
  get readError(): Error | undefined {
    return this.#readError
  }

  /** Takes the vectors of commits that were just written, before anybody is told of them. */
  appended(commits: readonly LogCommit[], first: number, last: number): void {
    const { state, space } = this.#setup
    // Whatever was not told, while the index was made anew perhaps, is read from the log.
    if (first !== state.ingested + 1) this.#isLive = false
    const vectors = commits.flatMap(({ events }) =>
      events.flatMap((one) => vectorOf(one, space) ?? [])
    )
    if (!this.#isLive) {
      if (this.#unread === 0) this.#unreadFrom = first
      this.#unread += vectors.length
      return
    }
    if (vectors.some(({ bytes }) => bytes.length !== 4 * this.#setup.dimensions)) {
      // The commit is written and must not fail for the index. The projection meets the same when it
      // reads the log, and stops there, visibly.
      this.#isLive = false
      return
    }
    for (const { ordinal, revision, bytes } of vectors) state.append(ordinal, revision, bytes)
    state.passed(last)
  }

  /**
   * @param check Throws once nobody waits any more.
   * @throws StoreError `LOG_DAMAGED`
   */
  async upTo(position: number, check: () => void): Promise<void> {
    while (this.#setup.state.ingested < position) {
      check()
      this.#reading ??= this.#tryReading().finally(() => {
        this.#reading = undefined
      })
      await this.#reading
    }
  }

  async #tryReading(): Promise<void> {
    try {
      await this.#read()
      this.#readError = undefined
    } catch (error) {
      this.#readError = error instanceof Error ? error : new Error(String(error))
      // Whoever waits for room waits in vain.
      this.#setup.onFailed()
      throw error
    }
  }

  async #read(): Promise<void> {
    const { pool, state, saver, log, storeId, space, dimensions, readOnly } = this.#setup
    const segment = state.segmentToFill()
    const { slab, end, isNew } = segment.room()
    if (isNew) state.changed()
    state.filling = segment
    try {
      const ask = {
        log,
        storeId: Uint8Array.from(storeId),
        space,
        dimensions,
        from: state.ingested + 1,
        to: this.#setup.head(),
        ids: segment.ids.buffer,
        row: segment.rows,
        end,
        slab,
        cancel: this.#setup.cancel.buffer
      }
      const { position, row, ends } = await pool.run('ingest', ask, BESIDE)
      this.#unread -= this.#rowsFrom(
        this.#unreadFrom,
        { from: ask.from, row: ask.row },
        { row, ends }
      )
      state.filled(segment, row, ends, position)
      this.#setup.onFilled()
      this.#goLive()
      // Rows of a large log must not all be in memory before the first of them are in the files.
      if (row === end && !readOnly) await saver.flush()
    } finally {
      state.filling = undefined
    }
  }

  /** Of the rows that were read, those of events from a position on, at which a frame begins. */
  #rowsFrom(
    position: number,
    start: { from: number; row: number },
    { row, ends }: Pick<Ingested, 'row' | 'ends'>
  ): number {
    if (this.#unread === 0) return 0
    if (start.from >= position) return row - start.row
    for (let i = 0; i + 1 < ends.length; i += 2) {
      if ((ends[i] ?? 0) >= position - 1) return row - (ends[i + 1] ?? 0)
    }
    return 0
  }

  #goLive(): void {
    if (this.#setup.state.ingested !== this.#setup.head()) return
    this.#isLive = true
    this.#unread = 0
  }
}
