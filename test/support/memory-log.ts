import { randomBytes } from 'node:crypto'
import { assert } from '#sutra/assert.js'
import { StoreError } from '#sutra/errors.js'
import { checkFrame, encodeBody, type Frame, type LogCommit, sealFrame } from '#sutra/log/frame.js'
import { decodeFrame, type RawFrame } from '#sutra/log/frame-decode.js'
import { poisoned } from '#sutra/log/level-log.js'
import type { AppendedFrame, EventLog } from '#sutra/log/log.js'

/** What outlives one log object, as a directory does: the frames, and how far they are safe. */
export class MemoryStorage {
  readonly storeId: Buffer = randomBytes(16)
  readonly frames: { key: Buffer; value: Buffer }[] = []
  durable = 0
  /** While set, writing and syncing fail with it. */
  fault: Error | undefined
}

/** The log's interface over an array. Frames are encoded, so that nobody shares memory with them. */
export class MemoryLog implements EventLog {
  readonly #storage: MemoryStorage
  readonly #waiters = new Set<() => void>()
  #head = 0
  #durableHead = 0
  #checksum = 0
  #poison: Error | undefined
  #appending = false
  #closed = false

  constructor(storage: MemoryStorage) {
    this.#storage = storage
    for (const [index, { key, value }] of storage.frames.entries()) {
      const { last, checksum } = decodeFrame(key, value, storage.storeId)
      this.#head = last
      this.#checksum = checksum
      if (index < storage.durable) this.#durableHead = last
    }
  }

  get head(): number {
    return this.#head
  }

  get durableHead(): number {
    return this.#durableHead
  }

  get poison(): Error | undefined {
    return this.#poison
  }

  async append(
    commits: readonly LogCommit[],
    options: { durable: boolean }
  ): Promise<AppendedFrame> {
    assert(!this.#appending, 'one append at a time')
    this.#assertUsable()
    const first = this.#head + 1
    assert(commits[0]?.first === first, 'a commit begins behind the head')
    const count = commits.reduce((sum, commit) => sum + commit.events.length, 0)
    const { key, value, checksum } = sealFrame(encodeBody(commits), {
      format: 2,
      first,
      count,
      time: commits.at(-1)?.time ?? 0,
      previous: this.#checksum,
      storeId: this.#storage.storeId
    })
    const last = first + count - 1
    this.#appending = true
    try {
      await this.#write(() => this.#storage.frames.push({ key, value }), first, last)
    } finally {
      this.#appending = false
    }
    this.#head = last
    this.#checksum = checksum
    if (options.durable) this.#markDurable()
    for (const wake of [...this.#waiters]) wake()
    return { first, last, bytes: value.length }
  }

  async sync(): Promise<void> {
    this.#assertUsable()
    if (this.#durableHead === this.#head) return
    await this.#write(() => this.#markDurable(), this.#durableHead + 1, this.#head)
  }

  async *read(from: number, to: number = this.#head): AsyncGenerator<Frame> {
    const head = Math.min(to, this.#head)
    for (const { key, value } of [...this.#storage.frames]) {
      const frame = decodeFrame(key, value, this.#storage.storeId)
      if (frame.first > head) return
      if (frame.last >= from) yield frame
    }
  }

  /** Frames as the tables take them, from one that begins there on. */
  rawFrom(from: number): RawFrame[] {
    return this.#storage.frames
      .map(({ key, value }) => ({ ...checkFrame(key, value, this.#storage.storeId), value }))
      .filter(({ first }) => first >= from)
  }

  async *tail(from: number, signal: AbortSignal): AsyncGenerator<Frame> {
    let next = Math.max(from, 1)
    while (!signal.aborted) {
      for await (const frame of this.read(next)) {
        if (signal.aborted) return
        yield frame
        next = frame.last + 1
      }
      if (!signal.aborted && next > this.#head && !(await this.#appended(signal))) return
    }
  }

  async checkpoint(): Promise<void> {
    await this.sync()
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const wake of [...this.#waiters]) wake()
  }

  /** Takes a turn of the event loop, as a disk would. */
  async #write(work: () => void, first: number, last: number): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    const { fault } = this.#storage
    if (fault === undefined) return work()
    const error = new StoreError(
      'WRITE_FAILED',
      'Writing failed',
      { first, last },
      { cause: fault }
    )
    this.#poison ??= error
    throw error
  }

  #markDurable(): void {
    this.#storage.durable = this.#storage.frames.length
    this.#durableHead = this.#head
  }

  async #appended(signal: AbortSignal): Promise<boolean> {
    if (!this.#closed) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.#waiters.delete(done)
          signal.removeEventListener('abort', done)
          resolve()
        }
        this.#waiters.add(done)
        signal.addEventListener('abort', done, { once: true })
      })
    }
    return !signal.aborted && !this.#closed
  }

  #assertUsable(): void {
    if (this.#closed) {
      throw new StoreError('STORE_CLOSED', 'The log is closed', { operation: 'append' })
    }
    if (this.#poison !== undefined) throw poisoned(this.#poison, this.#durableHead)
  }
}
